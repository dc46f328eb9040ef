"""The traceback below a logged text."""

import sys
import traceback
from types import TracebackType
from typing import Any

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def append(payload: Any, exc_info: bool | BaseException | ExcInfo) -> Any:
    """Give back `payload` with the traceback of `exc_info` below it, if there is an exception."""
    match exc_info:
        case BaseException():
            error: BaseException | None = exc_info
        case (_, error, _):
            pass
        case _:
            error = sys.exc_info()[1]
    if not isinstance(error, BaseException):
        return payload
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return f"{payload}\n" + "".join(lines).rstrip("\n")
