"""What is told of an HTTP request, the same for every framework.

| message | name | when |
|---|---|---|
| `timer` | `http.server.request` | the request has ended: its body is sent or the client is gone |
| `timer` | `http.server.route.<route>.<method>` | the same, where the framework knows the route |
| `counter` | `http.server.status.<class>`, `http.server.status.<status>` | the same |
| `counter` | `http.server.disconnect` | the client went away before it had all |
| `counter` | `http.server.exception` | the application raised; a `sentry` message has the traceback |

All have the fields `method`, `route` (a template, None where none is known) and `status`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import metlog
from metlog._metlog import is_secret_name
from metlog._request import current
from metlog.integrations._guard import guarded
from metlog.integrations._names import method_name, route_name, status_class, status_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from contextlib import AbstractContextManager
    from contextvars import Token
    from typing import Any

    from metlog.client import MetlogClient

# Of a request's headers that tell a secret by their name the value never travels.
MASK = "********"
# A client chooses its request id: it is cut, and taken only when it can be printed.
LONGEST_REQUEST_ID = 128

SERVER_ERROR = 500


@dataclass(frozen=True)
class Options:
    """What is sent of requests."""

    # The process's default client, when None.
    client: MetlogClient | None = None
    prefix: str = "http.server"
    # False leaves out the timer of each route.
    route_timers: bool = True
    # False leaves out the `sentry` messages; exceptions are counted all the same.
    exceptions: bool = True
    # Binds `request_id`, `method` and `path` to every message sent while the request runs.
    bind: bool = True
    # The type of a message with headers, path and time of each request; applications of the originals sent
    # `wsgi`.
    request_message: str | None = None
    # Paths of which nothing is sent, such as those of health checks.
    ignored_paths: Collection[str] = frozenset()

    def __post_init__(self) -> None:
        if isinstance(self.ignored_paths, str):
            msg = f"ignored_paths is {self.ignored_paths!r}, expected a list of paths"
            raise metlog.exceptions.ConfigError(msg)
        object.__setattr__(self, "ignored_paths", frozenset(self.ignored_paths))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """Read options by their names; raises `ConfigError` for one that is unknown."""
        known = list(cls.__dataclass_fields__)
        unknown = sorted(set(given) - set(known))
        if unknown:
            msg = f"http has the unknown settings {unknown}, expected some of {known}"
            raise metlog.exceptions.ConfigError(msg)
        return cls(**given)

    def the_client(self) -> MetlogClient:
        """Give back who sends."""
        return metlog.get_client() if self.client is None else self.client


@dataclass(slots=True)
class Request:
    """One request from its start to its end. No method raises."""

    options: Options
    method: str
    path: str
    # A WSGI environment or an ASGI scope, for `client.cef`.
    source: Mapping[str, Any]
    request_id: str | None = None
    route: str | None = None
    status: int = 0
    disconnected: bool = False
    started: float = field(default_factory=time.perf_counter)
    _ended: bool = False
    _told: BaseException | None = None

    def bound(self) -> AbstractContextManager[None]:
        """Have everything sent inside name this request; `client.cef` finds it."""
        return _Bound(self)

    @guarded
    def failed(self, error: BaseException, *, answered: bool = False) -> None:
        """Tell that the application raised; of one exception once, however often it comes by.

        Unless it was `answered` already, the server will say 500.
        """
        if not answered:
            self.status = max(self.status, SERVER_ERROR)
        if error is self._told or not isinstance(error, Exception):
            # Others end the process, the greenlet or the task: no fault of the application.
            return
        self._told = error
        client, fields = self.options.the_client(), self._fields()
        client.incr(f"{self.options.prefix}.exception", fields={**fields, "exception": type(error).__name__})
        if self.options.exceptions:
            told = {**fields, "path": self.path, "request_id": self.request_id}
            client.send_exception(error, msg=f"{self.method} {self.path}", fields=told)

    @guarded
    def ended(self) -> None:
        """Tell how long it took and how it ended; only the first call counts."""
        if self._ended:
            return
        self._ended = True
        milliseconds = (time.perf_counter() - self.started) * 1000
        options, client, fields = self.options, self.options.the_client(), self._fields()
        prefix = options.prefix
        client.timer_send(f"{prefix}.request", milliseconds, fields=fields)
        if self.route is not None and options.route_timers:
            name = f"{prefix}.route.{route_name(self.route)}.{fields['method']}"
            client.timer_send(name, milliseconds, fields=fields)
        # One name where both are `other`.
        for name in dict.fromkeys((status_class(self.status), status_name(self.status))):
            client.incr(f"{prefix}.status.{name}", fields=fields)
        if self.disconnected:
            client.incr(f"{prefix}.disconnect", fields=fields)
        if options.request_message is not None:
            client.metlog(options.request_message, fields=self._message(milliseconds))

    def _fields(self) -> dict[str, Any]:
        return {"method": method_name(self.method), "route": self.route, "status": self.status}

    def _message(self, milliseconds: float) -> dict[str, Any]:
        headers = {name: MASK if is_secret_name(name) else value for name, value in headers_of(self.source)}
        return {
            **self._fields(),
            "path": self.path,
            "request_id": self.request_id,
            "req_time": round(milliseconds),
            "headers": headers,
            # The originals' applications kept data of the request there.
            "threadlocal": {},
        }


class _Bound:
    """A request while code runs for it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._token: Token[Mapping[str, Any] | None] | None = None
        self._fields: AbstractContextManager[Any] | None = None

    @guarded
    def __enter__(self) -> None:
        request = self._request
        self._token = current.set(request.source)
        if request.options.bind:
            named = {"request_id": request.request_id, "method": request.method, "path": request.path}
            fields = request.options.the_client().bind(**named)
            fields.__enter__()
            self._fields = fields

    @guarded
    def __exit__(self, *error: Any) -> None:
        if self._fields is not None:
            self._fields.__exit__(None, None, None)
        if self._token is not None:
            current.reset(self._token)


def headers_of(source: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give back the headers of a WSGI environment or an ASGI scope, their names in small letters."""
    if "headers" in source:
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in source["headers"]]
    named = (
        (key[5:].replace("_", "-").lower(), value) for key, value in source.items() if key[:5] == "HTTP_"
    )
    return [(name, str(value)) for name, value in named]


def request_id(given: str | None) -> str:
    """Give back the id that the client or a proxy chose, else a new one."""
    if given and len(given) <= LONGEST_REQUEST_ID and given.isprintable():
        return given
    # As good as a uuid4, and a fifth of its time.
    return os.urandom(16).hex()
