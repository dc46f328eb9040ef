"""What senders have in common."""

from __future__ import annotations

from metlog import _metlog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from metlog.senders._types import Message


class NativeSender:
    """A sender that the core runs: clients hand it messages as they are, and as dicts only to `observe`."""

    observe: Callable[[Message], None] | None = None

    def __init__(self, target: _metlog.Target) -> None:
        self.target = target
        self._client: _metlog.Client | None = None

    def send_message(self, msg: Message) -> None:
        """Send one message that is a dict already."""
        if self.observe is not None:
            self.observe(msg)
        if self._client is None:
            self._client = _metlog.Client()
            self._client.connect(self.target)
        self._client.hand_over(msg)

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until what `send_message` was given has left, at most `timeout` seconds."""
        return self._client is None or self._client.flush(timeout)


def native_target(sender: object) -> _metlog.Target | None:
    """Give back where the core sends for `sender`, if that is all it does."""
    if isinstance(sender, NativeSender) and type(sender).send_message is NativeSender.send_message:
        return sender.target
    return None


class NoSendSender:
    """Stands where no sender is configured: everything is refused, which is said once."""

    def send_message(self, msg: Message) -> None:
        """Refuse `msg`."""
        raise NotImplementedError


def dumps(msg: Message, indent: int | None = None) -> str:
    """Write `msg` as JSON; values that JSON does not have are replaced as on the wire."""
    import json

    try:
        return json.dumps(msg, indent=indent, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        # As a payload the message keeps its columns whatever they hold.
        plain = json.loads(_metlog.to_json({"type": "", "payload": msg}))["payload"]
        return json.dumps(plain, indent=indent)
