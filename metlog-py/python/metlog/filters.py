"""Filters: which messages leave. Each provider gives back a filter that the core runs.

A filter of your own is any callable that takes a message, a dict, and gives back whether it may leave.
Clients that have one build that dict for each message on the calling thread.
"""

from collections.abc import Iterable, Mapping

from metlog._metlog import Filter
from metlog.exceptions import ConfigError

__all__ = [
    "severity_max_provider",
    "type_blacklist_provider",
    "type_severity_max_provider",
    "type_whitelist_provider",
]

# Bounds beyond it are as good as it.
FARTHEST = 2**62


def severity_max_provider(severity: int) -> Filter:
    """Drop what is less severe than `severity`, which may be any integer: 9 drops nothing, -1 everything."""
    return Filter.severity_max(_level("severity", severity))


def type_blacklist_provider(types: str | Iterable[str]) -> Filter:
    """Drop the types named; a lone string is one type."""
    return Filter.type_blacklist(_names(types))


def type_whitelist_provider(types: str | Iterable[str]) -> Filter:
    """Drop every type but those named; a lone string is one type."""
    return Filter.type_whitelist(_names(types))


def type_severity_max_provider(types: Mapping[str, Mapping[str, int]]) -> Filter:
    """Drop what is less severe than the bound of its type: ``{"oldstyle": {"severity": 3}}``."""
    if not _is_map(types):
        msg = f"types is {types!r}, expected {{type: {{'severity': number}}}}"
        raise ConfigError(msg)
    return Filter.type_severity_max({kind: _bound(kind, spec) for kind, spec in types.items()})


def _names(types: str | Iterable[object]) -> set[str]:
    names: set[object] = {types} if isinstance(types, str) else set(types)
    texts = {name for name in names if isinstance(name, str)}
    if len(texts) < len(names):
        msg = f"types is {types!r}, expected the names of types"
        raise ConfigError(msg)
    return texts


def _is_map(given: object) -> bool:
    return isinstance(given, Mapping)


def _bound(kind: str, spec: Mapping[str, int]) -> int:
    if not _is_map(spec) or "severity" not in spec:
        msg = f"types.{kind} is {spec!r}, expected {{'severity': number}}"
        raise ConfigError(msg)
    return _level(f"types.{kind}.severity", spec["severity"])


def _level(name: str, severity: object) -> int:
    if not isinstance(severity, int):
        msg = f"{name} is {severity!r}, expected an integer"
        raise ConfigError(msg)
    return max(-FARTHEST, min(severity, FARTHEST))
