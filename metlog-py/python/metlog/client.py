"""The client: what an application calls."""

from __future__ import annotations

import os
import time
from types import FunctionType, MethodType

from metlog import _metlog
from metlog._capture import captures, here
from metlog._complain import complain, complain_once
from metlog._sending import sending
from metlog._timer import _NoOpTimer, _Timer
from metlog._watched import Watched, replaced, watch
from metlog.senders.base import NoSendSender, is_native, target_of

# As in `metlog.exceptions`: importing metlog imports nothing that is slow, so annotations stay texts.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from metlog.senders._types import Message, Sender

    MessageFilter = Callable[[Message], object]

__all__ = ["SEVERITY", "MetlogClient", "_NoOpTimer", "_Timer"]


class SEVERITY:
    """How bad it is, by name."""

    EMERGENCY = 0
    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFORMATIONAL = 6
    DEBUG = 7


class MetlogClient(_metlog.Client, metaclass=Watched):
    """Sends messages, counters, gauges, timers and log lines to one sender.

    With a sender and filters that the core runs, a call converts its arguments and returns. With a sender or
    a filter written in Python, or with `send_message` overridden, each message becomes a dict and is sent
    within the call. Either way no call raises into the application: what goes nowhere is counted in `stats`.
    """

    env_version = "0.8"

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Any]:
            """Stand for the methods of plugins, which no type checker can know."""

    def __init__(
        self,
        sender: Sender | None,
        logger: str = "",
        severity: int = SEVERITY.INFORMATIONAL,
        disabled_timers: str | Iterable[str] | None = None,
        filters: Iterable[MessageFilter] | None = None,
    ) -> None:
        super().__init__()
        self._dynamic_methods: dict[str, MethodType] = {}
        self._noop_timer = _NoOpTimer()
        # The originals kept every timer here; each call makes its own now.
        self._timer_obs: dict[str, _Timer] = {}
        self._pid: int | None = None
        self._hostname: str | None = None
        self._configuration: dict[str, Any] | None = None
        self.setup(sender, logger, severity, disabled_timers, filters)
        watch(self)

    def setup(
        self,
        sender: Sender | None = None,
        logger: str = "",
        severity: int = SEVERITY.INFORMATIONAL,
        disabled_timers: str | Iterable[str] | None = None,
        filters: Iterable[MessageFilter] | None = None,
    ) -> None:
        """Set up anew; what is not given goes back to its default. Plugins stay.

        The sender before gets what it was given until now, for which this waits two seconds at most.
        """
        self._set_up(sender, logger, severity, disabled_timers, filters, None)

    def _set_up(
        self,
        sender: Sender | None,
        logger: str,
        severity: int,
        disabled_timers: str | Iterable[str] | None,
        filters: Iterable[MessageFilter] | None,
        settings: _metlog.Settings | None,
    ) -> None:
        names = [disabled_timers] if isinstance(disabled_timers, str) else disabled_timers
        # Bounds of the hand-off; the core's defaults when there are none.
        self._settings = settings
        self._sender: Sender = NoSendSender() if sender is None else sender
        self._filters = _Filters(filters or (), self._filters_changed)
        self._connect(logger, severity, set(names or ()))

    @property
    def sender(self) -> Sender:
        """Where messages go."""
        return self._sender

    @sender.setter
    def sender(self, sender: Sender) -> None:
        self._sender = sender
        self._connect(self.logger, self.severity, self._disabled_timers)

    @property
    def filters(self) -> list[MessageFilter]:
        """Which messages go there, each asked in turn."""
        return self._filters

    @filters.setter
    def filters(self, filters: Iterable[MessageFilter]) -> None:
        self._filters = _Filters(filters, self._filters_changed)
        self._route()

    @property
    def pid(self) -> int:
        """This process, also after a fork, unless it was set to another."""
        return os.getpid() if self._pid is None else self._pid

    @pid.setter
    def pid(self, pid: int) -> None:
        self._pid = pid
        self._route()

    @property
    def hostname(self) -> str:
        """This host, unless it was set to another."""
        if self._hostname is not None:
            return self._hostname
        import socket

        return socket.gethostname()

    @hostname.setter
    def hostname(self, hostname: str) -> None:
        self._hostname = hostname
        self._route()

    @property
    def is_active(self) -> bool:
        """True when a sender is configured."""
        return not isinstance(self._sender, NoSendSender)

    @property
    def _config(self) -> str:
        """The configuration that made the client, as JSON; what JSON does not have, as its `repr`."""
        import json

        return "" if self._configuration is None else json.dumps(self._configuration, default=repr)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        self._method_changed(name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._method_changed(name)

    def _method_changed(self, name: str) -> None:
        if name in ("metlog", "timer_send"):
            self.set_own_methods("metlog" in self.__dict__ or "timer_send" in self.__dict__)
        else:
            replaced(name)

    def _filters_changed(self) -> None:
        self._route()

    def _connect(self, logger: str, severity: int, disabled_timers: set[str]) -> None:
        """Begin anew with the sender there is."""
        self._routed = filters = self._filters_of_core()
        target = target_of(self._sender)
        self.connect(logger, severity, disabled_timers, target, filters, self._settings)

    def _route(self) -> None:
        """Look again who is to see messages; those that wait for the sender, and the books, stay."""
        if "_routed" in self.__dict__ and (filters := self._filters_of_core()) != self._routed:
            self._routed = filters
            self.reroute(filters)

    def _filters_of_core(self) -> list[_metlog.Filter] | None:
        """Let the core do everything, or nothing when something of Python's is to see or change messages."""
        native = [given for given in self._filters if isinstance(given, _metlog.Filter)]
        by_python = (
            "send_message" in self.__dict__ or type(self).send_message is not _SEND_MESSAGE,
            not is_native(self._sender),
            getattr(self._sender, "observe", None) is not None,
            len(native) < len(self._filters),
            (self._pid, self._hostname) != (None, None),
        )
        return None if any(by_python) else native

    def counter(self, name: str) -> _metlog.Counter:
        """Give back a handle that counts under `name`: its calls are summed and leave once per interval."""
        return _metlog.Counter(self, name)

    @property
    def aggregates(self) -> Aggregates:
        """Handles of counters, gauges and timers that are summed in the process."""
        return Aggregates(self)

    def bind(self, /, **fields: Any) -> _metlog.BoundFields:
        """Have `fields` on every message of every client, in a ``with`` block or each call of a function.

        They belong to the context (`contextvars`): other threads and tasks do not see them, tasks begun in it
        do. The fields of a call come before them.
        """
        return _metlog.BoundFields(fields)

    def exception(self, msg: Any, *args: Any, exc_info: Any = True, **kw: Any) -> None:
        """Log a text of severity 1 with the traceback of the active exception, if there is one."""
        if len(args) == 1 and _is_exc_info(msg, args[0]):
            # The originals had `exc_info` here.
            exc_info, args = args[0], ()
        self.alert(msg, *args, exc_info=exc_info, **kw)

    def add_method(self, method: Callable[..., Any], override: bool | str = False) -> None:
        """Bind the function `method` to this client, as `override`, its `metlog_name` or its name.

        Raises `AssertionError` for what is no plain function and `SyntaxError` for a name that is in use,
        unless `override` is given.
        """
        if not isinstance(method, FunctionType):
            msg = f"{method!r} is no function"
            raise AssertionError(msg)
        name = override if isinstance(override, str) else getattr(method, "metlog_name", method.__name__)
        if not override and hasattr(self, name):
            msg = f"The name [{name}] is already in use"
            raise SyntaxError(msg)
        bound = MethodType(method, self)
        self._dynamic_methods[name] = bound
        setattr(self, name, bound)

    def send_message(self, msg: Message) -> None:
        """Send a message that is a dict already, if the filters let it pass."""
        for keep in self._filters:
            try:
                kept = keep(msg)
            except Exception as error:  # noqa: BLE001 - whatever a filter raises, the application goes on
                self.count_refused("filter_error")
                complain("filter", f"metlog: a filter failed, its message is dropped: {_describe(error)}")
                return
            if not kept:
                self.count_refused("filtered")
                return
        # Taken at once: another thread may end its capture just now.
        captured = [] if here.hands_sums_over else captures[-1:]
        if captured:
            captured[0].append(msg)
            self.count_sent()
        elif not is_native(self._sender):
            self._send_by_sender(msg)
        else:
            observe = getattr(self._sender, "observe", None)
            if observe is not None:
                observe(msg)
            self.hand_over(msg)

    def _send_by_sender(self, msg: Message) -> None:
        if self._is_closed and not here.hands_sums_over:
            self.count_refused("closed")
            return
        try:
            self._sender.send_message(msg)
        except Exception as error:  # noqa: BLE001 - whatever a sender raises, the application goes on
            self.count_refused("send")
            if self.is_active:
                complain("send", f"Error sending message ({_describe(error)}): [{_describe(msg)}]")
            else:
                complain_once("metlog: no sender is configured, messages are dropped and counted")
        else:
            self.count_sent()

    def _send_sum(self, text: str) -> None:
        """Send what was summed; the core calls this, from a thread of its own.

        A test that captures meanwhile does not get what was counted before it.
        """
        import json

        here.hands_sums_over = True
        try:
            with sending(self):
                self.send_message({**json.loads(text), **self._identity()})
        finally:
            here.hands_sums_over = False

    def _identity(self) -> Message:
        return {
            "env_version": self.env_version,
            "metlog_pid": self.pid,
            "metlog_hostname": self.hostname,
        }

    def _send_by_dict(
        self,
        kind: Any,
        logger: Any,
        severity: Any,
        payload: Any,
        fields: Any,
    ) -> None:
        """Make the message that the core would make; the core calls this."""
        if fields is None or isinstance(fields, dict):
            fields = {**_metlog.bound_fields(), **(fields or {})}
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        msg = {
            "type": kind,
            "timestamp": f"{second}.{nanoseconds // 1000:06d}Z",
            "logger": self.logger if logger is None else logger,
            "severity": self.severity if severity is None else severity,
            "payload": payload,
            "fields": fields,
            **self._identity(),
        }
        with sending(self):
            self.send_message(msg)


# As it is before a test replaces it.
_SEND_MESSAGE = MetlogClient.send_message


class Aggregates:
    """Handles of a client's counters, gauges and timers that are summed in the process."""

    def __init__(self, client: MetlogClient) -> None:
        self._client = client

    def counter(self, name: str) -> _metlog.Counter:
        """Give back the handle that counts under `name`."""
        return _metlog.Counter(self._client, name)

    def gauge(self, name: str) -> _metlog.Gauge:
        """Give back the handle of the gauge `name`."""
        return _metlog.Gauge(self._client, name)

    def timer(self, name: str) -> _metlog.Timer:
        """Give back the handle that measures under `name`."""
        return _metlog.Timer(self._client, name)


class _Filters(list["MessageFilter"]):
    """A client's filters: changing the list in place changes the client too."""

    def __init__(self, filters: Iterable[MessageFilter], changed: Callable[[], None]) -> None:
        super().__init__(filters)
        self._changed = changed


def _noticed(name: str) -> Callable[..., Any]:
    change = getattr(list, name)

    def method(self: _Filters, *args: Any, **kwargs: Any) -> Any:
        result = change(self, *args, **kwargs)
        self._changed()
        return result

    method.__name__, method.__doc__ = name, change.__doc__
    return method


for _name in (
    "append",
    "extend",
    "insert",
    "remove",
    "pop",
    "clear",
    "__setitem__",
    "__delitem__",
    "__iadd__",
    "__imul__",
    "reverse",
    "sort",
):
    setattr(_Filters, _name, _noticed(_name))


def _is_exc_info(msg: object, given: object) -> bool:
    """Tell what `exception` is to find an exception by from what its text is to be formatted with."""
    # By type: `isinstance` asks an object of the application for its `__class__`.
    if type(given) is tuple:
        return len(given) == 3 and (given[1] is None or issubclass(type(given[1]), BaseException))
    return type(given) is bool or (type(msg) is str and "%" not in msg)


def _describe(given: object) -> str:
    """On one line, whatever its `__repr__` does."""
    try:
        return repr(given).replace("\n", "\\n")
    except Exception:  # noqa: BLE001 - the application's own code
        return f"<{type(given).__name__}>"
