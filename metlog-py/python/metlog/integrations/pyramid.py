"""Pyramid: a tween.

    config.include("metlog.integrations.pyramid")

Settings that begin with ``metlog.`` are those of `metlog.configure`, those with ``metlog.http.`` those of
`metlog.integrations._http.Options`; texts become numbers and truth values as in a configuration of the
originals.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from pyramid.tweens import INGRESS

from metlog.config import _convert
from metlog.integrations._guard import guarded
from metlog.integrations._http import Options, Request, request_id
from metlog.integrations._settings import options_from
from metlog.integrations.wsgi import timed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Context

__all__ = ["includeme", "tween_factory"]

PREFIX = "metlog."
HTTP_PREFIX = "metlog.http."


def includeme(config: Any) -> None:
    """Add the tween over all others, so that it sees what the others answer."""
    config.add_tween("metlog.integrations.pyramid.tween_factory", under=INGRESS)


def tween_factory(handler: Callable[[Any], Any], registry: Any) -> Callable[[Any], Any]:
    """Make the tween. Raises `ConfigError` for a setting that is unknown or out of range."""
    options = options_from(_settings(registry.settings or {}))

    def tween(request: Any) -> Any:
        told = _begin(options, request)
        if told is None:
            return handler(request)
        with told.bound():
            context = copy_context()
            try:
                response = handler(request)
            except BaseException as error:
                _end_failed(request, told, error)
                raise
            _end(request, told, response, context)
        return response

    return tween


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    ours = {name: _convert(value) if isinstance(value, str) else value for name, value in given.items()}
    http = {name.removeprefix(HTTP_PREFIX): ours[name] for name in ours if name.startswith(HTTP_PREFIX)}
    if isinstance(http.get("ignored_paths"), str):
        http["ignored_paths"] = http["ignored_paths"].split()
    client = {
        name.removeprefix(PREFIX): ours[name]
        for name in ours
        if name.startswith(PREFIX) and not name.startswith(HTTP_PREFIX)
    }
    return {**client, "http": http}


@guarded
def _begin(options: Options, request: Any) -> Request | None:
    if request.path in options.ignored_paths:
        return None
    chosen = request_id(request.headers.get("X-Request-ID"))
    return Request(options, request.method, request.path, request.environ, chosen)


@guarded
def _end_failed(request: Any, told: Request, error: BaseException) -> None:
    _know_route(request, told)
    told.failed(error)
    told.ended()


@guarded
def _end(request: Any, told: Request, response: Any, context: Context) -> None:
    _know_route(request, told)
    told.status = response.status_int
    # What an exception view has made an answer of.
    error = getattr(request, "exception", None)
    if error is not None and told.status >= 500:
        told.failed(error)
    body = timed(response.app_iter, told, context)
    if body is not response.app_iter:
        length = response.content_length
        response.app_iter = body
        # Which WebOb forgets with the old body.
        response.content_length = length


def _know_route(request: Any, told: Request) -> None:
    route = getattr(request, "matched_route", None)
    if route is not None:
        told.route = route.pattern
