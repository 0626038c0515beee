"""Cells and metrics of other packages, which register them as entry points.

Only entry points of packages that the user has installed are loaded: neither a config nor a bundle
can run other code.
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
    """Return the names in a group, sorted."""
    return sorted(entry_points(group=group).names)


def find_plugin(group: str, name: str) -> EntryPoint | None:
    """Return an entry point, whose `dist` is its package; None if no package has it.

    Raises:
        UsageError: several packages register it.
    """
    found = {package_of(point): point for point in entry_points(group=group, name=name)}
    if len(found) > 1:
        packages = " and ".join(sorted(found))
        raise UsageError(f"{group}: {packages} register {shown(name)}; uninstall all but one")
    return next(iter(found.values()), None)


def package_of(point: EntryPoint | None) -> str:
    """Return the name of an entry point's package; an empty string without one."""
    return "" if point is None or point.dist is None else point.dist.name


def load_plugin(group: str, name: str, kind: type[_Plugin]) -> _Plugin:
    """Import an object that a package has registered.

    Args:
        group: `CELL_GROUP` or `METRIC_GROUP`.
        name: of the entry point.
        kind: the required class.

    Raises:
        UsageError: no package or several register it, or the object has another class.
    """
    point = find_plugin(group, name)
    if point is None:
        raise UsageError(f"{group}: no installed package registers {shown(name)}")
    place = f"{group}: {name} of {package_of(point)}"
    try:
        plugin = point.load()
    except Exception as error:
        raise UsageError(f"{place} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(plugin, kind):
        fault = f"{point.value} is {shown(plugin)}, and must be a {kind.__name__}"
        raise UsageError(f"{place}: {fault}")
    return plugin
