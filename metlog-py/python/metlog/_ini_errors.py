"""Errors that are `configparser`'s too; applications import them from `metlog.exceptions`."""

from configparser import Error as ConfigParserError

from metlog.exceptions import ConfigError, MetlogError


class EnvironmentNotFoundError(ConfigError, ConfigParserError):
    """A configuration refers to an environment variable that is not set."""

    def __init__(self, varname: str) -> None:
        ConfigParserError.__init__(self, f"Variable not found {varname!r}")
        self.varname = varname


class MethodNotFoundError(MetlogError, ConfigParserError):
    """A plugin names a method that does not exist."""


for _error in (EnvironmentNotFoundError, MethodNotFoundError):
    _error.__module__ = "metlog.exceptions"
