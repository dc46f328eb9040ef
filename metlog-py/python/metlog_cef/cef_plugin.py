"""The plugin: gives a client its method `cef`."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from metlog import _metlog
from metlog._request import environ_of
from metlog.client import MetlogClient
from metlog.exceptions import ConfigError

SETTINGS = ("syslog_options", "syslog_facility", "syslog_ident", "syslog_priority")


class InvalidArgumentError(ConfigError, RuntimeError):
    """A setting is unknown, or has a value that it cannot have."""


@dataclass(frozen=True)
class Request:
    """The request an event is about, for applications that have no WSGI environment of it."""

    method: str | None = None
    path: str | None = None
    user_agent: str | None = None
    host: str | None = None
    source: str | None = None

    def environ(self) -> dict[str, str | None]:
        """Give back the part of a WSGI environment that says the same."""
        return {
            "REQUEST_METHOD": self.method,
            "PATH_INFO": self.path,
            "HTTP_USER_AGENT": self.user_agent,
            "HTTP_HOST": self.host,
            "REMOTE_ADDR": self.source,
        }


def config_plugin(config: Mapping[str, Any]) -> Callable[..., str]:
    """Make the method; `config` says how a syslog is to take its lines.

    `syslog_options`: a list with commas of PID, CONS, NDELAY, NOWAIT and LOG_PERROR. `syslog_facility`:
    KERN to LOCAL7. `syslog_ident`: any text. `syslog_priority`: EMERG to DEBUG. What is not given is left
    to the output.

    Raises `InvalidArgumentError` for anything else.
    """
    cef_meta = _checked_meta(config)

    def cef(
        client: MetlogClient,
        name: str,
        severity: int | str,
        environ: Mapping[str, Any] | Request | None,
        config: Mapping[str, Any],
        username: str | None = "none",
        signature: str | None = None,
        **kw: Any,
    ) -> str:
        """Send an event as a `cef` message, and give back its line.

        `environ` is the request's WSGI environment, a `Request` or a request of a web framework; None is the
        request that runs, where an integration of metlog knows it. `config` names the product by the keys
        cef.version, cef.vendor, cef.product and cef.device_version; `MissingKeyError`, a `KeyError`,
        says which one is not there. `severity` is 0 to 10 by convention. Other keyword arguments become
        keys of the line.
        """
        user = "none" if username is None else username
        request = _environ_of(environ)
        line, warnings = _metlog.cef_line(name, severity, request, config, user, signature, kw)
        for warning in warnings:
            logging.getLogger("CEF").warning("%s", warning)
        client.metlog("cef", payload=line, fields={"cef_meta": dict(cef_meta)})
        return line

    # `client.cef.cef_meta` is read by applications.
    cef.__dict__.update(metlog_name="cef", cef_meta=cef_meta)
    return cef


def _environ_of(given: Mapping[str, Any] | Request | None) -> Mapping[str, Any] | None:
    try:
        return environ_of(given.environ() if isinstance(given, Request) else given)
    except Exception:  # noqa: BLE001 - an object that raises when it is asked for its class
        return None


def _checked_meta(config: Mapping[str, Any]) -> dict[str, str | None]:
    unknown = sorted(map(str, set(config) - set(SETTINGS)))
    if unknown:
        msg = f"Unexpected arguments: {unknown}, expected some of {', '.join(SETTINGS)}"
        raise InvalidArgumentError(msg)
    values = [config.get(name) for name in SETTINGS]
    for name, value in zip(SETTINGS, values, strict=True):
        if not isinstance(value, str | None):
            msg = f"{name} is {value!r}, expected a text"
            raise InvalidArgumentError(msg)
    try:
        return _metlog.cef_meta(*values)
    except ValueError as error:
        raise InvalidArgumentError(str(error)) from error
