"""Senders: where a client's messages go.

Senders that the core runs (`UdpSender`, `JsonLinesSender`, and those of `metlog.senders.zmq`) take a message
without waiting and send it from a thread of their own. Every other sender is any object with
``send_message(msg)``: it gets each message as a dict, on the thread that made the call.
"""

from __future__ import annotations

from metlog.senders.base import NativeSender, NoSendSender
from metlog.senders.dev import DebugCaptureSender
from metlog.senders.stream import FileSender, JsonLinesSender, StdOutSender, StreamSender
from metlog.senders.udp import UdpSender

TYPE_CHECKING = False
if TYPE_CHECKING:
    from metlog.senders._types import Sender

__all__ = [
    "DebugCaptureSender",
    "FileSender",
    "JsonLinesSender",
    "NativeSender",
    "NoSendSender",
    "Sender",
    "StdOutSender",
    "StreamSender",
    "UdpSender",
]


def __getattr__(name: str) -> object:
    # A protocol needs `typing`, which takes longer to import than all of metlog.
    if name == "Sender":
        from metlog.senders import _types

        return _types.Sender
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
