"""The YAML of configs: YAML 1.2's plain scalars, no aliases, no duplicate keys, bounded size."""

import re
from typing import Any

import yaml

from nmt.errors import ConfigError, shorten, shown

LARGEST = 2**20
_TYPES = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
}


class _Loader(yaml.SafeLoader):
    """`no` is Norwegian, `1e-3` is a number, dates are text."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases, which can expand without bound."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*); write the value out, or quote it")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse duplicate keys, of which YAML would keep the last."""
        names: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in names:
                raise yaml.YAMLError(f"the key {shown(key.value)} occurs twice; keep one")
            names.add(str(key.value))
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes text such as `08` and `1e5`, which is a number to the loader but not to PyYAML."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _rule in _TYPES.items():
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_rule})$"), None)


def load_yaml(text: str, origin: str) -> Any:
    """Parse YAML; `origin` is its name in errors.

    Raises:
        ConfigError: the text is not YAML, or too large or too deeply nested.
    """
    if len(text) > LARGEST:
        raise ConfigError(f"{origin}: it is larger than 1 MiB, the limit of a config")
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"{origin}: not valid YAML: {shorten(str(error))}") from None
    except RecursionError:
        raise ConfigError(f"{origin}: not valid YAML: it is nested too deeply") from None


def dump_yaml(values: Any) -> str:
    """Write plain values as YAML from which `load_yaml` makes the same values."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
