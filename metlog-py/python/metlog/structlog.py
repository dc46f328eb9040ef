"""Events of structlog as messages; structlog itself is imported by those who use it.

structlog.configure(processors=[structlog.contextvars.merge_contextvars, MetlogProcessor()])
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from metlog.client import MetlogClient

__all__ = ["MetlogProcessor", "MetlogTee"]

# The names of structlog's methods, and of levels.
SEVERITIES = {
    "critical": 2,
    "fatal": 2,
    "exception": 3,
    "error": 3,
    "warn": 4,
    "warning": 4,
    "info": 6,
    "debug": 7,
}

INFORMATIONAL = 6


class MetlogTee:
    """Sends each event as an `oldstyle` message, and gives it on to the processors behind this one.

    ``event`` is the payload, with the traceback of ``exc_info`` below it; what else the event has become
    fields. `client` is the default client unless it is given.
    """

    def __init__(self, client: MetlogClient | None = None) -> None:
        self.client = client

    def __call__(
        self,
        logger: Any,  # noqa: ARG002 - structlog's, which is not to be used
        method_name: str,
        event_dict: MutableMapping[str, Any],
    ) -> MutableMapping[str, Any]:
        """Send one event."""
        from metlog._default import bound_late

        client = bound_late() if self.client is None else self.client
        try:
            _send(client, method_name, dict(event_dict))
        except Exception:  # noqa: BLE001 - whatever a text or its parts raise, the application goes on
            client.count_refused("encode")
        return event_dict


def _send(client: MetlogClient, method_name: str, fields: dict[str, Any]) -> None:
    payload, exc_info = fields.pop("event", ""), fields.pop("exc_info", None)
    if exc_info:
        from metlog._traceback import append

        payload = append(payload, exc_info)
    elif "exception" in fields:
        # What `structlog.processors.format_exc_info` has made of it.
        payload = f"{payload}\n{fields.pop('exception')}"
    severity = SEVERITIES.get(str(fields.pop("level", method_name)), INFORMATIONAL)
    client.metlog("oldstyle", severity=severity, payload=payload, fields=fields)


class MetlogProcessor(MetlogTee):
    """As `MetlogTee`, but the last processor: the event goes no further, to no logger of structlog's."""

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Send one event."""
        from structlog import DropEvent

        super().__call__(logger, method_name, event_dict)
        raise DropEvent
