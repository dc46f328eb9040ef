"""Middleware for any ASGI application: http, websocket and lifespan, under asyncio or another loop.

    app = MetlogMiddleware(app)

Its options are those of `metlog.integrations._http.Options`. Code that knows the route of a request may
leave its template in ``scope["metlog.route"]``.

A websocket is a request whose prefix ends in `.websocket`: its time is that of the connection, its status the
close code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any

from metlog.integrations._guard import guarded
from metlog.integrations._http import Options, Request, request_id
from metlog.integrations._release import release

__all__ = ["REQUEST_KEY", "ROUTE_KEY", "MetlogMiddleware"]

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_KEY = "metlog.request"
ROUTE_KEY = "metlog.route"

# How long the end of a server waits for a sidecar. Tests of applications end lifespans too, often and without
# one.
FLUSH_SECONDS = 1.0

# The close code of a websocket that nobody closed.
ABNORMAL_CLOSURE = 1006
NORMAL_CLOSURE = 1000
# With this servers close one whose application raised.
INTERNAL_ERROR = 1011
FORBIDDEN = 403

# What frameworks raise in code that reads from, or sends to, a client that is gone.
DISCONNECTS = frozenset(("ClientDisconnect", "ClientDisconnected", "WebSocketDisconnect"))


class MetlogMiddleware:
    """Times each request until the server has its last byte, counts statuses and captures exceptions.

    What the application does after that, such as background tasks, is not in the time; its exceptions are
    captured.
    """

    def __init__(self, app: App, client: Any = None, **options: Any) -> None:
        self.app = app
        self.options = Options.of({"client": client, **options})
        self._websocket_options = replace(self.options, prefix=f"{self.options.prefix}.websocket")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run for the lifespan of the server."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, self._sending_at_end(send))
            return
        request = self._begin(scope)
        if request is None:
            await self.app(scope, receive, send)
            return
        kind = _WebSocket if scope["type"] == "websocket" else _Http
        exchange = kind(request, scope, receive, send, self.route_of)
        with request.bound():
            await exchange.run(self.app)

    def route_of(self, scope: Scope) -> str | None:
        """Find the template of the route that a request has taken."""
        route: str | None = scope.get(ROUTE_KEY)
        return route

    @guarded
    def _begin(self, scope: Scope) -> Request | None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in self.options.ignored_paths:
            return None
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        # Routers change the scope, so what is kept is the path as it came.
        is_http = scope["type"] == "http"
        request = Request(
            self.options if is_http else self._websocket_options,
            scope["method"] if is_http else "GET",
            scope["path"],
            scope,
            request_id(given.decode("latin-1")),
        )
        scope[REQUEST_KEY] = request
        return request

    def _sending_at_end(self, send: Send) -> Send:
        async def see(event: Event) -> None:
            if event["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                self._send_what_is_left()
            await send(event)

        return see

    @guarded
    def _send_what_is_left(self) -> None:
        # Some servers, uvicorn for one, end by the signal they were sent, and nothing of Python's is told.
        client = self.options.the_client()
        if client.flush(FLUSH_SECONDS):
            release(client)


class _Exchange:
    """What goes between server and application for one request."""

    def __init__(
        self,
        request: Request,
        scope: Scope,
        receive: Receive,
        send: Send,
        route_of: Callable[[Scope], str | None],
    ) -> None:
        self.request, self.scope = request, scope
        self._receive, self._send, self._route_of = receive, send, route_of
        self.is_answered = False
        self.is_complete = False

    async def run(self, app: App) -> None:
        """Run the application."""
        try:
            await app(self.scope, self._received, self._sent)
        except BaseException as error:
            self.know_route()
            self.at_failure()
            self._failed(error)
            raise
        finally:
            self.know_route()
            self.at_end()
            self.request.ended()

    def _failed(self, error: BaseException) -> None:
        request = self.request
        if type(error).__name__ in DISCONNECTS or (request.disconnected and not isinstance(error, Exception)):
            # It is the client that ended the request, or the server for it.
            request.disconnected = True
            return
        if not isinstance(error, Exception) and not self.is_complete:
            # Cancelled: servers do that with requests whose client is gone.
            request.disconnected = True
        request.failed(error, answered=self.is_answered)

    async def _received(self) -> Event:
        event = await self._receive()
        self.note_received(event)
        return event

    async def _sent(self, event: Event) -> None:
        self.note_sending(event)
        try:
            await self._send(event)
        except OSError:
            # So says a server of ASGI 2.4 that the client is gone.
            self.request.disconnected = True
            raise
        self.note_sent(event)

    @guarded
    def know_route(self) -> None:
        """Ask for the route as long as none is known."""
        if self.request.route is None:
            self.request.route = self._route_of(self.scope)

    def note_received(self, event: Event) -> None:
        """See an event of the server."""

    def note_sending(self, event: Event) -> None:
        """See an event of the application."""

    def note_sent(self, event: Event) -> None:
        """See an event of the application that the server has taken."""

    def at_failure(self) -> None:
        """See the application raise."""

    def at_end(self) -> None:
        """See the application return or raise."""


class _Http(_Exchange):
    """A request of HTTP."""

    @guarded
    def note_received(self, event: Event) -> None:
        if event["type"] == "http.disconnect" and not self.is_complete:
            self.request.disconnected = True

    @guarded
    def note_sending(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            self.request.status = int(event["status"])
            self.is_answered = True
            # Now, since routers may clean up behind themselves.
            self.know_route()

    @guarded
    def note_sent(self, event: Event) -> None:
        # `http.response.pathsend` is a whole body too.
        is_last = event["type"] == "http.response.body" and not event.get("more_body", False)
        if is_last or event["type"] == "http.response.pathsend":
            self.is_complete = True
            self.request.ended()


class _WebSocket(_Exchange):
    """A connection of websockets."""

    @guarded
    def note_received(self, event: Event) -> None:
        if event["type"] == "websocket.disconnect":
            code = event.get("code")
            self.request.status = ABNORMAL_CLOSURE if code is None else int(code)
            self.is_complete = True

    @guarded
    def note_sending(self, event: Event) -> None:
        kind = event["type"]
        if kind == "websocket.accept":
            self.is_answered = True
            self.know_route()
        elif kind == "websocket.http.response.start":
            self.request.status = int(event["status"])
            self.is_complete = True
        elif kind == "websocket.close":
            # Before it was accepted, servers make a 403 of it.
            code = int(event.get("code", NORMAL_CLOSURE)) if self.is_answered else FORBIDDEN
            self.request.status = code
            self.is_complete = True

    @guarded
    def at_failure(self) -> None:
        if self.is_answered and not self.is_complete:
            self.request.status = INTERNAL_ERROR

    @guarded
    def at_end(self) -> None:
        if self.request.status == 0:
            self.request.status = NORMAL_CLOSURE
