"""gunicorn: a logger class for applications that have no middleware. Workers need nothing of it.

    gunicorn --logger-class metlog.integrations.gunicorn.MetlogLogger app:application

| message | name | when |
|---|---|---|
| `timer` | `gunicorn.request` | a request was answered, fields `method` and `status` |
| `counter` | `gunicorn.status.<class>`, `gunicorn.status.<status>` | the same |
| `gauge` | `gunicorn.workers`, `gunicorn.backlog` | the first process has counted them |
| `oldstyle` | | gunicorn's own log, beside where it goes otherwise |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gunicorn.glogging import Logger

import metlog
from metlog.integrations._guard import guarded
from metlog.integrations._names import method_name, status_class
from metlog.logging import MetlogHandler

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["MetlogLogger"]


class MetlogLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's logger, which also sends."""

    def setup(self, cfg: Any) -> None:
        """Set up as gunicorn does, which begins with no handlers."""
        super().setup(cfg)
        self._also_send()

    @guarded
    def _also_send(self) -> None:
        if not any(isinstance(handler, MetlogHandler) for handler in self.error_log.handlers):
            self.error_log.addHandler(MetlogHandler(metlog.get_client()))

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log a line, which may carry a gauge."""
        self._measure(kwargs.get("extra"))
        super().debug(msg, *args, **kwargs)

    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log a line, which may carry a gauge."""
        self._measure(kwargs.get("extra"))
        super().info(msg, *args, **kwargs)

    @guarded
    def _measure(self, extra: dict[str, Any] | None) -> None:
        if extra and extra.get("mtype") == "gauge":
            metlog.get_client().gauge(extra["metric"], extra["value"])

    @property
    def access_log_enabled(self) -> bool:
        """True: `access` is to be called whether or not there is an access log."""
        return True

    def access(self, resp: Any, req: Any, environ: Any, request_time: timedelta) -> None:
        """Tell of a request that was answered."""
        if self._compute_access_log_enabled():
            super().access(resp, req, environ, request_time)
        self._tell(resp, environ, request_time)

    @guarded
    def _tell(self, resp: Any, environ: Any, request_time: timedelta) -> None:
        status = resp.status.decode() if isinstance(resp.status, bytes) else str(resp.status)
        code = int(status.split(None, 1)[0])
        fields = {"method": method_name(environ["REQUEST_METHOD"]), "status": code}
        client = metlog.get_client()
        client.timer_send("gunicorn.request", request_time.total_seconds() * 1000, fields=fields)
        client.incr(f"gunicorn.status.{status_class(code)}", fields=fields)
        client.incr(f"gunicorn.status.{code}", fields=fields)
