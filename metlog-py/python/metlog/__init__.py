"""Metlog: typed messages, counters, gauges, timers and log lines that cost the application almost nothing.

>>> import metlog
>>> client = metlog.configure(logger="shop")
>>> client.incr("orders")
>>> with metlog.bind(user_id=25), client.timer("order.place"):
...     client.info("%s ordered", "somebody")

A call never waits and never raises: what cannot be sent is counted, see `MetlogClient.stats`. Importing
starts no thread and opens no socket.
"""

from __future__ import annotations

from metlog import (
    _interpreter,  # noqa: F401 - first of all: it refuses what cannot work
    _metlog,
    _process,
)
from metlog._default import configure, get_client
from metlog._metlog import BoundFields, Counter, Gauge, Report, Stats, Timer, __version__
from metlog._sigterm import handle_sigterm
from metlog.client import SEVERITY, MetlogClient
from metlog.exceptions import MetlogError

__all__ = [
    "SEVERITY",
    "BoundFields",
    "Counter",
    "Gauge",
    "MetlogClient",
    "MetlogError",
    "Report",
    "Stats",
    "Timer",
    "__version__",
    "bind",
    "configure",
    "counter",
    "gauge",
    "get_client",
    "handle_sigterm",
    "timer",
]


def counter(name: str) -> Counter:
    """Give back a handle of the default client that counts under `name`, also before `configure`."""
    return _metlog.Counter(None, name)


def gauge(name: str) -> Gauge:
    """Give back a handle of the default client's gauge `name`, also before `configure`."""
    return _metlog.Gauge(None, name)


def timer(name: str) -> Timer:
    """Give back a handle of the default client that times under `name`, also before `configure`."""
    return _metlog.Timer(None, name)


def bind(**fields: object) -> BoundFields:
    """Have `fields` on every message of every client, in a ``with`` block or each call of a function.

    They belong to the context (`contextvars`): other threads and tasks do not see them, tasks begun in it
    do. The fields of a call come before them.
    """
    return _metlog.BoundFields(fields)


_process.install_hooks()
