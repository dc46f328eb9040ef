"""What surrounds a call of a function: plain, coroutine, generator or asynchronous generator."""

from __future__ import annotations

import functools
import time
from _contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextlib import AbstractContextManager
    from typing import Any

    Function = Callable[..., Any]
    # Told how many milliseconds a call took.
    Ended = Callable[[float], object]
    Whole = Callable[[], AbstractContextManager[object]]
    Started = tuple[object, float, "Started | None"]

# `inspect.CO_GENERATOR` and so on; importing `inspect` takes longer than metlog.
GENERATOR, COROUTINE, ASYNC_GENERATOR = 0x20, 0x80, 0x200
KINDS = GENERATOR | COROUTINE | ASYNC_GENERATOR


def kind_of(function: object) -> int:
    """Give back which of the kinds above `function` is, 0 for a plain one."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)  # of a bound method
    code = getattr(function, "__code__", None)
    return 0 if code is None else code.co_flags & KINDS


def timed(function: Function, ended: Ended, sampled: Callable[[], bool] | None = None) -> Function:
    """Have `ended` told how long each call of `function` took, or the calls that `sampled` picks.

    A coroutine function takes until its result is there; a generator from the first ``next`` until it is
    exhausted or closed, its consumer's time included.
    """

    def whole() -> AbstractContextManager[object]:
        return _Measurement(ended) if sampled is None or sampled() else _NOTHING

    return _wrapped(function, whole, _NOTHING)


def within(function: Function, block: AbstractContextManager[object]) -> Function:
    """Have `block` entered for each call of `function`, and for each step of a generator.

    Between the steps of a generator its consumer runs, which `block` is not around.
    """
    if kind_of(function) & (GENERATOR | ASYNC_GENERATOR):
        return _wrapped(function, lambda: _NOTHING, block)
    return _wrapped(function, lambda: block, _NOTHING)


def _wrapped(function: Function, whole: Whole, step: AbstractContextManager[object]) -> Function:
    kind = kind_of(function)
    if kind == GENERATOR:
        return _generator(function, whole, step)
    if kind == ASYNC_GENERATOR:
        return _async_generator(function, whole, step)
    return _coroutine(function, whole) if kind == COROUTINE else _plain(function, whole)


def _plain(function: Function, whole: Whole) -> Function:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with whole():
            return function(*args, **kwargs)

    return call


def _coroutine(function: Function, whole: Whole) -> Function:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        with whole():
            return await function(*args, **kwargs)

    return call


def _generator(function: Function, whole: Whole, step: AbstractContextManager[object]) -> Function:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        resume, argument = generator.send, None
        with whole():
            while True:
                try:
                    with step:
                        item = resume(argument)
                except StopIteration as end:
                    return end.value
                try:
                    resume, argument = generator.send, (yield item)
                except GeneratorExit:
                    with step:
                        generator.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - what the consumer throws is the generator's
                    resume, argument = generator.throw, error

    return call


def _async_generator(function: Function, whole: Whole, step: AbstractContextManager[object]) -> Function:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        resume, argument = generator.asend, None
        with whole():
            while True:
                try:
                    with step:
                        item = await resume(argument)
                except StopAsyncIteration:
                    return
                try:
                    resume, argument = generator.asend, (yield item)
                except GeneratorExit:
                    with step:
                        await generator.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - what the consumer throws is the generator's
                    resume, argument = generator.athrow, error

    return call


class _Nothing:
    """Stands around a block when there is nothing to do."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


_NOTHING = _Nothing()


class _Measurement:
    """One call that is measured."""

    __slots__ = ("_began", "_ended")

    def __init__(self, ended: Ended) -> None:
        self._ended = ended

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._ended((time.perf_counter() - self._began) * 1000)


# The ``async with`` blocks around this place: a timer, when it began, and those around it. A thread has many
# tasks, but each of them a context of its own.
_started: ContextVar[Started | None] = ContextVar("metlog.started", default=None)


async def begin(timer: Any) -> Any:
    """Begin a measurement of `timer` in this task."""
    _started.set((timer, time.perf_counter(), _started.get()))
    return timer


async def end(timer: object, ended: Ended) -> None:
    """Tell `ended` about the innermost measurement of `timer` in this task."""
    now = time.perf_counter()
    entry = _started.get()
    while entry is not None:
        owner, began, around = entry
        if owner is timer:
            _started.set(around)
            ended((now - began) * 1000)
            return
        entry = around
