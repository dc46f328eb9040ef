"""Figures of a process, as the operating system knows them, as `procinfo` messages.

The package `psutil` is needed where figures are asked for: ``pip install psutil``.
"""

from metlog_psutils.psutil_plugin import config_plugin

__all__ = ["config_plugin"]
