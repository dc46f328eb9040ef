"""What senders have in common."""

from __future__ import annotations

from metlog import _metlog
from metlog._watched import Watched, replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from metlog.senders._types import Message


class NativeSender(metaclass=Watched):
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
            self._client.connect("", 6, set(), self.target, [])
        self._client.hand_over(msg)

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until what `send_message` was given has left, at most `timeout` seconds."""
        return self._client is None or self._client.flush(timeout)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        replaced(name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        replaced(name)


# As it is before a test replaces it.
_SEND_MESSAGE = NativeSender.send_message


def target_of(sender: object) -> _metlog.Target | None:
    """Give back where the core would send for `sender`, if it is one the core runs."""
    # By type: a mock says that it is of the class it stands for.
    return getattr(sender, "target", None) if issubclass(type(sender), NativeSender) else None


def is_native(sender: object) -> bool:
    """Tell whether all that `sender` does is to have the core send, nobody having replaced a part of it."""
    if target_of(sender) is None:
        return False
    return type(sender).send_message is _SEND_MESSAGE and "send_message" not in sender.__dict__  # type: ignore[attr-defined]


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
        plain = json.loads(_metlog.to_json(msg))["payload"]
        return json.dumps(plain, indent=indent)
