"""Senders to streams and files."""

from __future__ import annotations

import sys

from metlog._metlog import Target
from metlog.senders.base import NativeSender, dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Protocol

    from metlog.senders._types import Message

    Formatter = Callable[[Message], str]

    class Stream(Protocol):
        """What a `StreamSender` writes to."""

        def write(self, text: str, /) -> object:
            """Write `text`."""

        def flush(self) -> object:
            """Hand what was written to the operating system."""


def indented_json(msg: Message) -> str:
    """Write `msg` as JSON over several lines."""
    return dumps(msg, indent=4)


class StreamSender:
    """Writes each message to `stream`, formatted by `formatter`, a callable or its dotted name."""

    def __init__(self, stream: Stream, formatter: Formatter | str | None = None) -> None:
        self.stream = stream
        self.formatter: Formatter = indented_json
        if isinstance(formatter, str):
            from metlog.path import resolve_name

            self.formatter = resolve_name(formatter)
        elif formatter is not None:
            self.formatter = formatter

    def send_message(self, msg: Message) -> None:
        """Write `msg` and a newline."""
        self.stream.write(self.formatter(msg) + "\n")
        self.stream.flush()


class StdOutSender(StreamSender):
    """Writes each message to standard output."""

    def __init__(self, formatter: Formatter | str | None = None) -> None:
        super().__init__(sys.stdout, formatter)


class FileSender(StreamSender):
    """Appends each message to a file."""

    def __init__(self, filepath: str | os.PathLike[str], formatter: Formatter | str | None = None) -> None:
        # Open as long as the sender is; `pathlib` is slow to import.
        super().__init__(open(filepath, "a", encoding="utf-8"), formatter)  # noqa: PTH123, SIM115


class JsonLinesSender(NativeSender):
    """Appends each message to a file, as JSON on one line, from the core's own thread."""

    def __init__(self, filepath: str | os.PathLike[str]) -> None:
        super().__init__(Target.file(filepath))
