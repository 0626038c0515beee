"""Cells and metrics of other packages, which register them as entry points.

A package is installed by the user, and only its own entry points say what it offers: neither a
config nor a bundle can make other code run.
"""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from nmt.errors import UsageError, shown

CELL_GROUP, METRIC_GROUP = "nmt.cells", "nmt.metrics"
_Plugin = TypeVar("_Plugin")


@dataclass(frozen=True)
class Plugged:
    """Legal text: what an installed package has registered in a group of entry points."""

    group: str

    def __contains__(self, name: str) -> bool:
        return name in plugin_names(self.group)

    def __str__(self) -> str:
        return f"a name that an installed package registers in {self.group}"


def plugin_names(group: str) -> list[str]:
    """Return the names in a group, in order."""
    return sorted(entry_points(group=group).names)


def find_plugin(group: str, name: str) -> EntryPoint | None:
    """Return an entry point, whose `dist` is its package; None where no package has it.

    Raises:
        UsageError: several packages have it.
    """
    found = {package_of(point): point for point in entry_points(group=group, name=name)}
    if len(found) > 1:
        told = f"{shown(name)} is registered by {' and '.join(sorted(found))}"
        raise UsageError(f"{group}: {told}; uninstall all but one")
    return next(iter(found.values()), None)


def package_of(point: EntryPoint | None) -> str:
    """Return the name of an entry point's package; an empty string without one."""
    return "" if point is None or point.dist is None else point.dist.name


def load_plugin(group: str, name: str, kind: type[_Plugin]) -> _Plugin:
    """Import an object that a package has registered.

    Args:
        group: `CELL_GROUP` or `METRIC_GROUP`.
        name: of the entry point.
        kind: what it has to be.

    Raises:
        UsageError: no package has it, several have, or what is imported is something else.
    """
    point = find_plugin(group, name)
    if point is None:
        raise UsageError(f"{group}: no installed package registers {shown(name)}")
    try:
        plugin = point.load()
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"{group}: {name} of {package_of(point)} cannot be loaded: {told}"
        ) from error
    if not isinstance(plugin, kind):
        told = f"{point.value} is no {kind.__name__}, but {shown(plugin)}"
        raise UsageError(f"{group}: {name} of {package_of(point)}: {told}")
    return plugin
