"""What the demo shows: at the end as plain lines, meanwhile redrawn in place on a terminal."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence

from arrivals import Arrivals, Timer

from metlog_raven import decode, format_event

# Both tables fit a terminal of 80 columns.
NAME_WIDTH = 25
MESSAGES_WIDTH = 8
TIMERS_WIDTH = 9
# Frames of a traceback; those of the servers around an application are many.
MOST_FRAMES = 3
# Of a line of a traceback; the names of Rust's functions hold their types.
MOST_COLUMNS = 160
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


def _row(name: str, widths: Iterable[int], cells: Iterable[str]) -> str:
    padded = (f"{cell:>{width}}" for width, cell in zip(widths, cells, strict=True))
    return f"{name:<{NAME_WIDTH}}" + "".join(padded)


def messages_table(arrivals: Arrivals) -> list[str]:
    """Tabulate messages per application and type."""
    loggers = sorted({logger for logger, _ in arrivals.messages})
    types = sorted({kind for _, kind in arrivals.messages})
    widths = [max(MESSAGES_WIDTH, len(kind) + 1) for kind in (*types, "all")]
    rows = [_row("MESSAGES THAT ARRIVED", widths, [*types, "all"])]
    for logger in loggers:
        counts = [*(arrivals.messages[logger, kind] for kind in types), arrivals.sent_by(logger)]
        rows.append(_row(logger, widths, [f"{count:,}" for count in counts]))
    return rows


def incidents(arrivals: Arrivals, applications: Iterable[str]) -> list[str]:
    """Show an exception and a failed login of each application, as they arrived."""
    lines = []
    for name in applications:
        sentry, cef = (arrivals.shown.get((name, kind)) for kind in ("sentry", "cef"))
        if sentry is not None:
            text = format_event(decode(sentry["payload"]), most_frames=MOST_FRAMES)
            told = sentry["fields"]["msg"]
            lines += [f"EXCEPTION of {name}" + (f": {told}" if told else "")]
            lines += [_clipped(f"  {line}".rstrip()) for line in text.splitlines()] + [""]
        if cef is not None:
            lines += [f"FAILED LOGIN at {name}, in CEF", f"  {cef['payload']}", ""]
    return lines


def access_logs(arrivals: Arrivals) -> list[str]:
    """Show what the sidecar made of the applications' access logs."""
    lines = []
    for name, statuses in sorted(arrivals.access.items()):
        counts = ", ".join(f"{count:,} of status {status}" for status, count in sorted(statuses.items()))
        last = arrivals.last_access[name]
        fields = ", ".join(f"{field} {value}" for field, value in last["fields"].items())
        lines += [
            f"ACCESS LOG of {name}: {statuses.total():,} lines, {counts}",
            _clipped(f"  the last: {fields}"),
            "",
        ]
    return lines


def _clipped(line: str) -> str:
    return line if len(line) <= MOST_COLUMNS else f"{line[: MOST_COLUMNS - 3]}..."


def timers_table(arrivals: Arrivals, flush_seconds: int, seconds: float) -> list[str]:
    """Tabulate what the sidecar made of the timers, whose single measurements do not travel."""
    above = f"{'':<{NAME_WIDTH + 2 * TIMERS_WIDTH}}  in the busiest {flush_seconds} s:"
    columns = ["count", "rate/s", "count", "mean ms", "median", "upper_90"]
    widths = [TIMERS_WIDTH] * len(columns)
    rows = [_timer_row(name, timer, seconds) for name, timer in sorted(arrivals.timers.items())]
    return [above, _row("TIMERS ROLLED UP", widths, columns), *rows]


def _timer_row(name: str, timer: Timer, seconds: float) -> str:
    whole = [f"{timer.count:,}", f"{timer.count / max(seconds, 1):.1f}"]
    figures = [timer.busiest.get(figure, 0) for figure in ("mean", "median", "upper_90")]
    busiest = [f"{timer.busiest.get('count', 0):.0f}", *(f"{figure:.1f}" for figure in figures)]
    cells = [*whole, *busiest]
    return _row(name, [TIMERS_WIDTH] * len(cells), cells)
