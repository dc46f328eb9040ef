"""What the tests against real back ends share: processes, ports, both daemons, and the table they print."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "backends"
BINARIES = Path(os.environ.get("METLOG_BINARIES", ROOT / "target" / "debug"))

# Long enough for a loaded machine; nothing waits this long unless it has failed.
DEADLINE = 60.0

# Datagrams a moment apart, so that the kernel drops none.
PAUSE = 0.002

GRATER = """
[input.link]
endpoints = ["tcp://127.0.0.1:{link}"]

[admin]
address = "127.0.0.1:{grater_admin}"
"""

SIDECAR = """\
[input.push]
endpoints = ["tcp://127.0.0.1:{push}"]

[input.link]
endpoints = ["tcp://127.0.0.1:{acked}"]

[input.json_udp]
address = "127.0.0.1:{udp}"

[input.statsd_udp]
enabled = false

[forward]
endpoints = ["tcp://127.0.0.1:{link}"]

[admin]
address = "127.0.0.1:{sidecar_admin}"
"""


def free_ports(*names: str) -> dict[str, int]:
    """Ports that were free a moment ago: all are held until the last is chosen, so that no two are equal."""
    with contextlib.ExitStack() as held:
        ports = {}
        for name in names:
            taken = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            taken.bind(("127.0.0.1", 0))
            ports[name] = int(taken.getsockname()[1])
        return ports


def wait_until(what: str, condition: Callable[[], bool], deadline: float = DEADLINE) -> None:
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {deadline:.0f} s: {what}")
        time.sleep(0.1)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Process:
    """A process that is started and killed as a test wants it, and ends with the test."""

    def __init__(self, command: Sequence[str | Path], log: Path, env: dict[str, str] | None = None) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        self.env = {**os.environ, **(env or {})}
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.env,
                start_new_session=True,
            )

    def has_ended(self) -> bool:
        return self.child is None or self.child.poll() is not None

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends it and what it has started, by force after ten seconds."""
        if self.child is None:
            return
        child, self.child = self.child, None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, how)
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def __enter__(self) -> "Process":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Metlog:
    """A sidecar that forwards to a grater with the outputs of the test."""

    def __init__(self, folder: Path, outputs: str) -> None:
        self.folder = folder
        self.ports = free_ports("link", "push", "acked", "udp", "grater_admin", "sidecar_admin")
        for daemon, text in (
            ("grater", outputs + GRATER.format(**self.ports)),
            ("sidecar", SIDECAR.format(**self.ports)),
        ):
            (folder / daemon).mkdir()
            (folder / f"{daemon}.toml").write_text(f'data_dir = "{folder}/{daemon}"\n\n{text}')
        self.daemons = {
            name: Process(
                [BINARIES / f"metlog-{name}", "run", "--config", folder / f"{name}.toml"],
                folder / f"{name}.log",
            )
            for name in ("grater", "sidecar")
        }

    def start(self, daemon: str) -> None:
        running = self.daemons[daemon]
        running.start()
        port = self.ports[f"{daemon}_admin"]
        wait_until(f"{daemon} is ready", lambda: running.has_ended() or is_ready(port))
        if running.has_ended():
            raise RuntimeError(f"{daemon} has ended: see {running.log.name}")

    def __enter__(self) -> "Metlog":
        try:
            for daemon in self.daemons:
                self.start(daemon)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in ("sidecar", "grater"):
            self.daemons[daemon].end()

    def send(self, messages: Sequence[dict[str, Any]]) -> None:
        """As an original client does: one JSON datagram a message."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for message in messages:
                sender.sendto(json.dumps(message).encode(), ("127.0.0.1", self.ports["udp"]))
                time.sleep(PAUSE)

    def grater(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the grater's command line with the configuration of the test."""
        command = [str(BINARIES / "metlog-grater"), *arguments, "--config", str(self.folder / "grater.toml")]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)

    def metric(self, name: str, output: str) -> float:
        """A counter of one output, from the grater's page."""
        url = f"http://127.0.0.1:{self.ports['grater_admin']}/metrics"
        with urllib.request.urlopen(url, timeout=5) as page:
            lines = page.read().decode().splitlines()
        wanted = [line for line in lines if line.startswith(name) and f'output="{output}"' in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in wanted)

    def settled(self, output: str) -> int:
        """Messages that the output is done with, one way or another."""
        names = ("metlog_delivered_messages", "metlog_dead_lettered_messages", "metlog_lag_dropped_messages")
        return int(sum(self.metric(name, output) for name in names))

    def log(self) -> str:
        return (self.folder / "grater.log").read_text(errors="replace")


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class Findings:
    """What a test has seen, as rows of a table."""

    def __init__(self, back_end: str) -> None:
        self.back_end = back_end
        self.rows: list[tuple[str, str, str, bool]] = []

    def equal(self, what: str, sent: object, read: object) -> None:
        self.rows.append((what, str(sent), str(read), sent == read))

    def holds(self, what: str, found: str, *parts: str) -> None:
        """Every part is in what was found; else what was found is shown."""
        missing = [part for part in parts if part not in found]
        self.rows.append(
            (what, "said", "said" if not missing else f"not {missing} in {found[-300:]!r}", not missing)
        )

    def report(self) -> bool:
        """Prints the table; true when everything read back is what was sent."""
        print(f"{'back end':<28}{'what':<58}{'sent':>9}{'read':>9}  equal")
        for what, sent, read, same in self.rows:
            print(f"{self.back_end:<28}{what:<58}{sent:>9}{read:>9}  {'yes' if same else 'NO'}")
        self.tell_the_runner()
        passed = sum(same for *_, same in self.rows)
        print(f"{passed} passed, {len(self.rows) - passed} failed")
        return passed == len(self.rows) > 0

    def tell_the_runner(self) -> None:
        """One row for the table of all back ends (run.py): what was counted, and whether it was equal."""
        if "METLOG_TABLE" not in os.environ:
            return
        counted = [(int(sent), read) for _, sent, read, _ in self.rows if sent.isdecimal()]
        sent = sum(sent for sent, _ in counted)
        read = sum(int(float(read)) for _, read in counted if read.replace(".", "", 1).isdecimal())
        row = [
            self.back_end,
            len(self.rows),
            sent,
            read,
            bool(self.rows) and all(same for *_, same in self.rows),
        ]
        with Path(os.environ["METLOG_TABLE"]).open("a") as table:
            table.write(json.dumps(row) + "\n")


@contextlib.contextmanager
def showing_logs(folder: Path) -> Iterator[None]:
    """Shows the end of every log of the test when it fails."""
    try:
        yield
    except BaseException:
        for log in sorted(folder.glob("*.log")):
            print(f"---- {log.name}, its last lines", file=sys.stderr)
            print("\n".join(log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)
        raise
