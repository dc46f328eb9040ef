"""Metlog: typed messages, counters, gauges, timers and log lines that cost the application almost nothing.

>>> from metlog.config import client_from_dict_config
>>> client = client_from_dict_config({"sender": {"class": "metlog.senders.NoSendSender"}, "logger": "app"})
>>> client.is_active
False

A call never waits and never raises: what cannot be sent is counted, see `MetlogClient.stats`. Importing
starts no thread and opens no socket.
"""

from metlog import _process
from metlog._metlog import Report, Stats, __version__
from metlog.client import SEVERITY, MetlogClient
from metlog.exceptions import MetlogError

__all__ = ["SEVERITY", "MetlogClient", "MetlogError", "Report", "Stats", "__version__"]

_process.install_hooks()
