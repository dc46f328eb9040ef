"""What metlog says on the current standard error: seldom, and never with an exception."""

from __future__ import annotations

import sys
import time

QUIET_SECONDS = 10.0

_last_said: dict[str, float] = {}
_said_for_good: set[str] = set()


def complain(reason: str, line: str) -> None:
    """Say `line` on the current standard error, unless something was said for `reason` a moment ago."""
    now = time.monotonic()
    if now - _last_said.get(reason, -QUIET_SECONDS) < QUIET_SECONDS:
        return
    _last_said[reason] = now
    say(line)


def complain_once(line: str) -> None:
    """Say `line` once in this process."""
    if line not in _said_for_good:
        _said_for_good.add(line)
        say(line)


def say(line: str) -> None:
    """Say `line`, if there is a standard error to say it on."""
    try:
        sys.stderr.write(f"{line}\n")
    except (AttributeError, OSError, ValueError):
        # Standard error is absent or closed: nobody is left to tell.
        return
