"""Timers: context managers and decorators that send how long something took."""

from __future__ import annotations

import time

# `threading.local`, without the rest of `threading`.
from _thread import _local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, ParamSpec, TypeVar

    from typing_extensions import Self

    from metlog.client import MetlogClient

    P = ParamSpec("P")
    R = TypeVar("R")


def sampled(rate: float) -> bool:
    """Throw the dice for one call; what is no number, or NaN, is every call."""
    try:
        if not rate < 1:
            return True
    except Exception:  # noqa: BLE001 - whatever stands there, the application goes on
        return True
    import random

    return random.random() < rate  # noqa: S311 - sampling needs no secret


class Timer:
    """A context manager and a decorator; this one measures nothing, and gives a function back as it is."""

    @property
    def start(self) -> float | None:
        """When the innermost measurement of this thread began, in seconds since 1970."""
        return None

    @property
    def result(self) -> int | None:
        """The last measurement of this thread in milliseconds."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Give back `function`."""
        return function


class _Timer(Timer):
    """Sends a `timer` message for each block or call it measures, also for one that raises.

    `start` and `result` are those of the current thread; entered again, it keeps each start.
    """

    def __init__(self, client: MetlogClient, name: str, msg_data: dict[str, Any]) -> None:
        self.client = client
        self.name = name
        self.msg_data = msg_data
        self._local: Any = _local()

    @property
    def start(self) -> float | None:
        """When the innermost measurement of this thread began, in seconds since 1970."""
        starts = self._of_thread().starts
        return time.time() - (time.perf_counter() - starts[-1]) if starts else None

    @property
    def result(self) -> int | None:
        """The last measurement of this thread in milliseconds."""
        result: int | None = self._of_thread().result
        return result

    def _of_thread(self) -> Any:
        """Give back what this thread has under way; tests of the original set `_local`, and delete it."""
        local = self.__dict__.get("_local")
        if local is None:
            local = self._local = _local()
        if not hasattr(local, "starts"):
            local.starts, local.result = [], None
        return local

    def __enter__(self) -> Self:
        self._of_thread().starts.append(time.perf_counter())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ended = time.perf_counter()
        starts = self._of_thread().starts
        # Entered in another thread, there is nothing to measure here.
        if starts:
            self._ended((ended - starts.pop()) * 1000)

    async def __aenter__(self) -> Self:
        from metlog import _wrapping

        await _wrapping.begin(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from metlog import _wrapping

        await _wrapping.end(self, self._ended)

    def _ended(self, milliseconds: float) -> None:
        self._of_thread().result = elapsed = round(milliseconds)
        self.client.timer_send(self.name, elapsed, **self.msg_data)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Measure each call of `function`, a share of them when the timer has a rate.

        A coroutine function is measured until it has been awaited, a generator from its first item until it
        is exhausted or closed.
        """
        given: object = function
        if not callable(given):
            msg = f"cannot time {function!r}: it is not callable"
            raise ValueError(msg)
        from metlog import _wrapping

        rate = self.msg_data.get("rate", 1.0)
        if not _wrapping.kind_of(function):
            return self._plain(function, rate)
        return _wrapping.timed(function, self._ended, lambda: sampled(rate))

    def _plain(self, function: Callable[P, R], rate: float) -> Callable[P, R]:
        import functools

        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            if not sampled(rate):
                return function(*args, **kwargs)
            with self:
                return function(*args, **kwargs)

        return timed


class _NoOpTimer(Timer):
    """Stands for a timer that is disabled."""


class _SampledOutTimer(_NoOpTimer):
    """A timer whose block is left out by its rate; a function it decorates is sampled at each call."""

    def __init__(self, timer: _Timer) -> None:
        self._timer = timer

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Measure a share of the calls of `function`."""
        return self._timer(function)
