"""Flask: an extension.

    Metlog(app)            # or Metlog().init_app(app)

``app.config["METLOG"]`` has the settings of `metlog.configure` and, under ``http``, those of
`metlog.integrations._http.Options`; keyword arguments are such options too, and win.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import got_request_exception, request, request_started

from metlog.integrations._guard import guarded
from metlog.integrations._settings import options_from
from metlog.integrations.wsgi import REQUEST_KEY, MetlogMiddleware

__all__ = ["Metlog"]


class Metlog:
    """Times each request, counts statuses and captures what views raise."""

    def __init__(self, app: Any = None, **options: Any) -> None:
        self._options = options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Any) -> None:
        """Look after `app`. Raises `ConfigError` for a setting that is unknown or out of range."""
        middleware = MetlogMiddleware(app.wsgi_app)
        middleware.options = replace(options_from(app.config.get("METLOG", {})), **self._options)
        app.wsgi_app = middleware
        app.extensions["metlog"] = self
        request_started.connect(_routed, app)
        # Flask makes an answer of what a view raises.
        got_request_exception.connect(_failed, app)


@guarded
def _routed(_app: Any, **_: object) -> None:
    told = request.environ.get(REQUEST_KEY)
    if told is not None and request.url_rule is not None:
        told.route = request.url_rule.rule


@guarded
def _failed(_app: Any, exception: BaseException, **_: object) -> None:
    told = request.environ.get(REQUEST_KEY)
    if told is not None:
        told.failed(exception)
