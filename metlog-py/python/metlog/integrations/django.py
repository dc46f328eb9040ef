"""Django: middleware, settings, exceptions.

    # settings.py
    METLOG = {"logger": "shop", "http": {"ignored_paths": ["/livez"]}}
    MIDDLEWARE = ["metlog.integrations.django.MetlogMiddleware", ...]
    INSTALLED_APPS = [..., "metlog.integrations.django.MetlogConfig"]

`METLOG` has the settings of `metlog.configure` and, under ``http``, those of
`metlog.integrations._http.Options`. The application sets the client up when Django starts; without it that
happens with the middleware, which management commands never load.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.apps import AppConfig
from django.conf import settings
from django.core.signals import got_request_exception

from metlog.integrations._guard import guarded
from metlog.integrations._http import Options, Request, request_id
from metlog.integrations._settings import options_from

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["MetlogConfig", "MetlogMiddleware"]

# Where a request of Django's has ours.
ATTRIBUTE = "_metlog_request"


@functools.cache
def configured_options() -> Options:
    """Read the settings; the first call sets the client up."""
    return options_from(getattr(settings, "METLOG", {}))


class MetlogConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """Sets the client up when Django starts."""

    name = "metlog.integrations.django"
    label = "metlog"
    verbose_name = "Metlog"

    def ready(self) -> None:
        """Set the client up."""
        configured_options()


class MetlogMiddleware:
    """Times each request, counts statuses and captures what views raise; sync and async. Best put first."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self.options = configured_options()
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        # Django makes an answer of what a view raises before any middleware sees it.
        got_request_exception.connect(_failed, dispatch_uid="metlog")

    def __call__(self, request: Any) -> Any:
        """Answer a request."""
        if self._is_async:
            return self._answer(request)
        told = self._begin(request)
        if told is None:
            return self.get_response(request)
        with told.bound():
            try:
                response = self.get_response(request)
            except BaseException as error:
                _end_failed(request, told, error)
                raise
            _end(request, told, response)
        return response

    async def _answer(self, request: Any) -> Any:
        told = self._begin(request)
        if told is None:
            return await self.get_response(request)
        with told.bound():
            try:
                response = await self.get_response(request)
            except BaseException as error:
                # Cancelled, which a server does whose client is gone.
                told.disconnected = not isinstance(error, Exception)
                _end_failed(request, told, error)
                raise
            _end(request, told, response)
        return response

    @guarded
    def _begin(self, request: Any) -> Request | None:
        if request.path in self.options.ignored_paths:
            return None
        chosen = request_id(request.META.get("HTTP_X_REQUEST_ID"))
        told = Request(self.options, request.method, request.path, request.META, chosen)
        setattr(request, ATTRIBUTE, told)
        return told


@guarded
def _failed(request: Any = None, **_: object) -> None:
    """See what a view or another middleware raised; Django calls this while it is being handled."""
    told, error = getattr(request, ATTRIBUTE, None), sys.exc_info()[1]
    if told is not None and error is not None:
        _know_route(request, told)
        told.failed(error)


@guarded
def _end_failed(request: Any, told: Request, error: BaseException) -> None:
    _know_route(request, told)
    told.failed(error)
    told.ended()


@guarded
def _end(request: Any, told: Request, response: Any) -> None:
    _know_route(request, told)
    told.status = response.status_code
    # A file may be sent by the server itself, which looks for it where it is.
    if not response.streaming or getattr(response, "file_to_stream", None) is not None:
        told.ended()
        return
    chunks = response.streaming_content
    response.streaming_content = (_AsyncChunks if response.is_async else _Chunks)(chunks, told)


def _know_route(request: Any, told: Request) -> None:
    match = getattr(request, "resolver_match", None)
    if match is not None and told.route is None:
        told.route = match.route


class _Stream:
    """A body that is made while it is sent; the request ends with it."""

    def __init__(self, chunks: Any, told: Request) -> None:
        self._chunks = chunks
        self._told = told
        self._is_complete = False

    def _stopped(self, error: BaseException) -> None:
        self._is_complete = True
        if not isinstance(error, StopIteration | StopAsyncIteration):
            self._told.failed(error, answered=True)

    def close(self) -> None:
        """End the request; Django calls this when it closes the response."""
        self._told.disconnected = not self._is_complete and self._told.method != "HEAD"
        with self._told.bound():
            self._told.ended()


class _Chunks(_Stream):
    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            with self._told.bound():
                chunk: bytes = next(self._chunks)
        except BaseException as error:
            self._stopped(error)
            raise
        return chunk


class _AsyncChunks(_Stream):
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            with self._told.bound():
                chunk: bytes = await anext(self._chunks)
        except BaseException as error:
            self._stopped(error)
            raise
        return chunk
