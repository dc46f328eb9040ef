"""Names of functions."""

from collections.abc import Callable
from typing import Any


def return_fq_name(func: Callable[..., Any], klass: type | None = None) -> str:
    """Give back the name of `func` with its module, and with its class if that is given."""
    parts = [func.__module__, getattr(func, "__name__", type(func).__name__)]
    if klass is not None:
        parts.insert(1, klass.__name__)
    return ".".join(parts)
