"""The tables of the demo: at the end as plain lines, meanwhile redrawn in place on a terminal."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence

from arrivals import Arrivals, Timer

NAME_WIDTH = 26
COLUMN_WIDTH = 11
# Plain ANSI.
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"
UP, ERASE_BELOW, HIDE_CURSOR, SHOW_CURSOR = "\x1b[{}A", "\x1b[J", "\x1b[?25l", "\x1b[?25h"


class Screen:
    """Standard output: redraws its last lines when it is a terminal."""

    def __init__(self) -> None:
        self.is_terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._has_colour = self.is_terminal and not os.environ.get("NO_COLOR")
        self._drawn = 0

    def __enter__(self) -> "Screen":
        if self.is_terminal:
            sys.stdout.write(HIDE_CURSOR)
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_terminal:
            sys.stdout.write(SHOW_CURSOR)
            sys.stdout.flush()

    def draw(self, lines: Sequence[str]) -> None:
        """Show `lines` in place of those drawn before; as many as the terminal holds."""
        columns, rows = shutil.get_terminal_size()
        kept = [line[: columns - 1] for line in lines[: rows - 1]]
        above = UP.format(self._drawn) if self._drawn else ""
        sys.stdout.write(above + ERASE_BELOW)
        self._write(kept)
        self._drawn = len(kept)

    def say(self, *lines: str) -> None:
        """Show lines that stay."""
        self._drawn = 0
        self._write(lines)

    def _write(self, lines: Iterable[str]) -> None:
        for line in lines:
            # Headings are in capitals.
            bold = self._has_colour and line[:2].isupper()
            sys.stdout.write(f"{BOLD}{line}{PLAIN}\n" if bold else f"{line}\n")
        sys.stdout.flush()


def _row(name: str, cells: Iterable[object]) -> str:
    return f"{name:<{NAME_WIDTH}}" + "".join(f"{cell:>{COLUMN_WIDTH}}" for cell in cells)


def messages_table(arrivals: Arrivals) -> list[str]:
    """Tabulate messages per application and type."""
    loggers = sorted({logger for logger, _ in arrivals.messages})
    types = sorted({kind for _, kind in arrivals.messages})
    rows = [
        _row(
            logger,
            [f"{arrivals.messages[logger, kind]:,}" for kind in types] + [f"{arrivals.sent_by(logger):,}"],
        )
        for logger in loggers
    ]
    return [_row("MESSAGES THAT ARRIVED", [*types, "all"]), *rows]


def timers_table(arrivals: Arrivals, flush_seconds: int, seconds: float) -> list[str]:
    """Tabulate what the sidecar made of the timers, whose single measurements do not travel."""
    heading = _row("TIMERS ROLLED UP", ["count", "rate/s", "count", "mean ms", "median ms", "upper_90"])
    above = " " * (NAME_WIDTH + 2 * COLUMN_WIDTH) + f"  of the busiest {flush_seconds} s:"
    rows = [_timer_row(name, timer, seconds) for name, timer in sorted(arrivals.timers.items())]
    return [above, heading, *rows]


def _timer_row(name: str, timer: Timer, seconds: float) -> str:
    figures = timer.busiest
    cells = [f"{figures.get(figure, 0):.1f}" for figure in ("mean", "median", "upper_90")]
    whole = [f"{timer.count:,}", f"{timer.count / max(seconds, 1):.1f}", f"{figures.get('count', 0):.0f}"]
    return _row(name, whole + cells)
