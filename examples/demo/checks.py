"""Whether everything is accounted for: what was asked and sent, against the ledger and the grater's file."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrivals import Arrivals
from daemons import ACCESS_LOGS
from traffic import CRASH, WRONG_LOGIN, Traffic

STATSD_LOGGER = "metlog.input.statsd_udp"
FILES_LOGGER = "metlog.input.files.access"

Figures = Mapping[str, int]


@dataclass(frozen=True)
class Books:
    """What applications think they sent: sums over their processes."""

    attempted: int
    sent: int


def read_reports(path: Path, application: str) -> Books:
    """Add up what the processes of an application wrote when they ended."""
    lines = path.read_text().splitlines() if path.exists() else []
    reports = [report for report in map(json.loads, lines) if report["logger"] == application]
    return Books(sum(r["attempted"] for r in reports), sum(r["sent"] for r in reports))


def figures_of(audit: Any, logger: str) -> Figures:
    """Add up the figures of all origins of one name."""
    total: Counter[str] = Counter()
    for origin in audit["origins"]:
        if origin["logger"] == logger:
            total.update(origin["figures"])
    return total


def parse_ledger(line: str) -> tuple[str, Figures]:
    """Take the last line of an audit apart: `LEDGER ok attempted=7 ...`."""
    word = line.split()[1]
    return word, {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line)}


@dataclass(frozen=True)
class Evidence:
    """All that is known at the end."""

    audit: Any
    arrivals: Arrivals
    traffic: Traffic
    reports: Path
    applications: Sequence[str]

    def is_complete(self) -> bool:
        """Tell whether everything sent has come to rest."""
        return not (self.audit["sent"]["waiting"] or self.audit["created"]["waiting"] or self.differences())

    def differences(self) -> list[str]:
        """Say what does not agree, a line each."""
        return [
            *self.traffic.failures(),
            *self._statsd(),
            *self._access_logs(),
            *(line for name in self.applications for line in self._application(name)),
            *(
                line
                for visitor in self.traffic.visitors
                for line in self._visitor(visitor.name, visitor.asked)
            ),
        ]

    def _statsd(self) -> list[str]:
        sent, figures = self.traffic.shell.sent, figures_of(self.audit, STATSD_LOGGER)
        return _compare(
            ("statsd metrics sent", sent),
            ("in the ledger", figures["attempted"]),
            ("in the ledger as consumed", figures["consumed"]),
        )

    def _access_logs(self) -> list[str]:
        figures = figures_of(self.audit, FILES_LOGGER)
        lines = [
            line
            for name in ACCESS_LOGS
            for line in _compare(
                ("requests made", self.traffic.asked(name)),
                (f"lines of the access log of {name}", self.arrivals.access.get(name, Counter()).total()),
            )
        ]
        arrived = sum(statuses.total() for statuses in self.arrivals.access.values())
        return [
            *lines,
            *_compare(("lines read by the ledger", figures["attempted"]), ("in the file", arrived)),
        ]

    def _application(self, name: str) -> list[str]:
        books, figures = read_reports(self.reports, name), figures_of(self.audit, name)
        timer = self.arrivals.timers.get(f"{name}.request")
        requests = ("requests made", self.traffic.asked(name))
        checks = [
            (("attempted", books.attempted), ("in the ledger", figures["attempted"])),
            (
                ("sent", books.sent),
                ("consumed and in the file", figures["consumed"] + self.arrivals.sent_by(name)),
            ),
            (("delivered by the ledger", figures["delivered"]), ("in the file", self.arrivals.sent_by(name))),
            (requests, ("services messages in the file", self.arrivals.messages[name, "services"])),
            (requests, ("counted by the roll-up", timer.count if timer else 0)),
            (
                ("failed logins", self.traffic.wished(name, WRONG_LOGIN)),
                ("cef messages in the file", self.arrivals.messages[name, "cef"]),
            ),
            (
                ("requests that crashed", self.traffic.wished(name, CRASH)),
                ("sentry messages in the file", self.arrivals.messages[name, "sentry"]),
            ),
        ]
        return [f"{name}: {line}" for check in checks for line in _compare(*check)]

    def _visitor(self, name: str, asked: int) -> list[str]:
        times = self.arrivals.times(name, asked)
        once = times.pop(1, 0)
        repeated = sum(count for often, count in times.items() if often > 1)
        if once == asked and not times.total():
            return []
        return [f"{name}: of {asked} requests {times[0]} are not in the file and {repeated} more than once"]


def _compare(*counts: tuple[str, int]) -> list[str]:
    if len({count for _, count in counts}) == 1:
        return []
    return [", ".join(f"{count} {what}" for what, count in counts)]
