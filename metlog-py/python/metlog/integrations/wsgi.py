"""Middleware for any WSGI application.

    application = MetlogMiddleware(application)

Its options are those of `metlog.integrations._http.Options`: `client`, `prefix`, `route_timers`,
`exceptions`, `bind`, `request_message`, `ignored_paths`. Code that knows the route of a request may leave its
template in ``environ["metlog.route"]``.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING

from metlog.integrations._guard import guarded
from metlog.integrations._http import Options, Request, request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextvars import Context
    from typing import Any

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["REQUEST_KEY", "ROUTE_KEY", "MetlogMiddleware"]

# Where the environment has the `Request`, for the integrations that build on this one.
REQUEST_KEY = "metlog.request"
ROUTE_KEY = "metlog.route"


class MetlogMiddleware:
    """Times each request until its body is closed, counts statuses and captures exceptions.

    The application runs in a context (`contextvars`) of its own for each request, and so does the making
    of its body. So what is bound for the request is not seen by another one of the same thread, whatever the
    server does with bodies.
    """

    def __init__(self, app: WSGIApplication, client: Any = None, **options: Any) -> None:
        self.app = app
        self.options = Options.of({"client": client, **options})

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        request = self._begin(environ)
        if request is None:
            return self.app(environ, start_response)
        context = copy_context()
        context.run(request.bound().__enter__)
        try:
            body = context.run(self.app, environ, _noting_status(request, start_response))
        except BaseException as error:
            _know_route(request)
            context.run(request.failed, error)
            context.run(request.ended)
            raise
        return timed(body, request, context)

    @guarded
    def _begin(self, environ: WSGIEnvironment) -> Request | None:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        if path in self.options.ignored_paths:
            return None
        chosen = request_id(environ.get("HTTP_X_REQUEST_ID"))
        request = Request(self.options, environ["REQUEST_METHOD"], path, environ, chosen)
        environ[REQUEST_KEY] = request
        return request


def _noting_status(request: Request, start_response: StartResponse) -> StartResponse:
    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
        _note(request, status)
        return start_response(status, headers, *exc_info)

    return start


@guarded
def _note(request: Request, status: str) -> None:
    request.status = int(status[:3])


def _know_route(request: Request) -> None:
    if request.route is None:
        request.route = request.source.get(ROUTE_KEY)


def timed(body: Iterable[bytes], request: Request, context: Context) -> Iterable[bytes]:
    """Have the request end with its body."""
    if isinstance(body, list | tuple) or _is_file(body, request.source):
        # It is all there: servers look at its length, or have the kernel send it, so it stays what it is.
        _know_route(request)
        context.run(request.ended)
        return body
    return Body(body, request, context)


def _is_file(body: object, environ: Any) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    # uWSGI's wrapper is a function that gives back the file.
    return (isinstance(wrapper, type) and isinstance(body, wrapper)) or hasattr(body, "read")


class Body:
    """A body that is made while it is sent."""

    def __init__(self, body: Iterable[bytes], request: Request, context: Context) -> None:
        self._body = body
        self._chunks: Iterator[bytes] | None = None
        self._request = request
        self._run = context.run
        self._is_answered = False
        self._is_complete = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._chunks is None:
                self._chunks = self._run(iter, self._body)
            chunk = self._run(next, self._chunks)
        except StopIteration:
            self._is_answered = self._is_complete = True
            raise
        except BaseException as error:
            self._is_complete = True
            _know_route(self._request)
            self._run(self._request.failed, error, answered=self._is_answered)
            raise
        self._is_answered = True
        return chunk

    def close(self) -> None:
        """Close the body; the server calls this at the end of each request."""
        request = self._request
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                self._run(close)
        except BaseException as error:
            self._run(request.failed, error, answered=True)
            raise
        finally:
            _know_route(request)
            request.disconnected = not self._is_complete and request.method != "HEAD"
            self._run(request.ended)
