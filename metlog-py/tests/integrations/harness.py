"""Servers and daemons as processes, and what arrived at the other end."""

import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
BUILT = ROOT / "target" / "debug"
SCRIPTS = Path(sys.executable).parent
APPS = Path(__file__).with_name("apps")

# How often the tests of forks and ends do all they do; more finds what is rare.
ROUNDS = int(os.environ.get("METLOG_TEST_ROUNDS", "1"))

# Under these a client's messages leave when its process ends, and hardly before.
LATE = {"METLOG_BATCH_AGE": "1h"}

START_SECONDS = 30.0
ARRIVAL_SECONDS = 20.0
# The end of a client takes two seconds when there is nobody to send to; here there is.
END_SECONDS = 10.0

GRATER = """\
data_dir = "{data}"
[input.link]
endpoints = ["tcp://127.0.0.1:*"]
[admin]
address = "127.0.0.1:0"
"""

# Nothing is consumed, so that every message arrives on its own.
SIDECAR = """\
data_dir = "{data}"
[input.push]
endpoints = ["tcp://127.0.0.1:*"]
[input.link]
endpoints = []
[input.json_udp]
enabled = false
address = "127.0.0.1:0"
[input.statsd_udp]
enabled = false
address = "127.0.0.1:0"
[rollup]
consume = false
[forward]
endpoints = ["{grater}"]
[admin]
address = "127.0.0.1:0"
"""


def wait_until(condition: Callable[[], Any], seconds: float, what: Callable[[], str] | str) -> Any:
    """Give back what `condition` is once that is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(what() if callable(what) else what)
        time.sleep(0.02)
    return found


class Program:
    """A process that runs, in a session of its own."""

    def __init__(
        self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None, cwd: Path = APPS
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern: str, times: int = 1) -> str:
        """Give back the first group of the last match once `pattern` was said so many times."""

        def found() -> list[str] | None:
            if self._process.poll() is not None:
                raise AssertionError(f"ended with {self._process.returncode}:\n{self.said()}")
            matches = re.findall(pattern, self.said())
            return matches if len(matches) >= times else None

        return wait_until(found, START_SECONDS, lambda: f"never said {pattern}:\n{self.said()}")[-1]

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and give back its code; it must not take long."""
        self.send(number)
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"hangs at its end:\n{self.said()}") from None

    def wait(self, seconds: float) -> int:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"does not end:\n{self.said()}") from None

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


class System:
    """A sidecar, a grater behind it, and the file in which everything ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arrived: dict[str, list[dict[str, Any]]] = {}
        self._offset = 0
        self.programs: list[Program] = []
        grater = self._start("grater", GRATER.format(data=folder / "grater"))
        text = SIDECAR.format(data=folder / "sidecar", grater=grater["link"])
        self.endpoint = self._start("sidecar", text)["push"]

    def _start(self, name: str, config: str) -> dict[str, str]:
        path = self._folder / f"{name}.toml"
        path.write_text(config)
        program = Program([BUILT / f"metlog-{name}", "run", "--config", path], self._folder / f"{name}.log")
        self.programs.append(program)

        def listening() -> dict[str, str] | None:
            connection = http.client.HTTPConnection("metlog", timeout=5)
            connection.sock = socket.socket(socket.AF_UNIX)
            try:
                connection.sock.connect(str(self._folder / name / "admin.sock"))
                connection.request("GET", "/stats")
                return dict(json.load(connection.getresponse())["listening"])
            except (OSError, http.client.HTTPException):
                return None
            finally:
                connection.close()

        return wait_until(listening, START_SECONDS, program.said)

    def messages(self, logger: str) -> list[dict[str, Any]]:
        """Give back what `logger` has sent so far, but for the client's own books."""
        path = self._folder / "grater" / "messages.jsonl"
        if path.exists():
            with path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._offset += len(line)
                    message = json.loads(line)
                    self._arrived.setdefault(message["logger"], []).append(message)
        return [message for message in self._arrived.get(logger, []) if message["type"] != "metlog.stats"]

    def audit(self) -> tuple[int, str]:
        """Ask the last hop's ledger: 0 is balanced, 1 has gaps, 3 knows a client that fell silent."""
        command = [BUILT / "metlog-grater", "audit", "--config", self._folder / "grater.toml"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout

    def end(self) -> None:
        for program in reversed(self.programs):
            program.kill()


class Service:
    """An application of one test: the programs it consists of, and what they have sent."""

    _numbers = itertools.count()

    def __init__(self, system: System, folder: Path, name: str) -> None:
        self._system = system
        self._folder = folder
        self._programs: list[Program] = []
        self.logger = f"{name}-{next(self._numbers)}"
        self.port = 0

    def start(self, *command: str | Path, **env: str) -> Program:
        """Start a program; one of `.venv/bin` by its name."""
        first = SCRIPTS / command[0]
        variables = {"METLOG_ENDPOINT": self._system.endpoint, "METLOG_LOGGER": self.logger, **env}
        log = self._folder / f"{len(self._programs)}.log"
        program = Program([first if first.exists() else command[0], *command[1:]], log, variables)
        self._programs.append(program)
        return program

    def get(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def load(self, path: str, requests: int, threads: int = 8, *, may_fail: bool = False) -> Counter[int]:
        """Ask so often, and give back how often each process has answered, which says its pid.

        Unless they `may_fail`, all requests must be answered.
        """

        def ask(_: int) -> str | None:
            try:
                status, body = self.get(path)
            except (OSError, http.client.HTTPException):
                if not may_fail:
                    raise
                return None
            assert status == 200
            return body

        with ThreadPoolExecutor(threads) as pool:
            answers = list(pool.map(ask, range(requests)))
        return Counter(int(body) for body in answers if body is not None)

    def messages(self) -> list[dict[str, Any]]:
        return self._system.messages(self.logger)

    def metrics(self, name: str) -> list[dict[str, Any]]:
        """Give back the counters, timers and gauges of that name."""
        return [message for message in self.messages() if message["fields"].get("name") == name]

    def wait_for(self, name: str, times: int = 1) -> list[dict[str, Any]]:
        """Give back the metrics of that name once so many have arrived."""
        return wait_until(
            lambda: found if len(found := self.metrics(name)) >= times else None,
            ARRIVAL_SECONDS,
            lambda: f"{len(self.metrics(name))} of {times} {name} arrived; there are {self._summary()}",
        )

    def wait_for_type(self, kind: str, times: int = 1) -> list[dict[str, Any]]:
        """Give back the messages of that type once so many have arrived."""

        def found() -> list[dict[str, Any]] | None:
            of_kind = [message for message in self.messages() if message["type"] == kind]
            return of_kind if len(of_kind) >= times else None

        return wait_until(found, ARRIVAL_SECONDS, lambda: f"no {kind}; there are {self._summary()}")

    def _summary(self) -> dict[tuple[str, str | None], int]:
        said = "\n".join(program.said()[-3000:] for program in self._programs)
        found = Counter((message["type"], message["fields"].get("name")) for message in self.messages())
        return {**found, ("the programs said", said): 0}

    def kill(self) -> None:
        for program in self._programs:
            program.kill()


def start_gunicorn(service: Service, *options: str, **env: str) -> Program:
    # The control socket would be left behind.
    always = ("--bind", "127.0.0.1:0", "--no-control-socket", "--graceful-timeout", "10")
    server = service.start("gunicorn", *always, "--config", APPS / "gunicorn_conf.py", *options, **env)
    service.port = int(server.wait_for(r"Listening at: http://127\.0\.0\.1:(\d+)"))
    server.wait_for("Worker ready", _workers(options))
    return server


def start_uvicorn(service: Service, *options: str, **env: str) -> Program:
    server = service.start("uvicorn", "--port", "0", *options, **env)
    service.port = int(server.wait_for(r"Uvicorn running on http://127\.0\.0\.1:(\d+)"))
    server.wait_for("Started server process", _workers(options))
    return server


def _workers(options: Sequence[str]) -> int:
    return int(options[options.index("--workers") + 1]) if "--workers" in options else 1


def pids(messages: Sequence[Mapping[str, Any]]) -> Counter[int]:
    return Counter(message["metlog_pid"] for message in messages)
