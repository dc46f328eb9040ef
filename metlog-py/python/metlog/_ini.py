"""INI texts as configurations.

The options of the main section are the keys of a client's dict; those that start with ``sender_`` or
``global_`` are the keys of those two. Each section ``<main>_filter*`` is a filter, each ``<main>_plugin_*`` a
plugin: ``provider`` and its settings.
"""

import os
import re
from configparser import ConfigParser
from typing import Any, TextIO

from metlog.config import nest_prefixes
from metlog.exceptions import ConfigError, EnvironmentNotFoundError

TRUE = frozenset({"true", "t", "on", "yes"})
FALSE = frozenset({"false", "f", "off", "no"})
INTEGER = re.compile(r"-?\d+\Z")
VARIABLE = re.compile(r"\$\{(\w+)\}")


def dict_from_stream_config(stream: TextIO, section: str) -> dict[str, Any]:
    """Read the section `section` of an INI file, with its filters and plugins, as a client's dict."""
    parser = ConfigParser(inline_comment_prefixes=(";",), strict=False)
    parser.read_file(stream)
    config: dict[str, Any] = {name: convert(value) for name, value in parser.items(section)}
    config = nest_prefixes(config)
    config["filters"] = [
        _provided(parser, name) for name in parser.sections() if name.startswith(f"{section}_filter")
    ]
    prefix = f"{section}_plugin_"
    config["plugins"] = {
        name.removeprefix(prefix): _provided(parser, name)
        for name in parser.sections()
        if name.startswith(prefix)
    }
    return config


def _provided(parser: ConfigParser, section: str) -> tuple[str, dict[str, Any]]:
    options = dict(parser.items(section))
    provider = options.pop("provider", None)
    if provider is None:
        msg = f"section [{section}] has no provider, expected a dotted name"
        raise ConfigError(msg)
    return provider, {name: convert(value) for name, value in options.items()}


def convert(value: str) -> Any:
    """Turn the text of an option into what it stands for; several lines are a list."""
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        return [_convert_line(line) for line in lines if line]
    return _convert_line(value)


def _convert_line(text: str) -> str | int | bool:
    variable = VARIABLE.match(text)
    if variable is not None:
        name = variable.group(1)
        if name not in os.environ:
            raise EnvironmentNotFoundError(name)
        return os.environ[name]
    if INTEGER.match(text):
        return int(text)
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    return text
