"""The plugin: gives a client its method `raven`."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from metlog import _metlog
from metlog._traceback import ExcInfo, active
from metlog.client import SEVERITY, MetlogClient
from metlog.exceptions import ConfigError
from metlog_raven._capture import capture_stack
from metlog_raven._payload import decode

__all__ = ["InvalidArgumentError", "RavenClient", "capture_stack", "config_plugin"]

SETTINGS = ("dsn", "logger", "severity", "sentry_project_id")


class InvalidArgumentError(ConfigError, RuntimeError):
    """A setting is unknown."""


class RavenClient:
    """Reads payloads, for tests that did so with the original's client of Sentry."""

    def __init__(self, dsn: str | None = None, **_settings: Any) -> None:
        self.dsn = dsn

    def decode(self, data: str | bytes) -> dict[str, Any]:
        """Give back the event in a payload; raises `ValueError` when there is none."""
        return decode(data)


def config_plugin(config: Mapping[str, Any]) -> Callable[..., None]:
    """Make the method.

    `dsn` is the project of Sentry that the output is to deliver to; it travels with each message,
    credentials and all. `logger` and `severity` (3) are those of calls that name none. `sentry_project_id`
    is accepted and not used: the DSN names the project.

    Raises `InvalidArgumentError` for other settings, and `ConfigError`, a `ValueError`, for a DSN that is
    none.
    """
    unknown = sorted(map(str, set(config) - set(SETTINGS)))
    if unknown:
        msg = f"Unexpected arguments: {unknown}, expected some of {', '.join(SETTINGS)}"
        raise InvalidArgumentError(msg)
    dsn = _metlog.Dsn(str(config["dsn"])) if config.get("dsn") else None
    usual_logger, usual_severity = config.get("logger"), config.get("severity", SEVERITY.ERROR)

    def raven(
        client: MetlogClient,
        msg: str = "",
        exc_info: bool | BaseException | ExcInfo = True,
        logger: str | None = None,
        severity: int | None = None,
        *_args: Any,
        **kwargs: Any,
    ) -> None:
        """Send the active exception, or that of `exc_info`, as a `sentry` message.

        Nothing is sent when there is none. `payload` is sent in place of an exception. Other keyword
        arguments become fields.
        """
        columns: dict[str, Any] = {
            "logger": usual_logger if logger is None else logger,
            "severity": usual_severity if severity is None else severity,
        }
        if "payload" in kwargs:
            payload = kwargs.pop("payload")
            told = {"msg": msg, "dsn": None if dsn is None else str(dsn)}
            fields = {**kwargs, "epoch_timestamp": time.time(), **told}
            client.metlog("sentry", payload=payload, fields=fields, **columns)
            return
        error, traceback = active(exc_info)
        if error is not None:
            client.send_exception(error, traceback, msg, dsn, fields=kwargs, **columns)

    raven.__dict__.update(metlog_name="raven")
    return raven
