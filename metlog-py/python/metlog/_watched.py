"""Tells clients when somebody replaces what decides how their messages go: `send_message`, as tests do."""

from __future__ import annotations

from _weakref import ref
from abc import ABCMeta

from metlog import _metlog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from metlog.client import MetlogClient

# What clients look at once, and not at each call.
DECIDING = frozenset(("send_message", "observe"))

_clients: dict[int, ref[MetlogClient]] = {}


def watch(client: MetlogClient) -> None:
    """Have `client` told as long as it lives."""
    key = id(client)
    _clients[key] = ref(client, lambda _: _clients.pop(key, None))


def replaced(name: str) -> None:
    """Tell every client that an attribute `name` of something was set or deleted."""
    if name in DECIDING:
        for reference in list(_clients.values()):
            client = reference()
            if client is not None:
                client._route()


# Of this kind, so that a subclass may be abstract.
class Watched(ABCMeta):
    """The class of classes that tell."""

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        _metlog.class_changed()
        replaced(name)

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        _metlog.class_changed()
        replaced(name)


def tells(cls: type) -> bool:
    """Say whether every change of what a class of clients has is told: it may have other bases too."""
    return all(
        base in (_metlog.Client, object)
        or (type(base).__setattr__, type(base).__delattr__) == (Watched.__setattr__, Watched.__delattr__)
        for base in cls.__mro__
    )
