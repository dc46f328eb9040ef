"""A sender for tests of applications."""

from __future__ import annotations

from metlog.senders.base import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from metlog.senders._types import Message

MAX_MESSAGES = 100


class DebugCaptureSender:
    """Keeps the last hundred messages, each as JSON text, in `msgs`. Keyword arguments become attributes."""

    def __init__(self, **attributes: object) -> None:
        from collections import deque

        self.msgs: deque[str] = deque(maxlen=MAX_MESSAGES)
        self.__dict__.update(attributes)

    def send_message(self, msg: Message) -> None:
        """Keep `msg`."""
        self.msgs.append(dumps(msg))
