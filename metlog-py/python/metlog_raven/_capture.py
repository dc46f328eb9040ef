"""The decorator that reports what a function raises."""

from typing import TYPE_CHECKING, Any

from metlog.decorators.base import MetlogDecorator

if TYPE_CHECKING:
    from metlog.decorators._types import Decorates


class _CaptureStack(MetlogDecorator):
    """Reports each exception that the function raises by `client.raven`, and lets it go on.

    Used bare or with arguments, which go to `raven`: ``@capture_stack(severity=2)``. Without a client, or
    one without the plugin, nothing is reported.
    """

    def metlog_call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        if self._is_coroutine_function:
            return self._captured_later(args, kwargs)
        try:
            return self._fn(*args, **kwargs)
        except Exception as error:
            self._report(error)
            raise

    async def _captured_later(self, args: Any, kwargs: Any) -> Any:
        try:
            return await self._fn(*args, **kwargs)
        except Exception as error:
            self._report(error)
            raise

    def _report(self, error: Exception) -> None:
        raven = getattr(self.client, "raven", None)
        if raven is not None:
            found = {} if len(self.args) > 1 else {"exc_info": _without_first_frame(error)}
            raven(*self.args, **{**found, **self.kwargs})


# What `disabled_decorators` and tracebacks call it.
_CaptureStack.__name__ = _CaptureStack.__qualname__ = "capture_stack"

if TYPE_CHECKING:
    capture_stack: Decorates
else:
    capture_stack = _CaptureStack


def _without_first_frame(error: Exception) -> tuple[type[Exception], Exception, Any]:
    """Leave out the frame of the decorator, unless it is the only one."""
    traceback = error.__traceback__
    inner = None if traceback is None else traceback.tb_next
    return type(error), error, inner or traceback
