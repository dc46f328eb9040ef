"""Starts both daemons and three applications on loopback, drives traffic at them, and shows what arrives.

    DURATION=20 .venv/bin/python examples/demo

Without DURATION it runs until Ctrl-C on a terminal, and for 20 seconds elsewhere. Its last line is the ledger
of the whole way; it exits with 0 when that balances and agrees with what was sent.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from arrivals import Arrivals
from checks import Evidence, parse_ledger
from daemons import (
    APPLICATIONS,
    FLUSH_SECONDS,
    Daemon,
    check_prerequisites,
    start_applications,
    start_grater,
    start_sidecar,
)
from processes import DemoError, Interrupted, Programs, Stop
from traffic import PAUSE_SECONDS, VISITORS_PER_APPLICATION, Traffic
from view import Screen, access_logs, incidents, messages_table, timers_table

DEFAULT_SECONDS = 20.0
REDRAW_SECONDS = 0.5
PROGRESS_SECONDS = 2.0
# How long the last messages may be on their way: a flush and much patience.
SETTLE_SECONDS = FLUSH_SECONDS + 20.0
# Lines of differences that are shown.
MOST_PROBLEMS = 12
INTERRUPTED = 130


class Show:
    """What is seen while traffic flows."""

    def __init__(self, screen: Screen, grater: Daemon, arrivals: Arrivals) -> None:
        self._screen = screen
        self._grater = grater
        self._arrivals = arrivals
        self._started = time.monotonic()
        self._last = (self._started, 0)
        self.seconds = 0.0

    def run(self, programs: Programs, stop: Stop, duration: float | None) -> None:
        """Show until asked to stop or until the time is over."""
        pause = REDRAW_SECONDS if self._screen.is_terminal else PROGRESS_SECONDS
        while not stop.asked and (duration is None or self.seconds < duration):
            left = pause if duration is None else min(pause, duration - self.seconds)
            stop.wait(left)
            self.seconds = time.monotonic() - self._started
            if not stop.asked:
                programs.check()
                self._step()
        stop.asked = False
        if self._screen.is_terminal:
            self._screen.draw([])

    def _step(self) -> None:
        self._arrivals.read()
        sent = self._grater.page("/audit")["sent"]
        attempted, (last_time, last_count) = sent["attempted"], self._last
        now = time.monotonic()
        speed = (attempted - last_count) / (now - last_time)
        self._last = (now, attempted)
        line = (
            f"{self.seconds:4.0f} s  {attempted:,} sent, {speed:,.0f}/s: {sent['delivered']:,} delivered,"
            f" {sent['consumed']:,} consumed, {sent['filtered']:,} filtered"
        )
        if not self._screen.is_terminal:
            self._screen.say(line)
            return
        tables = self.tables()
        self._screen.draw(["", "TRAFFIC  (Ctrl-C ends it)", line, "", *tables])

    def tables(self) -> list[str]:
        """Tabulate what has arrived so far."""
        timers = timers_table(self._arrivals, FLUSH_SECONDS, self.seconds)
        return [*messages_table(self._arrivals), "", *timers]


def main() -> int:
    """Run the demo; give back the exit code."""
    stop = Stop()
    try:
        duration = _duration()
        check_prerequisites()
        with tempfile.TemporaryDirectory(prefix="metlog-demo-") as folder:
            return _demonstrate(Path(folder), Screen(), stop, duration)
    except Interrupted:
        print("interrupted: everything that was started has ended", file=sys.stderr)
        return INTERRUPTED
    except DemoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _duration() -> float | None:
    given = os.environ.get("DURATION", "")
    if not given:
        return None if sys.stdout.isatty() else DEFAULT_SECONDS
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise DemoError(f"DURATION is {given!r}, expected a number of seconds, such as DURATION=20")
    return seconds


def _demonstrate(folder: Path, screen: Screen, stop: Stop, duration: float | None) -> int:
    report = folder / "report.jsonl"
    with Programs(folder, stop) as programs:
        screen.say(
            "== starting on free ports of 127.0.0.1: metlog-grater, metlog-sidecar and three applications"
        )
        grater = start_grater(programs, folder)
        sidecar = start_sidecar(programs, folder, grater)
        applications = start_applications(programs, folder, sidecar, report)
        ports = {program.name: port for program, port in applications.items()}
        traffic = Traffic(ports, sidecar.listening["statsd_udp"])
        _introduce(screen, grater, sidecar, ports, traffic)

        arrivals = Arrivals(grater.data / "messages.jsonl")
        show = Show(screen, grater, arrivals)
        with traffic:
            show.run(programs, stop, duration)
        screen.say("== ending: the applications first; then the last messages and roll-ups arrive")
        programs.end(list(applications))
        evidence = _settle(programs, grater, Evidence(None, arrivals, traffic, report, list(APPLICATIONS)))
        code, audit = grater.audit()
        # The other way round the sidecar would miss its grater.
        programs.end([sidecar.program])
        programs.end([grater.program])

    sent = evidence.audit["sent"]["attempted"]
    screen.say("", *show.tables(), "", *access_logs(arrivals), *incidents(arrivals, APPLICATIONS))
    screen.say(f"THROUGHPUT {sent / show.seconds:,.0f} messages/s, {sent:,} in {show.seconds:.0f} s")
    return _conclude(screen, code, audit, evidence.differences())


def _introduce(
    screen: Screen, grater: Daemon, sidecar: Daemon, ports: dict[str, int], traffic: Traffic
) -> None:
    screen.say(
        f"   metlog-grater     link {grater.listening['link']}, writes one file of JSON lines",
        f"   metlog-sidecar    applications {sidecar.listening['push']}, statsd udp://{sidecar.listening['statsd_udp']}",
        *(f"   {name:<17} http://127.0.0.1:{port}/bookmarks" for name, port in ports.items()),
        f"== sending requests over {VISITORS_PER_APPLICATION} connections to each application, one each"
        f" {PAUSE_SECONDS * 1000:.0f} ms, and statsd packets from a shell:",
        f"   $ {traffic.shell.line}",
    )


def _settle(programs: Programs, grater: Daemon, evidence: Evidence) -> Evidence:
    """Wait until everything has arrived; give back what is known then, or when it has taken too long."""
    known = evidence

    def is_complete() -> bool:
        nonlocal known
        # The file is read last: what the ledger calls delivered is in it.
        audit = grater.page("/audit")
        evidence.arrivals.read()
        known = Evidence(audit, evidence.arrivals, evidence.traffic, evidence.reports, evidence.applications)
        return known.is_complete()

    programs.wait_until(is_complete, SETTLE_SECONDS)
    return known


def _conclude(screen: Screen, code: int, audit: list[str], differences: list[str]) -> int:
    *origins, line = audit
    word, figures = parse_ledger(line)
    balances = figures["attempted"] == sum(figures.values()) - figures["attempted"]
    screen.say("", "LEDGER BY ORIGIN", *origins, "")
    if not balances:
        differences = ["the ledger's figures do not add up", *differences]
    if differences:
        more = len(differences) - MOST_PROBLEMS
        screen.say("PROBLEMS", *differences[:MOST_PROBLEMS], *([f"and {more} more"] if more > 0 else []), "")
        line = line.replace(f"LEDGER {word}", "LEDGER broken")
    screen.say(line)
    return 1 if code or differences else 0


if __name__ == "__main__":
    sys.exit(main())
