"""Refuses to be imported where metlog cannot run, before the compiled part is loaded: in a subinterpreter.

CPython itself refuses only those with a lock of their own. In one of the older kind, which servers use, the
compiled part would load, and the process hang at its end.
"""

from __future__ import annotations

import _thread

from metlog.exceptions import UnsupportedInterpreterError


def _is_main() -> bool:
    # From 3.13 on there is a question for it.
    asked = getattr(_thread, "_is_main_interpreter", None)
    if asked is not None:
        return bool(asked())
    try:
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]
    except ImportError:
        # An interpreter that was built without it has no others.
        return True
    return bool(interpreters.get_current() == interpreters.get_main())


if not _is_main():
    msg = (
        "metlog cannot run in a subinterpreter, have the server use the main one: "
        "with mod_wsgi by WSGIApplicationGroup %{GLOBAL}, with uWSGI by single-interpreter = true"
    )
    raise UnsupportedInterpreterError(msg)
