"""The request that runs, for what tells about it without being handed it (`client.cef`)."""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# A WSGI environment or an ASGI scope; integrations set it for as long as the request runs.
current: ContextVar[Mapping[str, Any] | None] = ContextVar("metlog_request", default=None)


def environ_of(request: object) -> Mapping[str, Any] | None:
    """Give back the WSGI environment of `request`; without one, of the request that runs, if any does.

    `request` is an environment, an ASGI scope, or a request of Django, Flask, Pyramid, WebOb, Werkzeug or
    Starlette.
    """
    if request is None:
        request = current.get()
    if isinstance(request, dict):
        return environ_of_scope(request) if _is_scope(request) else request
    for attribute in ("META", "environ", "scope"):
        found = getattr(request, attribute, None)
        if isinstance(found, dict):
            return environ_of(found)
    return request  # type: ignore[return-value]  # some other mapping: who reads it will see


def _is_scope(request: Mapping[str, Any]) -> bool:
    return request.get("type") in ("http", "websocket") and "headers" in request


def environ_of_scope(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Write the part of an ASGI scope that says who asks for what as a WSGI environment."""
    client = scope.get("client")
    environ = {
        "REQUEST_METHOD": scope.get("method", "GET"),
        "PATH_INFO": scope.get("path", ""),
        "REMOTE_ADDR": client[0] if client else None,
    }
    for name, value in scope["headers"]:
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        environ.setdefault(key, value.decode("latin-1"))
    return environ
