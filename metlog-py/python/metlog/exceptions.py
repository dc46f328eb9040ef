"""Every error of metlog. Setting up can fail; sending cannot."""

from configparser import Error as _ConfigParserError


class MetlogError(Exception):
    """What every error of metlog derives from."""


class ConfigError(MetlogError, ValueError):
    """A setting is missing, unknown or out of range; the message names it."""


class MissingKeyError(ConfigError, KeyError):
    """A setting without which nothing works is not there."""

    __str__ = Exception.__str__


class UnresolvedNameError(ConfigError, ImportError):
    """A dotted name leads nowhere."""


class EnvironmentNotFoundError(ConfigError, _ConfigParserError):
    """A configuration refers to an environment variable that is not set."""

    def __init__(self, varname: str) -> None:
        _ConfigParserError.__init__(self, f"Variable not found {varname!r}")
        self.varname = varname


class MethodNotFoundError(MetlogError, _ConfigParserError):
    """A plugin names a method that does not exist."""
