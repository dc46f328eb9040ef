"""A sender for tests of applications."""

from collections import deque

from metlog.senders.base import Message, dumps

MAX_MESSAGES = 100


class DebugCaptureSender:
    """Keeps the last hundred messages, each as JSON text, in `msgs`. Keyword arguments become attributes."""

    def __init__(self, **attributes: object) -> None:
        self.msgs: deque[str] = deque(maxlen=MAX_MESSAGES)
        self.__dict__.update(attributes)

    def send_message(self, msg: Message) -> None:
        """Keep `msg`."""
        self.msgs.append(dumps(msg))
