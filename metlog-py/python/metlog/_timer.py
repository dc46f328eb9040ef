"""Functions that timers decorate, and the timers that stand in where nothing is measured."""

from __future__ import annotations

from metlog._metlog import _Timer as _Timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import ParamSpec, TypeVar

    from typing_extensions import Self

    P = ParamSpec("P")
    R = TypeVar("R")


def sampled(rate: object) -> bool:
    """Throw the dice for one call; what is no number, or NaN, is every call."""
    try:
        if not rate < 1:  # type: ignore[operator]
            return True
    except Exception:  # noqa: BLE001 - whatever stands there, the application goes on
        return True
    import random

    return random.random() < rate  # type: ignore[operator]  # noqa: S311 - sampling needs no secret


def decorated(timer: _Timer, function: Callable[P, R]) -> Callable[P, R]:
    """Have `timer` measure each call of `function`, a share of them when it has a rate.

    A coroutine function is measured until it has been awaited, a generator from its first item until it
    is exhausted or closed.
    """
    given: object = function
    if not callable(given):
        msg = f"cannot time {function!r}: it is not callable"
        raise ValueError(msg)
    from metlog import _wrapping

    rate = timer.rate
    if not _wrapping.kind_of(function):
        return _plain(timer, function, rate)
    return _wrapping.timed(function, timer._ended, lambda: sampled(rate))


def _plain(timer: _Timer, function: Callable[P, R], rate: object) -> Callable[P, R]:
    import functools

    @functools.wraps(function)
    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        if not sampled(rate):
            return function(*args, **kwargs)
        # Each call ends its own start: greenlets of one thread end in any order.
        start = timer._begin()
        try:
            return function(*args, **kwargs)
        finally:
            timer._end(start)

    return timed


class _NoOpTimer:
    """Stands for a timer that is disabled: it measures nothing, and gives a function back as it is."""

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


class _SampledOutTimer(_NoOpTimer):
    """A timer whose block is left out by its rate; a function it decorates is sampled at each call."""

    def __init__(self, timer: _Timer) -> None:
        self._timer = timer

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Measure a share of the calls of `function`."""
        return self._timer(function)
