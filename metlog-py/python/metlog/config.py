"""Clients from configurations: dicts, and INI texts as `_ini` reads them.

{"sender": {"class": "metlog.senders.zmq.ZmqPushSender", "endpoints": ["tcp://127.0.0.1:5566"]},
 "logger": "syncstorage",
 "severity": 6,
 "disabled_timers": ["db.query"],
 "handle_sigterm": True,
 "filters": [("metlog.filters.severity_max_provider", {"severity": 5})],
 "plugins": {"procinfo": ("metlog_psutils.psutil_plugin:config_plugin", {})},
 "global": {}}
"""

from __future__ import annotations

import copy
import sys

# `collections.abc`, without `collections`.
from _collections_abc import Mapping, Sequence

from metlog.client import MetlogClient
from metlog.exceptions import ConfigError, MissingKeyError
from metlog.holder import CLIENT_HOLDER
from metlog.path import resolve_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TextIO

    from metlog._ini import convert as _convert
    from metlog._ini import dict_from_stream_config

    Config = Mapping[str, Any]
    Resolve = Callable[[str], Any]

__all__ = [
    "_convert",
    "client_from_dict_config",
    "client_from_stream_config",
    "client_from_text_config",
    "dict_from_stream_config",
    "nest_prefixes",
]


def client_from_dict_config(
    config: Config,
    client: MetlogClient | None = None,
    clear_global: bool = False,
) -> MetlogClient:
    """Make a client, or set up `client` anew, as `config` says; unknown keys are ignored.

    Dotted names that start with ``.`` or ``:`` are relative to the package of the caller.

    Raises `ConfigError` for what cannot work, naming the key.
    """
    nested = nest_prefixes(_copied(config))
    package = _package_of_caller()

    def resolve(name: str) -> Any:
        return resolve_name(name, package)

    sender = _sender(nested.get("sender", {}), resolve)
    filters = [
        _call(f"filters[{place}]", resolve(provider), **settings)
        for place, (provider, settings) in enumerate(_pairs("filters", nested.get("filters") or ()))
    ]
    arguments = (
        sender,
        nested.get("logger", ""),
        nested.get("severity", 6),
        nested.get("disabled_timers"),
        filters,
    )
    if nested.get("handle_sigterm"):
        from metlog._sigterm import handle_sigterm

        # First, as it may refuse.
        handle_sigterm()
    if client is None:
        client = MetlogClient(*arguments)
    else:
        client.setup(*arguments)
    _add_plugins(client, nested.get("plugins") or {}, resolve)
    if clear_global:
        CLIENT_HOLDER.global_config.clear()
    CLIENT_HOLDER.global_config.update(nested.get("global") or {})
    client._configuration = nested
    return client


def client_from_stream_config(
    stream: TextIO,
    section: str,
    client: MetlogClient | None = None,
    clear_global: bool = False,
) -> MetlogClient:
    """Make a client from the section `section` of an INI file."""
    from metlog._ini import dict_from_stream_config

    return client_from_dict_config(dict_from_stream_config(stream, section), client, clear_global)


def client_from_text_config(
    text: str,
    section: str,
    client: MetlogClient | None = None,
    clear_global: bool = False,
) -> MetlogClient:
    """Make a client from the section `section` of an INI text."""
    import io
    import textwrap

    return client_from_stream_config(io.StringIO(textwrap.dedent(text)), section, client, clear_global)


def nest_prefixes(
    config_dict: Mapping[str, Any],
    prefixes: Sequence[str] | None = None,
    separator: str = "_",
) -> dict[str, Any]:
    """Copy each key ``<prefix>_<name>`` to the key `name` of the dict ``<prefix>``, over what is there."""
    nested = dict(config_dict)
    for prefix in ("sender", "global") if prefixes is None else prefixes:
        start = prefix + separator
        flat = {
            name.removeprefix(start): value for name, value in config_dict.items() if name.startswith(start)
        }
        if flat:
            nested[prefix] = {**nested.get(prefix, {}), **flat}
    return nested


def __getattr__(name: str) -> object:
    # INI texts need `configparser`, dicts do not.
    if name in ("_convert", "dict_from_stream_config"):
        from metlog import _ini

        return getattr(_ini, name.removeprefix("_"))
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def _copied(config: Config) -> dict[str, Any]:
    try:
        return copy.deepcopy(dict(config))
    except Exception:  # noqa: BLE001 - a value of the application that cannot be copied is used as it is
        return dict(config)


def _package_of_caller() -> str | None:
    """Give back the package of the innermost code that is not metlog's own."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("metlog."):
        frame = frame.f_back
    package: str | None = frame.f_globals.get("__package__") or None
    return package


def _sender(settings: object, resolve: Resolve) -> Any:
    if not isinstance(settings, Mapping):
        msg = f"sender is {settings!r}, expected {{'class': dotted name, ...}}"
        raise ConfigError(msg)
    if "class" not in settings:
        msg = "sender has no 'class', expected a dotted name such as metlog.senders.zmq.ZmqPushSender"
        raise MissingKeyError(msg)
    keywords = {name: value for name, value in settings.items() if name not in ("class", "args")}
    positional = settings.get("args", ())
    if isinstance(positional, str) or not isinstance(positional, Sequence):
        positional = (positional,)
    return _call("sender", resolve(settings["class"]), *positional, **keywords)


def _call(key: str, provider: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    try:
        return provider(*args, **keywords)
    except TypeError as error:
        msg = f"{key} cannot be made: {error}"
        raise ConfigArgumentError(msg) from error


class ConfigArgumentError(ConfigError, TypeError):
    """A sender or a filter does not take the settings it is given."""


def _pairs(key: str, given: Sequence[Any]) -> list[tuple[str, Config]]:
    for place, pair in enumerate(given):
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            msg = f"{key}[{place}] is {pair!r}, expected (dotted name, settings)"
            raise ConfigError(msg)
    return [(provider, settings or {}) for provider, settings in given]


def _add_plugins(client: MetlogClient, plugins: Mapping[str, Sequence[Any]], resolve: Resolve) -> None:
    for label, pair in plugins.items():
        ((provider, settings),) = _pairs(f"plugins.{label}", [pair])
        settings = dict(settings)
        override = settings.pop("override", False)
        client.add_method(resolve(provider)(settings), override)
