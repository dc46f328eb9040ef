"""Celery: task timers, counters and exceptions, from workers of any pool.

    metlog.integrations.celery.install()       # beside the Celery application, so that workers import it

| message | name | when |
|---|---|---|
| `timer` | `celery.task.run` | a task has run |
| `timer` | `celery.task.name.<task>` | the same, one for each task |
| `counter` | `celery.task.state.<state>` | `success`, `failure`, `retry`, `revoked` |
| `counter` | `celery.task.exception` | a task failed; a `sentry` message has the traceback |

All have the fields `task` and `state`; what a task sends is bound to `task` and `task_id`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from celery import signals

import metlog
from metlog import _metlog
from metlog.integrations._guard import guarded
from metlog.integrations._names import LONGEST, NO_WORD

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from metlog.client import MetlogClient

__all__ = ["install"]

PREFIX = "celery.task"
# How long the end of a pool's process waits for what is left.
CLOSE_SECONDS = 2.0


def install(client: MetlogClient | None = None, *, exceptions: bool = True, bind: bool = True) -> None:
    """Have all tasks of this process, and of its children, told; installed again, the last one counts.

    `exceptions` False leaves out the `sentry` messages, `bind` False the fields of what tasks send.
    """
    tasks = _Tasks(client, exceptions=exceptions, bind=bind)
    for name in ("prerun", "postrun", "success", "failure", "retry", "revoked"):
        signal, receiver = getattr(signals, f"task_{name}"), getattr(tasks, name)
        signal.disconnect(dispatch_uid=f"metlog.{name}")
        signal.connect(receiver, weak=False, dispatch_uid=f"metlog.{name}")
    # A prefork pool ends its processes by `os._exit`, of which nothing of Python's is told.
    signals.worker_process_shutdown.connect(_close_all, weak=False, dispatch_uid="metlog.shutdown")


@guarded
def _close_all(**_: object) -> None:
    _metlog.close_all(CLOSE_SECONDS)


class _Tasks:
    """What runs in this process, as Celery's signals tell it."""

    def __init__(self, client: MetlogClient | None, *, exceptions: bool, bind: bool) -> None:
        self._client = client
        self._exceptions, self._bind = exceptions, bind
        # By id: when it was started, and what is bound while it runs.
        self._running: dict[str, tuple[float, AbstractContextManager[Any] | None]] = {}

    def _the_client(self) -> MetlogClient:
        return metlog.get_client() if self._client is None else self._client

    @guarded
    def prerun(self, task_id: str, task: Any, **_: object) -> None:
        bound = None
        if self._bind:
            bound = self._the_client().bind(task=task.name, task_id=task_id)
            bound.__enter__()
        self._running[task_id] = time.perf_counter(), bound

    @guarded
    def postrun(self, task_id: str, task: Any, state: str | None = None, **_: object) -> None:
        ended = time.perf_counter()
        started, bound = self._running.pop(task_id, (ended, None))
        client, fields = self._the_client(), {"task": task.name, "state": state}
        milliseconds = (ended - started) * 1000
        try:
            client.timer_send(f"{PREFIX}.run", milliseconds, fields=fields)
            client.timer_send(f"{PREFIX}.name.{task_name(task.name)}", milliseconds, fields=fields)
        finally:
            if bound is not None:
                bound.__exit__(None, None, None)

    @guarded
    def success(self, sender: Any, **_: object) -> None:
        self._count(sender, "success")

    @guarded
    def failure(
        self,
        sender: Any,
        task_id: str | None = None,
        exception: BaseException | None = None,
        **_: object,
    ) -> None:
        """See a task fail: in the process that ran it, or in the worker's own when that process died."""
        self._count(sender, "failure")
        if not isinstance(exception, BaseException):
            return
        client = self._the_client()
        fields = {"task": sender.name, "state": "FAILURE", "exception": type(exception).__name__}
        client.incr(f"{PREFIX}.exception", fields=fields)
        if self._exceptions:
            fields["task_id"] = task_id
            client.send_exception(exception, msg=f"{sender.name} failed", fields=fields)

    @guarded
    def retry(self, sender: Any, **_: object) -> None:
        self._count(sender, "retry")

    @guarded
    def revoked(self, sender: Any, **_: object) -> None:
        self._count(sender, "revoked")

    def _count(self, task: Any, state: str) -> None:
        fields = {"task": task.name, "state": state.upper()}
        self._the_client().incr(f"{PREFIX}.state.{state}", fields=fields)


def task_name(name: str) -> str:
    """Give back a task's name as part of a metric's."""
    return ".".join(NO_WORD.sub("_", word) for word in name.split("."))[:LONGEST]
