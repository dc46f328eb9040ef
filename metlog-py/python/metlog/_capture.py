"""What tests capture: while there is a list here, messages go onto it and nowhere else."""

from __future__ import annotations

from _thread import _local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from metlog.senders._types import Message

# Innermost last.
captures: list[list[Message]] = []


class _Here(_local):
    """What this thread does."""

    # True while it sends what was summed before a test, or what a closing client still has.
    hands_sums_over = False


here = _Here()
