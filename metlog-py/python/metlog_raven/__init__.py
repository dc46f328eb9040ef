"""Exceptions as `sentry` messages: with their frames, source lines, variables and causes.

>>> from metlog.config import client_from_dict_config
>>> client = client_from_dict_config({
...     "sender": {"class": "metlog.senders.DebugCaptureSender"},
...     "plugins": {"raven": ("metlog_raven.raven_plugin:config_plugin", {})},
... })
>>> try:
...     1 / 0
... except ZeroDivisionError:
...     client.raven("dividing")
>>> import json
>>> message = json.loads(client.sender.msgs[0])
>>> decode(message["payload"])["message"]
'ZeroDivisionError: division by zero'

Variables are shown as far as they are of Python's own types, bounded, and with secrets masked; no
`__repr__` of the application runs. The package `raven` is not needed.
"""

from metlog_raven._capture import capture_stack
from metlog_raven._payload import decode, format_event
from metlog_raven.raven_plugin import InvalidArgumentError, RavenClient, config_plugin

__all__ = ["InvalidArgumentError", "RavenClient", "capture_stack", "config_plugin", "decode", "format_event"]
