"""What every decorator of metlog does: finds its client at the first call, and steps aside when it is off.

>>> class shout(MetlogDecorator):
...     def metlog_call(self, *args, **kwargs):
...         self.client.metlog("shout", payload=self._fn_fq_name, **self.kwargs)
...         return self._fn(*args, **kwargs)
"""

import json
from collections.abc import Callable
from types import MethodType
from typing import Any

from metlog.client import MetlogClient
from metlog.decorators.util import return_fq_name
from metlog.holder import CLIENT_HOLDER

__all__ = ["MetlogDecorator"]

# `inspect.CO_COROUTINE`.
CO_COROUTINE = 0x80

# What `inspect` tells functions by. Other names like these say what an object can do, which is for its class.
OF_FUNCTIONS = frozenset(
    {"__annotations__", "__closure__", "__code__", "__defaults__", "__globals__", "__kwdefaults__"}
)


class MetlogDecorator:
    """Wraps a function; a subclass says by `metlog_call` what each call does.

    Used bare or with arguments, which are `args` and `kwargs`, for the call of the client. The client is
    `client`, the one named `client_name`, or the default one. Which one, and whether `predicate` lets the
    decorator work, is settled at the first call, for good; as long as there is no client, the function is
    just called.
    """

    def __init__(
        self,
        *args: Any,
        client: MetlogClient | None = None,
        client_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.client: Any = client
        self.client_name = client_name
        self.args = args
        self.kwargs = kwargs
        self._fn: Any = None
        self._settled: Callable[..., Any] | None = None
        if len(args) == 1 and callable(args[0]):
            self.args = ()
            self._wrap(args[0])

    def metlog_call(self, *args: Any, **kwargs: Any) -> Any:
        """Call `self._fn` with these arguments, and send what there is to say about it."""
        raise NotImplementedError

    def predicate(self) -> bool:
        """Tell whether the decorator is to work; `self.client` is known by now."""
        disabled = CLIENT_HOLDER.global_config.get("disabled_decorators") or ()
        return self.decorator_name not in ([disabled] if isinstance(disabled, str) else disabled)

    @property
    def decorator_name(self) -> str:
        """What the setting `disabled_decorators` calls it."""
        return type(self).__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; or wrap it, when there is none yet."""
        if self._fn is None:
            wrapped = type(self).__new__(type(self))
            wrapped.__dict__.update(self.__dict__)
            wrapped._wrap(*args, **kwargs)
            return wrapped
        return (self._settled or self._settle())(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __getattr__(self, name: str) -> Any:
        # The function's, which `inspect` and frameworks look for. Looked up in `__dict__`, since copying and
        # unpickling ask before there is one.
        function = self.__dict__.get("_fn")
        if function is None or (name.startswith("__") and name not in OF_FUNCTIONS):
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(function, name)

    def _wrap(self, function: Callable[..., Any]) -> None:
        given: object = function
        if not callable(given):
            msg = f"cannot decorate {function!r}: it is not callable"
            raise TypeError(msg)
        self._fn = self.__wrapped__ = function
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(self, name, getattr(function, name, None))
        self._fn_fq_name = return_fq_name(function)
        code = getattr(function, "__code__", None)
        self._is_coroutine_function = bool(code is not None and code.co_flags & CO_COROUTINE)
        self._metlog_decorators = {self._signature()} | set(getattr(function, "_metlog_decorators", ()))

    def _signature(self) -> tuple[type, Any, str]:
        """Say how the function is decorated, for frameworks that are not to do it twice."""
        args: Any = self.args
        try:
            hash(args)
        except TypeError:
            args = repr(args)
        return type(self), args, json.dumps(self.kwargs, default=repr)

    def _settle(self) -> Callable[..., Any]:
        if self.client is None:
            name = self.client_name
            self.client = CLIENT_HOLDER.default_client if name is None else CLIENT_HOLDER.get_client(name)
        function: Callable[..., Any] = self._fn
        if self.client is None:
            return function
        self._settled = self.metlog_call if self.predicate() else function
        return self._settled
