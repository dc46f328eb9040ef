"""What metlog says on the current standard error: seldom, and never with an exception."""

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
    _say(line)


def complain_once(line: str) -> None:
    """Say `line` once in this process."""
    if line not in _said_for_good:
        _said_for_good.add(line)
        _say(line)


def _say(line: str) -> None:
    try:
        sys.stderr.write(f"{line}\n")
    except (AttributeError, OSError, ValueError):
        # Standard error is absent or closed: nobody is left to tell.
        return
