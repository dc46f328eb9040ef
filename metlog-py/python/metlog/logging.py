"""Records of the standard library's `logging` as messages.

    "handlers": {"metlog": {"class": "metlog.logging.MetlogHandler", "level": "INFO"}}

of a `dictConfig` is all it takes; the handler finds the default client when it has the first record to send.
"""

import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from metlog._metlog import send_record
from metlog._sending import is_sending, sending
from metlog.client import SEVERITY

if TYPE_CHECKING:
    from metlog.client import MetlogClient

__all__ = ["MetlogHandler", "hook_logger"]

# From which level on a record has which severity.
SEVERITIES = (
    (logging.CRITICAL, SEVERITY.CRITICAL),
    (logging.ERROR, SEVERITY.ERROR),
    (logging.WARNING, SEVERITY.WARNING),
    (logging.INFO, SEVERITY.INFORMATIONAL),
)

# What a record has of its own, and what formatters add; the rest is `extra`.
OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

# A record with so few attributes has no `extra`.
FEW_ATTRIBUTES = len(OWN_ATTRIBUTES) - 2

# Attributes that become fields when no client is given: this is no application of the originals.
USUAL_ATTRIBUTES = ("name", "exc_info")


class MetlogHandler(logging.Handler):
    """Sends each record as an `oldstyle` message: its text, with its traceback and stack below.

    What a record was given as `extra` become fields. So do `attributes` of the record: ``name`` as
    ``logger_name``, ``exc_info`` as ``exception`` (``type`` and ``value``), any other under its own name.
    Without a `client` the records go to the default client, and `attributes` are those two; with one they
    are none, as with the originals.

    A record that is made while a message is on its way, by a sender that logs, is not sent again.
    """

    def __init__(
        self,
        client: "MetlogClient | None" = None,
        attributes: Iterable[str] | None = None,
    ) -> None:
        super().__init__()
        self.client = client
        if attributes is None:
            attributes = USUAL_ATTRIBUTES if client is None else ()
        self.attributes = tuple(attributes)
        # A subclass with a `format` of its own has each record given to it.
        self._has_own_format = type(self).format is not logging.Handler.format

    def handle(self, record: logging.LogRecord) -> Any:
        """Send one record if the filters let it pass; a call that never waits needs no lock."""
        if not self.filters:
            self.emit(record)
            return True
        # From Python 3.12 on a filter may give another record.
        passed: Any = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        client = _default_client() if self.client is None else self.client
        # Most records run no code of the application, which might log again.
        is_plain = self.formatter is None and not self._has_own_format
        if is_plain and send_record(client, record, self.attributes):
            return
        if is_sending(client):
            return
        with sending(client):
            self._send(record, client)

    def _send(self, record: logging.LogRecord, client: "MetlogClient") -> None:
        try:
            payload, fields = self._text(record), self._fields(record)
        except Exception:  # noqa: BLE001 - what a text or its arguments raise, `logging` reports
            client.count_refused("encode")
            # It raises what it cannot report: RecursionError, or a standard error that is closed.
            with suppress(Exception):
                self.handleError(record)
            return
        client.metlog("oldstyle", severity=severity_of(record.levelno), payload=payload, fields=fields)

    def _text(self, record: logging.LogRecord) -> str:
        has_more = record.exc_info or record.exc_text or record.stack_info
        if self.formatter is None and not (has_more or self._has_own_format):
            # What the usual formatter comes to, at a third of its price.
            return record.getMessage()
        return self.format(record)

    def _fields(self, record: logging.LogRecord) -> dict[str, Any] | None:
        attributes = vars(record)
        fields: dict[str, Any] = {}
        if len(attributes) > FEW_ATTRIBUTES:
            fields = {name: attributes[name] for name in attributes if name not in OWN_ATTRIBUTES}
        for name in self.attributes:
            if name == "name":
                fields["logger_name"] = record.name
            elif name == "exc_info":
                fields.update(_exception(record.exc_info))
            elif name in attributes:
                fields[name] = attributes[name]
        return fields or None


def severity_of(level: int) -> int:
    """Give back the severity of a level, as that of the range it lies in."""
    return next((severity for least, severity in SEVERITIES if level >= least), SEVERITY.DEBUG)


def hook_logger(logger_name: str | None, client: "MetlogClient") -> None:
    """Have what `logger_name`, or the root logger, logs sent through `client`; once for each client."""
    logger = logging.getLogger(logger_name)
    hooked = (handler for handler in logger.handlers if isinstance(handler, MetlogHandler))
    if not any(handler.client is client for handler in hooked):
        logger.addHandler(MetlogHandler(client))


def _default_client() -> "MetlogClient":
    from metlog._default import bound_late

    return bound_late()


def _exception(exc_info: Any) -> dict[str, Any]:
    if not exc_info or exc_info[1] is None:
        return {}
    kind = type(exc_info[1])
    return {"exception": {"type": f"{kind.__module__}.{kind.__qualname__}", "value": str(exc_info[1])}}
