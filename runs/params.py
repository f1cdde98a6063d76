"""Parameters under the names that MLflow and the reports give them."""

from collections.abc import Mapping
from typing import Any

PROTOCOL = "evaluate.protocol"
"""The name of the parameter that says which photos are right answers."""


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values under dotted names: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping)
        flat |= flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values under dotted names as nested ones: ``{"a.b": 1}`` becomes ``{"a": {"b": 1}}``.

    Values that are nested already stay as they are.
    """
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *groups, key = name.split(".")
        group = tree
        for each in groups:
            group = group.setdefault(each, {})
        group[key] = value
    return tree
