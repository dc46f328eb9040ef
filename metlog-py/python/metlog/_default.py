"""The default client of the process: the one that `holder.CLIENT_HOLDER` has as its default.

There is one notion of it. What `configure` sets up is the holder's default client, which it makes if there is
none, so that decorators, code written for the originals and the functions of this package all mean the same.
"""

from __future__ import annotations

import os
from _thread import RLock

from metlog import _metlog
from metlog._complain import complain_once
from metlog.client import MetlogClient
from metlog.exceptions import ConfigError, MetlogError
from metlog.holder import CLIENT_HOLDER
from metlog.senders.base import NativeSender, NoSendSender

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from metlog.client import MessageFilter
    from metlog.senders._types import Sender

# What the default client is called in the holder when it has no logger.
NAME = "metlog"

# Names a TOML file; what `configure` is given comes before it.
CONFIG_VARIABLE = "METLOG_CONFIG"

# Held while the default client is set up. A thread that holds it when another forks is not in the child.
_one_at_a_time = RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_one_at_a_time._at_fork_reinit)  # type: ignore[attr-defined]


def configure(
    path: str | os.PathLike[str] | None = None,
    *,
    sender: Sender | Mapping[str, Any] | None = None,
    filters: Iterable[MessageFilter] | Mapping[str, Any] | None = None,
    handle_sigterm: bool = False,
    **settings: Any,
) -> MetlogClient:
    """Set up the default client, and give it back.

    `settings` are the settings of metlog's configuration by name: ``logger="shop"``, ``queue_bytes="16MiB"``,
    ``sender_class="udp"``. They come before the variables ``METLOG_*``, and those before the TOML file `path`
    or, without one, the file that ``METLOG_CONFIG`` names. What none of them says has its default: metlog
    sends to the sidecar of this host, which need not be there yet.

    `sender` may be the table of that name, or any object with ``send_message``; `filters` the table, or
    callables that decide after those of the configuration. `handle_sigterm` has SIGTERM send what is left
    before it ends the process. Called again, it sets up the same client anew.

    Raises `ConfigError`, which is a `ValueError`, naming each key that is wrong, and then changes nothing.
    """
    keywords = {name: value for name, value in settings.items() if value is not None}
    own_sender = None if sender is None else _own("sender", sender, keywords)
    own_filters = None if filters is None else _own("filters", filters, keywords)
    told = _metlog.Configuration("configure()", keywords, path or os.environ.get(CONFIG_VARIABLE) or None)
    if handle_sigterm:
        from metlog import _sigterm

        # First, as it may refuse.
        _sigterm.handle_sigterm()
    with _one_at_a_time:
        client = CLIENT_HOLDER.default_client
        is_new = client is None
        if client is None:
            client = MetlogClient(NoSendSender())
        client._set_up(
            NativeSender(told.target) if own_sender is None else own_sender,
            told.logger,
            told.severity,
            told.disabled_timers,
            [*told.filters, *(own_filters or ())],
            told.settings,
        )
        client._configuration = {"path": path, "sender": sender, "filters": filters, **settings}
        if is_new:
            name = told.logger or NAME
            CLIENT_HOLDER.set_client(name, client)
            CLIENT_HOLDER.set_default_client_name(name)
    return client


def get_client() -> MetlogClient:
    """Give back the default client; at its first use it is configured by the environment.

    Raises as `configure` does.
    """
    client = CLIENT_HOLDER.default_client
    if client is not None:
        return client
    with _one_at_a_time:
        # Another thread may have been first.
        return CLIENT_HOLDER.default_client or configure()


def bound_late() -> MetlogClient:
    """Give back the default client as `get_client` does, to those who cannot raise."""
    try:
        return get_client()
    except MetlogError as error:
        complain_once(f"metlog: {error}")
        return CLIENT_HOLDER.get_client(NAME)


def _own(key: str, given: Any, keywords: dict[str, Any]) -> Any:
    """Give back what is Python's own, and put a table's keys into `keywords`."""
    if isinstance(given, dict):
        keywords.update({f"{key}_{name}": value for name, value in given.items()})
        return None
    if key == "sender" and not hasattr(given, "send_message"):
        msg = f"sender is {given!r}, expected a table, or an object with send_message"
        raise ConfigError(msg)
    if key == "filters":
        given = list(given)
        if not all(map(callable, given)):
            msg = f"filters is {given!r}, expected a table, or a list of callables"
            raise ConfigError(msg)
    return given
