"""uWSGI: what a master that loads the application before it forks must let go of. Workers need nothing of it.

    application = ...
    release()                  # the last line of the module that uWSGI loads

A reload (SIGHUP, `touch-reload`) has the master close every file that is not uWSGI's own, while the client's
threads still use theirs; ZeroMQ then aborts the process. So an application that sends anything while it loads
lets go at the end of that. With `lazy-apps` the master loads nothing and there is nothing to do.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import metlog
from metlog.integrations._guard import guarded
from metlog.integrations._release import release as let_go

if TYPE_CHECKING:
    from metlog.client import MetlogClient

__all__ = ["release"]


@guarded
def release(client: MetlogClient | None = None) -> None:
    """In uWSGI's master send what there is, two seconds long at most, and let threads and sockets go.

    The next message, in a worker or here, starts them anew. Anywhere else this does nothing.
    """
    if not _is_master():
        return
    let_go(metlog.get_client() if client is None else client)


def _is_master() -> bool:
    uwsgi = sys.modules.get("uwsgi")
    # Before the first fork uWSGI does not know yet which process will be its master.
    return uwsgi is not None and uwsgi.worker_id() == 0 and uwsgi.masterpid() in (0, os.getpid())
