"""For tests of applications: what is sent, as a list.

>>> import metlog
>>> with capture_logs() as messages:
...     metlog.counter("orders").incr()
...     metlog.get_client().info("%s ordered", "somebody")
>>> [(message["type"], message["payload"]) for message in messages]
[('counter', '1'), ('oldstyle', 'somebody ordered')]

With pytest the fixture ``metlog_messages`` is such a list for the whole test.
"""

from __future__ import annotations

from contextlib import contextmanager

from metlog import _metlog
from metlog._capture import captures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from metlog.senders._types import Message

__all__ = ["capture_logs"]


@contextmanager
def capture_logs() -> Iterator[list[Message]]:
    """Give the block a list that gets what every client sends meanwhile, of every thread; nothing leaves.

    A message is a dict of the envelope's nine keys with the values the application gave. Filters decide as
    ever. What is otherwise summed in the process is one message a call. Of captures within each other the
    innermost gets the messages.
    """
    messages: list[Message] = []
    captures.append(messages)
    _metlog.set_capturing(True)
    try:
        yield messages
    finally:
        # By identity: two empty lists are equal.
        captures[:] = [kept for kept in captures if kept is not messages]
        _metlog.set_capturing(bool(captures))
