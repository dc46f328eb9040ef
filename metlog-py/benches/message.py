"""The message that everything is measured with, and how each peer writes it."""

from __future__ import annotations

from typing import Any

import orjson
import structlog

# A call builds its fields, as an application's does.
FIELDS = "{'userid': 25, 'req_time': 4, 'path': '/1.1/bookmarks'}"

METLOG = f"client.metlog('services', payload='this is the payload', fields={FIELDS})"

FLOOR = f"floor.metlog('services', payload='this is the payload', fields={FIELDS})"

STRUCTLOG = "structlog.info('this is the payload', userid=25, req_time=4, path='/1.1/bookmarks')"

ORJSON_PYZMQ = (
    "push(dumps({'type': 'services', 'timestamp': '2012-10-01T12:00:00.000000Z', 'logger': 'syncstorage', "
    "'severity': 6, 'payload': 'this is the payload', "
    f"'fields': {FIELDS}, 'env_version': '0.8', 'metlog_pid': 4711, 'metlog_hostname': 'web1'}}))"
)


class _Nowhere:
    """A file that keeps nothing."""

    def write(self, data: bytes) -> None:
        """Drop `data`."""

    def flush(self) -> None:
        """Do nothing."""


def structlog_orjson() -> Any:
    """Give back the fastest set-up of structlog's documentation: orjson, bytes, cached on first use."""
    return structlog.wrap_logger(
        structlog.BytesLogger(_Nowhere()),  # type: ignore[arg-type]
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        cache_logger_on_first_use=True,
    )
