"""The commands of ``python -m metlog``, a module each: `add_arguments`, and `run` that makes an `Outcome`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metlog._default import CONFIG_VARIABLE
from metlog._metlog import Configuration

if TYPE_CHECKING:
    import argparse


@dataclass
class Outcome:
    """What a command found."""

    code: int
    lines: list[str]
    facts: dict[str, Any]


def config_path(given: argparse.Namespace) -> str | None:
    """Give back the TOML file that was named, by an argument or by a variable."""
    return given.config or os.environ.get(CONFIG_VARIABLE) or None


def configuration(given: argparse.Namespace, **settings: Any) -> Configuration:
    """Read the configuration as `metlog.configure` does; raises `ConfigError`."""
    named = {name: value for name, value in settings.items() if value is not None}
    return Configuration("the command line", named, config_path(given))


def destination(told: Configuration) -> str:
    """Say where messages go."""
    delivery = f", {told.delivery}" if told.sender == "sidecar" else ""
    return f"{', '.join(told.places) or told.sender} ({told.sender}{delivery})"
