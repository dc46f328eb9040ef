"""The tables of the demo: at the end as plain lines, meanwhile redrawn in place on a terminal."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence

from arrivals import Arrivals, Timer

# Both tables fit a terminal of 80 columns.
NAME_WIDTH = 25
MESSAGES_WIDTH = 11
TIMERS_WIDTH = 9
# Plain ANSI.
BOLD, PLAIN, UP, ERASE_BELOW = "\x1b[1m", "\x1b[0m", "\x1b[{}A", "\x1b[J"


class Screen:
    """Standard output: redraws its last lines when it is a terminal."""

    def __init__(self) -> None:
        self.is_terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._has_colour = self.is_terminal and not os.environ.get("NO_COLOR")
        self._drawn = 0

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


def _row(name: str, width: int, cells: Iterable[str]) -> str:
    return f"{name:<{NAME_WIDTH}}" + "".join(f"{cell:>{width}}" for cell in cells)


def messages_table(arrivals: Arrivals) -> list[str]:
    """Tabulate messages per application and type."""
    loggers = sorted({logger for logger, _ in arrivals.messages})
    types = sorted({kind for _, kind in arrivals.messages})
    rows = [_row("MESSAGES THAT ARRIVED", MESSAGES_WIDTH, [*types, "all"])]
    for logger in loggers:
        counts = [*(arrivals.messages[logger, kind] for kind in types), arrivals.sent_by(logger)]
        rows.append(_row(logger, MESSAGES_WIDTH, [f"{count:,}" for count in counts]))
    return rows


def timers_table(arrivals: Arrivals, flush_seconds: int, seconds: float) -> list[str]:
    """Tabulate what the sidecar made of the timers, whose single measurements do not travel."""
    above = _row("", TIMERS_WIDTH, ["", "", f"  in the busiest {flush_seconds} s:"])
    columns = ["count", "rate/s", "count", "mean ms", "median", "upper_90"]
    rows = [_timer_row(name, timer, seconds) for name, timer in sorted(arrivals.timers.items())]
    return [above, _row("TIMERS ROLLED UP", TIMERS_WIDTH, columns), *rows]


def _timer_row(name: str, timer: Timer, seconds: float) -> str:
    whole = [f"{timer.count:,}", f"{timer.count / max(seconds, 1):.1f}"]
    figures = [timer.busiest.get(figure, 0) for figure in ("mean", "median", "upper_90")]
    busiest = [f"{timer.busiest.get('count', 0):.0f}", *(f"{figure:.1f}" for figure in figures)]
    return _row(name, TIMERS_WIDTH, whole + busiest)
