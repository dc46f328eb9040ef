"""Records of the standard library's `logging` as messages."""

import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

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


class MetlogHandler(logging.Handler):
    """Sends each record through `client` as an `oldstyle` message: its text, with its traceback below.

    A record that is made while a message is on its way, by a sender that logs, is not sent again.
    """

    def __init__(self, client: "MetlogClient") -> None:
        super().__init__()
        self.client = client
        self._sending = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        if getattr(self._sending, "record", None) is not None:
            return
        try:
            payload = self.format(record)
        except Exception:  # noqa: BLE001 - what a text or its arguments raise, `logging` reports
            self.client.count_refused("encode")
            # It raises what it cannot report: RecursionError, or a standard error that is closed.
            with suppress(Exception):
                self.handleError(record)
            return
        self._sending.record = record
        try:
            self.client.metlog("oldstyle", severity=severity_of(record.levelno), payload=payload)
        finally:
            self._sending.record = None


def severity_of(level: int) -> int:
    """Give back the severity of a level, as that of the range it lies in."""
    return next((severity for least, severity in SEVERITIES if level >= least), SEVERITY.DEBUG)


def hook_logger(logger_name: str | None, client: "MetlogClient") -> None:
    """Have what `logger_name`, or the root logger, logs sent through `client`; once for each client."""
    logger = logging.getLogger(logger_name)
    hooked = (handler for handler in logger.handlers if isinstance(handler, MetlogHandler))
    if not any(handler.client is client for handler in hooked):
        logger.addHandler(MetlogHandler(client))
