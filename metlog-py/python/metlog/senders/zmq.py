"""Messages over ZeroMQ: batches to the sidecar, or single messages to receivers of the original family."""

from __future__ import annotations

from metlog._complain import say
from metlog._metlog import Target
from metlog.exceptions import ConfigError
from metlog.senders.base import NativeSender, dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from metlog.senders._types import Message

# How batches reach the sidecar, and where it is when nobody says.
DELIVERIES = {
    "push": (Target.push, Target.default_endpoints),
    "acked": (Target.acked, Target.default_link_endpoints),
}


def _endpoints(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


class ZmqPushSender(NativeSender):
    """Sends batches to the sidecar, or to several in turn; without `endpoints` to that of this host.

    With `delivery` "acked" they go over the sidecar's link, `endpoints` being those of the link, and each
    is kept until the sidecar has it on disk: a sidecar may be killed and started again without a loss. With
    "push", the default, what lies in the sockets of a sidecar that dies is lost, and a message costs the
    process less.
    """

    def __init__(self, endpoints: str | Sequence[str] | None = None, delivery: str = "push") -> None:
        if delivery not in DELIVERIES:
            msg = f"delivery is {delivery!r}, expected {' or '.join(map(repr, DELIVERIES))}"
            raise ConfigError(msg)
        target, usual = DELIVERIES[delivery]
        self.delivery = delivery
        self.endpoints = usual() if endpoints is None else _endpoints(endpoints)
        super().__init__(target(self.endpoints))


class ZmqPubSender(NativeSender):
    """Publishes single messages to receivers that subscribe; what nobody hears is lost.

    `pool_size`, `queue_length` and `livecheck` are accepted and not used: one socket of the core does it all.
    `debug_stderr` also writes each message to standard error, as JSON on a line.
    """

    def __init__(
        self,
        bindstrs: str | Sequence[str],
        pool_size: int = 10,
        queue_length: int = 1000,
        livecheck: int = 10,
        debug_stderr: bool = False,
    ) -> None:
        super().__init__(Target.publish(_endpoints(bindstrs)))
        self.pool_size, self.queue_length, self.livecheck = pool_size, queue_length, livecheck
        self.debug_stderr = debug_stderr
        self.observe = _write_to_stderr if debug_stderr else None


class ZmqHandshakePubSender(NativeSender):
    """Publishes as `ZmqPubSender`, once a receiver has answered at `handshake_bind` that it is there.

    It is asked anew every `livecheck` seconds, and has `handshake_timeout` milliseconds to answer. Until the
    first answer is due messages wait, as far as the client's queue goes; while there is none they are written
    to standard error, a line each, and counted as dropped. No call waits for any of it. `pool_size` and
    `hwm` are accepted and not used.
    """

    def __init__(
        self,
        handshake_bind: str | Sequence[str],
        connect_bind: str | Sequence[str],
        handshake_timeout: float,
        pool_size: int = 10,
        hwm: int = 200,
        livecheck: float = 10,
        debug_stderr: bool = False,
    ) -> None:
        asked, endpoints = _endpoints(handshake_bind), _endpoints(connect_bind)
        super().__init__(Target.handshake(asked, endpoints, handshake_timeout / 1000, livecheck))
        self.handshake_timeout, self.livecheck = handshake_timeout, livecheck
        self.pool_size, self.hwm = pool_size, hwm
        self.debug_stderr = debug_stderr
        self.observe = _write_to_stderr if debug_stderr else None


def _write_to_stderr(msg: Message) -> None:
    say(dumps(msg))
