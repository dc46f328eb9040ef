"""What a message and a sender are, for type checkers and `isinstance`."""

from typing import Any, Protocol, runtime_checkable

Message = dict[str, Any]


@runtime_checkable
class Sender(Protocol):
    """Anything a client can give its messages to."""

    def send_message(self, msg: Message) -> object:
        """Send one message; what it raises is counted and said on standard error."""
