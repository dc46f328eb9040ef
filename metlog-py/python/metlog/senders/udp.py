"""Messages as JSON datagrams, for receivers of the original family."""

from __future__ import annotations

from metlog._metlog import Target
from metlog.exceptions import ConfigError
from metlog.senders.base import NativeSender

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class UdpSender(NativeSender):
    """Sends each message to every destination.

    `host` and `port` are one each or a sequence of them; missing ports repeat the last, extra are ignored.
    """

    def __init__(self, host: str | Sequence[str], port: int | str | Sequence[int | str]) -> None:
        hosts = [host] if isinstance(host, str) else list(host)
        ports = [_port(given) for given in ([port] if isinstance(port, int | str) else port)]
        if not hosts or not ports:
            msg = f"host is {host!r} and port is {port!r}, expected at least one of each"
            raise ConfigError(msg)
        ports += ports[-1:] * (len(hosts) - len(ports))
        self._destinations = list(zip(hosts, ports, strict=False))
        super().__init__(Target.udp(self._destinations))


def _port(given: int | str) -> int:
    try:
        port = int(given)
    except (TypeError, ValueError):
        port = -1
    if not 0 < port < 65536:
        msg = f"port is {given!r}, expected 1 to 65535"
        raise ConfigError(msg)
    return port
