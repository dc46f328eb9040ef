"""Every error of metlog. Setting up can fail; sending cannot."""

from __future__ import annotations

# `typing.TYPE_CHECKING` without `typing`, whose import takes longer than all of metlog's.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from metlog._ini_errors import EnvironmentNotFoundError, MethodNotFoundError

__all__ = [
    "ConfigError",
    "EnvironmentNotFoundError",
    "MethodNotFoundError",
    "MetlogError",
    "MissingKeyError",
    "NotPicklableError",
    "UnresolvedNameError",
    "UnsupportedInterpreterError",
]


class MetlogError(Exception):
    """What every error of metlog derives from."""


class ConfigError(MetlogError, ValueError):
    """A setting is missing, unknown or out of range; the message names it."""


class MissingKeyError(ConfigError, KeyError):
    """A setting without which nothing works is not there."""

    __str__ = Exception.__str__


class NotPicklableError(MetlogError, TypeError):
    """What is to be pickled belongs to this process."""


class UnresolvedNameError(ConfigError, ImportError):
    """A dotted name leads nowhere."""


class UnsupportedInterpreterError(MetlogError, ImportError):
    """This interpreter is one in which metlog cannot run; the message names the server's setting."""


def __getattr__(name: str) -> object:
    # They need `configparser`, which most applications never do.
    if name in ("EnvironmentNotFoundError", "MethodNotFoundError"):
        from metlog import _ini_errors

        return getattr(_ini_errors, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
