"""What tests capture: while there is a list here, messages go onto it and nowhere else."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from metlog.senders._types import Message

# Innermost last.
captures: list[list[Message]] = []
