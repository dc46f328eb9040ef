"""SIGTERM, for applications that leave it to metlog."""

from __future__ import annotations

import os

from metlog import _metlog
from metlog.exceptions import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

# The first process of a container, which the kernel spares what a signal does by default: it would live on.
FIRST = 1

# What a shell gives back for a process that a signal ended, less its number.
EXITED_BY_SIGNAL = 128


class _Ending:
    """The handler: sends what is left, then has the signal do what it would have done."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        import signal

        _metlog.close_all(self._timeout)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        if os.getpid() == FIRST:
            os._exit(EXITED_BY_SIGNAL + number)


def handle_sigterm(timeout: float = 2.0) -> bool:
    """Have SIGTERM send what every client holds, at most `timeout` seconds long, and then end the process.

    Gives back False, and changes nothing, where the signal is handled or ignored already: an application
    or a server with a handler of its own decides when to end, and what is sent until then leaves at its
    `sys.exit`. Python runs handlers in the main thread, between two instructions: a call into C that does
    not return delays it.

    Raises `ConfigError` in any thread but the main one, where Python takes no handlers.
    """
    import signal

    if isinstance(signal.getsignal(signal.SIGTERM), _Ending):
        return True
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return False
    try:
        signal.signal(signal.SIGTERM, _Ending(timeout))
    except ValueError as error:
        msg = f"handle_sigterm is for the main thread: {error}"
        raise ConfigError(msg) from error
    return True
