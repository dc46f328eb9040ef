"""Settings of frameworks: those of the client and, under `http`, those of what is sent of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import metlog
from metlog.integrations._http import Options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def options_from(settings: Mapping[str, Any]) -> Options:
    """Set up the process's default client, where `settings` say anything of it, and read the rest.

    Raises `ConfigError` for a setting that is unknown or out of range.
    """
    settings = dict(settings)
    http = dict(settings.pop("http", {}))
    if settings:
        metlog.configure(**settings)
    return Options.of(http)
