"""What has arrived: the grater's file of JSON lines, each line read once, in memory that hardly grows."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROLLUP_TYPE = "statmetric"
# Of these the first message of each application is kept, to be shown.
SHOWN_TYPES = ("sentry", "cef")
# Lines of an access log that the sidecar follows.
ACCESS_TYPE = "access"


@dataclass
class Timer:
    """The roll-ups of one timer."""

    count: int = 0
    # Figures by name of one interval: the last, and the one with most measurements.
    last: dict[str, float] = field(default_factory=dict)
    busiest: dict[str, float] = field(default_factory=dict)

    def add(self, values: dict[str, float]) -> None:
        """Take in a flush; one in which nothing was measured has no percentiles."""
        if values["count"]:
            self.count += round(values["count"])
            self.last = values
            self.busiest = max(self.busiest, values, key=lambda figures: figures.get("count", 0))


class Arrivals:
    """The file so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        # By logger and type.
        self.messages: Counter[tuple[str, str]] = Counter()
        self.timers: dict[str, Timer] = {}
        # Lines of access logs by logger and status, and the last message of each logger.
        self.access: dict[str, Counter[int]] = {}
        self.last_access: dict[str, dict[str, Any]] = {}
        self.shown: dict[tuple[str, str], dict[str, Any]] = {}
        # By visitor: how often the message of each of its requests is there, one byte for each.
        self._requests: dict[str, bytearray] = {}

    def read(self) -> None:
        """Read the whole lines that are new."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        fields = message["fields"]
        if message["type"] == ACCESS_TYPE:
            self.access.setdefault(message["logger"], Counter())[fields["status"]] += 1
            self.last_access[message["logger"]] = message
            return
        self.messages[message["logger"], message["type"]] += 1
        if message["type"] == ROLLUP_TYPE and fields["kind"] == "timer":
            self.timers.setdefault(fields["name"], Timer()).add(fields["values"])
        elif message["type"] in SHOWN_TYPES:
            self.shown.setdefault((message["logger"], message["type"]), message)
        elif message["type"] == "services":
            self._count_request(fields["request_id"])

    def _count_request(self, request_id: str) -> None:
        visitor, number = request_id.rsplit("/", 1)
        times = self._requests.setdefault(visitor, bytearray())
        times.extend(bytes(max(0, int(number) + 1 - len(times))))
        times[int(number)] = min(255, times[int(number)] + 1)

    def times(self, visitor: str, asked: int) -> Counter[int]:
        """Count the requests of a visitor by how often their message is there."""
        times = self._requests.get(visitor, bytearray())
        return Counter(times.ljust(asked, b"\0"))

    def sent_by(self, logger: str) -> int:
        """Count the messages of an application."""
        return sum(count for (by, _), count in self.messages.items() if by == logger)
