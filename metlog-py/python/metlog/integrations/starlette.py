"""Middleware for Starlette: that of `metlog.integrations.asgi`, which finds the template of each route.

    app = Starlette(routes=..., middleware=[Middleware(MetlogMiddleware)])

FastAPI's applications take it with ``app.add_middleware(MetlogMiddleware)``. Mounted applications and
included routers are looked into.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from metlog.integrations import asgi

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MetlogMiddleware"]

PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")


class MetlogMiddleware(asgi.MetlogMiddleware):
    """Times each request, counts statuses and captures exceptions; names them by route."""

    def __init__(self, app: asgi.App, client: Any = None, **options: Any) -> None:
        super().__init__(app, client, **options)
        # By endpoint the templates of its routes, each with a pattern of the paths it takes.
        self._templates: dict[Any, list[tuple[str, re.Pattern[str]]]] = {}

    def route_of(self, scope: asgi.Scope) -> str | None:
        """Find the template of the route that a request has taken."""
        route = super().route_of(scope)
        if route is not None or "endpoint" not in scope:
            return route
        # FastAPI and Starlette 1 say which route it was, Starlettes before only what that calls.
        if "route" in scope:
            return _with_prefix(scope)
        return self._search(scope)

    def _search(self, scope: asgi.Scope) -> str | None:
        endpoint = scope["endpoint"]
        templates = self._templates.get(endpoint)
        if templates is None:
            routes = getattr(scope.get("app"), "routes", None) or getattr(scope.get("router"), "routes", ())
            found = _templates_of(endpoint, routes, "")
            templates = [(PARAMETER.sub(r"{\1}", template), _pattern(template)) for template in found]
            self._templates[endpoint] = templates
        path = scope["path"].removeprefix(scope.get("app_root_path", ""))
        return next((template for template, pattern in templates if pattern.fullmatch(path)), None)


def _with_prefix(scope: asgi.Scope) -> str | None:
    """Put before a route's own path what it is mounted or included under.

    Of that there is only what the client has asked for, so each parameter has to be found in it: a path of
    which a word may be the client's gives no prefix.
    """
    route = scope["route"]
    own: str | None = getattr(route, "path_format", getattr(route, "path", None))
    if own is None:
        return None
    params = dict(scope.get("path_params", {}))
    names = [found[1] for found in PARAMETER.finditer(own)]
    if not params.keys() >= set(names):
        return own
    # Counted, since a parameter need not look as it was asked for: 7 for `007`.
    values = [params.pop(name) for name in names]
    length = own.count("/") + sum(value.count("/") for value in values if isinstance(value, str))
    path: str = scope["path"].removeprefix(scope.get("app_root_path", ""))
    words = path.split("/")
    prefix = words[: len(words) - length]
    at = 0
    for name, value in params.items():
        at = next((place for place in range(at, len(prefix)) if _is(prefix[place], value)), len(prefix))
        if at == len(prefix):
            return own
        prefix[at] = f"{{{name}}}"
    return "/".join(prefix) + own


def _is(word: str, value: Any) -> bool:
    """Tell whether `value` is what a route has made of `word`."""
    if isinstance(value, str):
        return word == value
    try:
        return bool(type(value)(word) == value)
    except Exception:  # noqa: BLE001 - a converter of the application's may make anything
        return False


def _templates_of(endpoint: Any, routes: Any, prefix: str) -> Iterator[str]:
    for route in routes:
        path = prefix + getattr(route, "path", "")
        if getattr(route, "endpoint", None) == endpoint:
            yield path
        elif getattr(route, "app", None) == endpoint and not getattr(route, "routes", None):
            # A mounted application of another kind, such as that of static files.
            yield f"{path}/{{path:path}}"
        else:
            yield from _templates_of(endpoint, getattr(route, "routes", None) or (), path)


def _pattern(template: str) -> re.Pattern[str]:
    pieces = []
    at = 0
    for found in PARAMETER.finditer(template):
        pieces += [re.escape(template[at : found.start()]), ".*" if found[2] == "path" else "[^/]+"]
        at = found.end()
    return re.compile("".join([*pieces, re.escape(template[at:])]))
