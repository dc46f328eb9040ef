"""Real requests over kept-alive connections, and statsd packets from a shell."""

import http.client
import itertools
import json
import random
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass

VISITORS_PER_APPLICATION = 4
# Between two requests of a visitor; with it the demo leaves room for other work on a small machine.
PAUSE_SECONDS = 0.02
REQUEST_SECONDS = 10.0

STATSD_PACKETS = 10
STATSD_LINE = (
    "for n in {{1..{packets}}}; do "
    'echo "cron.time:$((RANDOM % 100))|ms" >/dev/udp/{host}/{port}; sleep 0.1; done'
)


@dataclass(frozen=True)
class Wish:
    """What a visitor asks for."""

    path: str
    method: str = "GET"
    # JSON.
    body: str | None = None
    # The only status that is right; any below 500 where there is none.
    status: int | None = None

    def is_granted(self, status: int) -> bool:
        """Tell whether `status` is right."""
        return status < 500 if self.status is None else status == self.status


CRASH = Wish("/crash", status=500)
WRONG_LOGIN = Wish("/login", "POST", '{"user": "jane", "password": "guessed"}', 401)
RIGHT_LOGIN = Wish("/login", "POST", '{"user": "jane", "password": "correct horse"}', 200)
# What the first visitor of each application begins with, so that there is something to show.
FIRST_WISHES = (WRONG_LOGIN, CRASH)


class Visitor(threading.Thread):
    """One connection with one request after another, each with an identity of its own."""

    def __init__(self, application: str, number: int, port: int, stop: threading.Event) -> None:
        super().__init__(name=f"{application}.{number}")
        self.application = application
        self.asked = 0
        # Those that have one right status.
        self.wishes: Counter[Wish] = Counter()
        self.failures: list[str] = []
        self._newest = 1
        self._first_wishes = list(FIRST_WISHES) if number == 0 else []
        self._stop_asked = stop
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS)

    def run(self) -> None:
        """Ask until told to stop."""
        while not self._stop_asked.wait(PAUSE_SECONDS):
            request_id = f"{self.name}/{self.asked}"
            self.asked += 1
            try:
                self._ask(request_id)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"request {request_id} failed: {error!r}")
                self._connection.close()
        self._connection.close()

    def _ask(self, request_id: str) -> None:
        wish = self._choose()
        if wish.status is not None:
            self.wishes[wish] += 1
        headers = {"X-Request-ID": request_id, "Content-Type": "application/json"}
        self._connection.request(wish.method, wish.path, wish.body, headers)
        response = self._connection.getresponse()
        answer = json.load(response)
        if not wish.is_granted(response.status):
            self.failures.append(f"request {request_id} failed: {response.status} {response.reason}")
        elif wish.path == "/bookmarks" and wish.method == "POST":
            self._newest = answer["number"]

    def _choose(self) -> Wish:
        """Mostly look at something; some of it is not there."""
        if self._first_wishes:
            return self._first_wishes.pop()
        number = max(0, self._newest + 1 - random.randrange(12))
        wishes = {
            Wish(f"/bookmarks/{number}"): 54,
            Wish("/bookmarks"): 18,
            Wish(f"/bookmarks/{number}/preview"): 18,
            Wish("/bookmarks", "POST", json.dumps({"url": f"https://example.org/{self.asked}"})): 10,
            RIGHT_LOGIN: 1,
            WRONG_LOGIN: 1,
        }
        return random.choices([*wishes], [*wishes.values()])[0]


class Shell(threading.Thread):
    """Runs the line that a person could type, again and again."""

    def __init__(self, address: str, stop: threading.Event) -> None:
        super().__init__(name="statsd")
        host, port = address.rsplit(":", 1)
        self.line = STATSD_LINE.format(packets=STATSD_PACKETS, host=host, port=port)
        self.sent = 0
        self.failures: list[str] = []
        self._stop_asked = stop

    def run(self) -> None:
        """Send until told to stop."""
        while not self._stop_asked.is_set() and not self.failures:
            # In a session of its own, like all that the demo starts: Ctrl-C on the terminal is not for it.
            done = subprocess.run(
                ["bash", "-c", self.line], capture_output=True, text=True, start_new_session=True, check=False
            )
            self.sent += STATSD_PACKETS
            if done.returncode or done.stderr:
                self.failures.append(f"the statsd line ended with {done.returncode}: {done.stderr.strip()}")


class Traffic:
    """All of it; on exit it has ended."""

    def __init__(self, ports: dict[str, int], statsd: str) -> None:
        self._stop = threading.Event()
        self.visitors = [
            Visitor(name, number, port, self._stop)
            for (name, port), number in itertools.product(ports.items(), range(VISITORS_PER_APPLICATION))
        ]
        self.shell = Shell(statsd, self._stop)

    def __enter__(self) -> "Traffic":
        for thread in self._threads():
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads():
            thread.join()

    def _threads(self) -> list[threading.Thread]:
        return [*self.visitors, self.shell]

    def failures(self) -> list[str]:
        """Say what went wrong on this side."""
        return [*itertools.chain(*(visitor.failures for visitor in self.visitors)), *self.shell.failures]

    def asked(self, application: str) -> int:
        """Count the requests to an application."""
        return sum(visitor.asked for visitor in self.visitors if visitor.application == application)

    def wished(self, application: str, wish: Wish) -> int:
        """Count the requests of one kind, which has one right status, to an application."""
        return sum(visitor.wishes[wish] for visitor in self.visitors if visitor.application == application)
