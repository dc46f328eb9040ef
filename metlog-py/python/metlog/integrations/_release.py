"""A client that lets go of its thread and sockets, and goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metlog.client import MetlogClient


def release(client: MetlogClient) -> None:
    """Wait until what there is has left the process, two seconds at most; the next message starts anew.

    `flush` waits until ZeroMQ has it, which takes it along when the process is killed.
    """
    # Set up anew, a client begins with what it has when it was never used.
    client.sender = client.sender
