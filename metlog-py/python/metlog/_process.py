"""The ends of a process at which messages still leave: Python's own, and a multiprocessing child's."""

from __future__ import annotations

import atexit
import os
import sys

from metlog import _metlog


def install_hooks() -> None:
    """Has what is left sent at the end of this process and of its children; starts nothing."""
    atexit.register(_metlog.close_all)
    os.register_at_fork(before=_prepare_child)
    _prepare_child()
    if _is_child_of_multiprocessing():
        # A child of a fork server imports metlog when the other hook has run already.
        _close_at_end_of_child(None)


def _prepare_child() -> None:
    """Before a fork: multiprocessing ends its children by `os._exit`, and runs only its own finalizers."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not getattr(util, "_metlog_is_hooked", False):
        util.register_after_fork(_prepare_child, _close_at_end_of_child)
        util._metlog_is_hooked = True  # type: ignore[attr-defined]


def _close_at_end_of_child(_: object) -> None:
    util = sys.modules["multiprocessing.util"]
    # Last of all, so that the other finalizers may still send.
    util.Finalize(None, _metlog.close_all, exitpriority=-100)


def _is_child_of_multiprocessing() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None
