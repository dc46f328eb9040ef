"""The active exception, and its traceback below a logged text."""

import sys
import traceback
from types import TracebackType
from typing import Any

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def active(
    exc_info: bool | BaseException | ExcInfo | None = True,
) -> tuple[BaseException | None, TracebackType | None]:
    """Give back the exception that `exc_info` stands for, as `logging` has it, and its traceback."""
    try:
        error, traceback = _parts(exc_info)
    except Exception:  # noqa: BLE001 - an object that raises when it is looked at stands for none
        return None, None
    if not isinstance(error, BaseException):
        return None, None
    return error, traceback if isinstance(traceback, TracebackType) else error.__traceback__


def _parts(exc_info: object) -> tuple[object, object]:
    match exc_info:
        case BaseException():
            return exc_info, None
        case (_, error, traceback):
            return error, traceback
        case _:
            return sys.exc_info()[1] if exc_info else None, None


def append(payload: Any, exc_info: bool | BaseException | ExcInfo) -> Any:
    """Give back `payload` with the traceback of `exc_info` below it, if there is an exception."""
    error, _ = active(exc_info)
    if error is None:
        return payload
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return f"{payload}\n" + "".join(lines).rstrip("\n")
