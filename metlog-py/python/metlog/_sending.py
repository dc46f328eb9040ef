"""Which clients are sending where code runs: what a sender logs meanwhile is not sent again by its client.

Kept by context, so that neither threads nor greenlets nor tasks keep each other's records from being sent.
"""

from __future__ import annotations

from _contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class sending:  # noqa: N801 - used as a statement
    """A block in which `client` sends."""

    __slots__ = ("around", "client")

    def __init__(self, client: object) -> None:
        self.client: Any = client

    def __enter__(self) -> None:
        self.around = _innermost.get()
        _innermost.set(self)

    def __exit__(self, *_: object) -> None:
        _innermost.set(self.around)
        # A task that was begun inside has this block for good, and may send as any other.
        self.client = None


def is_sending(client: object) -> bool:
    """Tell whether `client` sends in one of the blocks around."""
    block = _innermost.get()
    while block is not None:
        if block.client is client:
            return True
        block = block.around
    return False


_innermost: ContextVar[sending | None] = ContextVar("metlog.sending", default=None)
