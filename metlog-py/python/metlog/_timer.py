"""Timers: context managers and decorators that send how long something took."""

import functools
import random
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from metlog.client import MetlogClient

P = ParamSpec("P")
R = TypeVar("R")


def sampled(rate: float) -> bool:
    """Throw the dice for one call; what is no number is every call."""
    try:
        return rate >= 1 or random.random() < rate  # noqa: S311 - sampling needs no secret
    except TypeError:
        return True


class _Measured(threading.local):
    """What one thread has under way with one timer."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.result: int | None = None


class _Timer:
    """Sends a `timer` message for each block or call it measures, also for one that raises.

    `start` and `result` are those of the current thread; entered again, it keeps each start.
    """

    def __init__(self, client: "MetlogClient", name: str, msg_data: dict[str, Any]) -> None:
        self.client = client
        self.name = name
        self.msg_data = msg_data
        self._local = _Measured()

    @property
    def start(self) -> float | None:
        """When the innermost measurement of this thread began, by `time.perf_counter`."""
        starts = self._local.starts
        return starts[-1] if starts else None

    @property
    def result(self) -> int | None:
        """The last measurement of this thread in milliseconds."""
        return self._local.result

    def __enter__(self) -> "_Timer":
        self._local.starts.append(time.perf_counter())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ended = time.perf_counter()
        local = self._local
        if not local.starts:
            # Entered in another thread: there is nothing to measure here.
            return
        local.result = round((ended - local.starts.pop()) * 1000)
        self.client.timer_send(self.name, local.result, **self.msg_data)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Measure each call of `function`, a share of them when the timer has a rate."""
        given: object = function
        if not callable(given):
            msg = f"cannot time {function!r}: it is not callable"
            raise ValueError(msg)
        rate = self.msg_data.get("rate", 1.0)

        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            if not sampled(rate):
                return function(*args, **kwargs)
            with self:
                return function(*args, **kwargs)

        return timed


class _NoOpTimer:
    """Stands for a timer that is disabled: measures nothing, and gives a function back as it is."""

    start = None
    result = None

    def __enter__(self) -> "_NoOpTimer":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Give back `function`."""
        return function


class _SampledOutTimer(_NoOpTimer):
    """A timer whose block is left out by its rate; a function it decorates is sampled at each call."""

    def __init__(self, timer: _Timer) -> None:
        self._timer = timer

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Measure a share of the calls of `function`."""
        return self._timer(function)
