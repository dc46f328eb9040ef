"""What goes wrong in an integration never reaches the application: it is counted and said, seldom."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING

from metlog._complain import complain

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

# Counts without a lock; one more is taken than there were errors, by whoever asks.
_errors = itertools.count()
_asked = itertools.count()


def errors() -> int:
    """Give back how often an integration has failed in this process, and in its parent before the fork."""
    return next(_errors) - next(_asked)


def swallow(error: Exception) -> None:
    """Count an error of an integration, and say it."""
    next(_errors)
    complain("integration", f"metlog: an integration failed, the application goes on: {_describe(error)}")


def guarded(function: Callable[P, R]) -> Callable[P, R | None]:
    """Have `function` give back None instead of raising."""

    @functools.wraps(function)
    def safe(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the application goes on, whatever it was
            swallow(error)
            return None

    return safe


def _describe(error: Exception) -> str:
    try:
        return repr(error).replace("\n", "\\n")
    except Exception:  # noqa: BLE001 - the application's own code
        return f"<{type(error).__name__}>"
