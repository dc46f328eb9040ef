"""Senders: where a client's messages go.

Senders that the core runs (`UdpSender`, `JsonLinesSender`, and those of `metlog.senders.zmq`) take a message
without waiting and send it from a thread of their own. Every other sender is any object with
``send_message(msg)``: it gets each message as a dict, on the thread that made the call.
"""

from metlog.senders.base import NativeSender, NoSendSender, Sender
from metlog.senders.dev import DebugCaptureSender
from metlog.senders.stream import FileSender, JsonLinesSender, StdOutSender, StreamSender
from metlog.senders.udp import UdpSender

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
