"""Messages to the standard library's `logging`."""

from __future__ import annotations

import logging

from metlog.senders.base import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from metlog.senders._types import Message

__all__ = ["StdLibLoggingSender"]

EVERY_TYPE = "*"

# For what is no severity.
UNKNOWN = logging.WARNING


class StdLibLoggingSender:
    """Logs messages to the logger `logger_name`, or the root logger.

    Of the types in `payload_types` it logs the payload; of those in `json_types` the whole message as JSON;
    others it drops. ``*`` stands for every type.
    """

    SEVERITY_MAP = {  # noqa: RUF012 - as the original has it
        0: logging.CRITICAL,
        1: logging.CRITICAL,
        2: logging.CRITICAL,
        3: logging.ERROR,
        4: logging.WARNING,
        5: logging.INFO,
        6: logging.INFO,
        7: logging.DEBUG,
    }

    def __init__(
        self,
        logger_name: str | None = None,
        payload_types: str | Iterable[str] | None = None,
        json_types: str | Iterable[str] | None = None,
    ) -> None:
        self.logger_name = logger_name
        self.logger = logging.getLogger(logger_name)
        self.payload_types = _listed(payload_types, "oldstyle")
        self.json_types = _listed(json_types, EVERY_TYPE)

    def send_message(self, msg: Message) -> None:
        """Log one message."""
        kind = msg["type"]
        if not {kind, EVERY_TYPE}.isdisjoint(self.payload_types):
            text = msg["payload"]
        elif not {kind, EVERY_TYPE}.isdisjoint(self.json_types):
            text = dumps(msg)
        else:
            return
        self.logger.log(self._level(msg["severity"]), text)

    def _level(self, severity: object) -> int:
        return self.SEVERITY_MAP.get(severity, UNKNOWN) if isinstance(severity, int) else UNKNOWN


def _listed(types: str | Iterable[str] | None, usual: str) -> list[str]:
    if types is None:
        return [usual]
    return [types] if isinstance(types, str) else list(types)
