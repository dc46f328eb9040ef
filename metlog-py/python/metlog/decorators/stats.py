"""Decorators that time and count the calls of a function, by default under its module's name and its own."""

from typing import Any

from metlog.decorators.base import MetlogDecorator

__all__ = ["incr_count", "timeit"]


class _Named(MetlogDecorator):
    """A decorator whose first argument is the name of a metric."""

    def _arguments(self) -> tuple[Any, ...]:
        return self.args if self.args or "name" in self.kwargs else (self._fn_fq_name,)


class timeit(_Named):  # noqa: N801 - a decorator's name
    """Times each call; the arguments are those of `MetlogClient.timer`.

    Off when the client's `disabled_timers` hold ``*``, its name, or the function's name.
    """

    def predicate(self) -> bool:
        """Tell whether the decorator is to work."""
        names = {"*", str(self.__name__), *map(str, self.args[:1]), str(self.kwargs.get("name"))}
        return super().predicate() and names.isdisjoint(self.client._disabled_timers)

    def metlog_call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function and send how long it took."""
        if self._is_coroutine_function:
            return self._timed_later(args, kwargs)
        with self.client.timer(*self._arguments(), **self.kwargs):
            return self._fn(*args, **kwargs)

    async def _timed_later(self, args: Any, kwargs: Any) -> Any:
        # A timer keeps its starts by thread, which tasks share: this one is of this call alone.
        with self.client.timer(*self._arguments(), **self.kwargs):
            return await self._fn(*args, **kwargs)


class incr_count(_Named):  # noqa: N801 - a decorator's name
    """Counts each call, also one that raises; the arguments are those of `MetlogClient.incr`."""

    def metlog_call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function and count it."""
        if self._is_coroutine_function:
            return self._counted_later(args, kwargs)
        try:
            return self._fn(*args, **kwargs)
        finally:
            self.client.incr(*self._arguments(), **self.kwargs)

    async def _counted_later(self, args: Any, kwargs: Any) -> Any:
        try:
            return await self._fn(*args, **kwargs)
        finally:
            self.client.incr(*self._arguments(), **self.kwargs)
