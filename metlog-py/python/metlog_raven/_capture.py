"""The decorator that reports what a function raises."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

from metlog.client import MetlogClient
from metlog.holder import CLIENT_HOLDER

P = ParamSpec("P")
R = TypeVar("R")


@overload
def capture_stack(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def capture_stack(
    *,
    client: MetlogClient | None = None,
    client_name: str | None = None,
    **told: Any,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def capture_stack(
    function: Callable[..., Any] | None = None,
    /,
    *,
    client: MetlogClient | None = None,
    client_name: str | None = None,
    **told: Any,
) -> Any:
    """Report each exception that the function raises by `client.raven`, and let it go on.

    Used bare or with arguments, which go to `raven`: ``@capture_stack(severity=2)``. The client is
    `client`, the one named `client_name`, or the default one; without any, or without the plugin, nothing
    is reported.
    """
    if function is None:
        return functools.partial(_wrapped, client=client, client_name=client_name, told=told)
    return _wrapped(function, client, client_name, told)


def _wrapped(
    function: Callable[..., Any],
    client: MetlogClient | None,
    client_name: str | None,
    told: dict[str, Any],
) -> Callable[..., Any]:
    def report(error: Exception) -> None:
        reporter = client if client is not None else _client(client_name)
        raven = getattr(reporter, "raven", None)
        if raven is not None:
            raven(**{"exc_info": _without_first_frame(error), **told})

    @functools.wraps(function)
    def captured(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            report(error)
            raise

    @functools.wraps(function)
    async def captured_later(*args: Any, **kwargs: Any) -> Any:
        try:
            return await function(*args, **kwargs)
        except Exception as error:
            report(error)
            raise

    return captured_later if inspect.iscoroutinefunction(function) else captured


def _client(name: str | None) -> MetlogClient | None:
    return CLIENT_HOLDER.default_client if name is None else CLIENT_HOLDER.get_client(name)


def _without_first_frame(error: Exception) -> tuple[type[Exception], Exception, Any]:
    """Leave out the frame of the decorator, unless it is the only one."""
    traceback = error.__traceback__
    inner = None if traceback is None else traceback.tb_next
    return type(error), error, inner or traceback
