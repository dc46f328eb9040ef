"""Statsd packets into the real sidecar, through the real grater, into a real carbon-cache, and read back.

Started by `make backends` in the environment that holds carbon. Everything runs on free loopback ports in a
temporary folder; the exit code is 0 when each figure read back from whisper equals what was sent.
"""

import contextlib
import importlib.metadata
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import whisper

from harness import Findings

ROOT = Path(__file__).resolve().parents[2]
BINARIES = Path(os.environ.get("METLOG_BINARIES", ROOT / "target" / "debug"))
COUNTS = 1000
TIMES = [float(n) for n in range(1, 101)]
GAUGE = 42.5

# Long enough for a loaded machine; nothing waits this long unless it has failed.
DEADLINE = 60.0

CARBON = """\
[cache]
STORAGE_DIR = {folder}/storage
CONF_DIR = {folder}
LOG_DIR = {folder}
PID_DIR = {folder}
LOCAL_DATA_DIR = {folder}/whisper
USER =
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {line_port}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickle_port}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {query_port}
MAX_CREATES_PER_MINUTE = inf
MAX_UPDATES_PER_SECOND = inf
CARBON_METRIC_INTERVAL = 0
LOG_UPDATES = False
"""

# One point a second, so that no two flushes fall together.
SCHEMAS = """\
[every]
pattern = .*
retentions = 1s:1h
"""

GRATER = """\
data_dir = "{folder}/grater"

[input.link]
endpoints = ["tcp://127.0.0.1:{link_port}"]

[admin]
address = "127.0.0.1:{grater_port}"

[[output]]
name = "carbon"
type = "carbon"
address = "127.0.0.1:{line_port}"

[[route]]
name = "graphite"
matcher = "Type == 'statmetric'"
outputs = ["carbon"]
"""

SIDECAR = """\
data_dir = "{folder}/sidecar"

[input.statsd_udp]
address = "127.0.0.1:{statsd_port}"

[rollup]
flush_interval = "1s"

[forward]
endpoints = ["tcp://127.0.0.1:{link_port}"]

[admin]
address = "127.0.0.1:{sidecar_port}"
"""

PORTS = {
    "line_port": socket.SOCK_STREAM,
    "pickle_port": socket.SOCK_STREAM,
    "query_port": socket.SOCK_STREAM,
    "link_port": socket.SOCK_STREAM,
    "grater_port": socket.SOCK_STREAM,
    "sidecar_port": socket.SOCK_STREAM,
    "statsd_port": socket.SOCK_DGRAM,
}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="metlog-carbon-") as name, contextlib.ExitStack() as running:
        folder = Path(name)
        ports = free_ports()
        write_settings(folder, ports)
        carbon = [sys.executable, str(Path(sys.executable).parent / "carbon-cache.py")]
        carbon += [f"--config={folder}/carbon.conf", f"--pidfile={folder}/carbon.pid", "--nodaemon", "start"]
        running.enter_context(process(carbon, folder / "carbon.log"))
        try:
            wait_until("carbon-cache listens", lambda: listens(ports["line_port"]))
            for daemon in ("grater", "sidecar"):
                running.enter_context(started(daemon, folder, ports[f"{daemon}_port"]))
            send(ports["statsd_port"])
            equal = report(read_back(folder / "whisper"))
            if not equal:
                show_logs(folder)
            return 0 if equal else 1
        except TimeoutError as late:
            show_logs(folder)
            print(f"error: {late}", file=sys.stderr)
            return 1


def free_ports() -> dict[str, int]:
    """Ports that were free a moment ago: all are held until the last is chosen, so that no two are equal."""
    with contextlib.ExitStack() as held:
        ports = {}
        for name, kind in PORTS.items():
            taken = held.enter_context(socket.socket(socket.AF_INET, kind))
            taken.bind(("127.0.0.1", 0))
            ports[name] = int(taken.getsockname()[1])
        return ports


def write_settings(folder: Path, ports: dict[str, int]) -> None:
    settings = {
        "carbon.conf": CARBON,
        "storage-schemas.conf": SCHEMAS,
        "grater.toml": GRATER,
        "sidecar.toml": SIDECAR,
    }
    for name, text in settings.items():
        (folder / name).write_text(text.format(folder=folder, **ports))
    for name in ("grater", "sidecar", "storage", "whisper"):
        (folder / name).mkdir()


@contextlib.contextmanager
def process(command: list[str], log: Path) -> Iterator[None]:
    """Runs the command until the block ends; asks it to stop, and kills it if it does not."""
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextlib.contextmanager
def started(daemon: str, folder: Path, admin_port: int) -> Iterator[None]:
    """One of our daemons, ready."""
    command = [str(BINARIES / f"metlog-{daemon}"), "run", "--config", str(folder / f"{daemon}.toml")]
    with process(command, folder / f"{daemon}.log"):
        wait_until(f"{daemon} is ready", lambda: is_ready(admin_port))
        yield


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {DEADLINE:.0f} s: {what}")
        time.sleep(0.1)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def send(port: int) -> None:
    """Sends every metric in packets of ten lines, slowly enough that the kernel drops none."""
    lines = ["backends.requests:1|c"] * COUNTS
    lines += [f"backends.seconds:{value}|ms" for value in TIMES]
    lines += [f"backends.load:{GAUGE}|g"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for start in range(0, len(lines), 10):
            sender.sendto("\n".join(lines[start : start + 10]).encode(), ("127.0.0.1", port))
            time.sleep(0.005)


def expected() -> dict[str, float]:
    """What whisper must hold: sums over all flushes; of a gauge, its last value."""
    return {
        "stats.counters.backends.requests.count": float(COUNTS),
        "stats.timers.backends.seconds.count": float(len(TIMES)),
        "stats.timers.backends.seconds.sum": sum(TIMES),
        "stats.gauges.backends.load": GAUGE,
    }


def read_back(storage: Path) -> dict[str, float]:
    found: dict[str, float] = {}

    def complete() -> bool:
        found.update({name: figure(storage, name) for name in expected()})
        # More than expected is a fault to report, not something to wait for.
        return all(found[name] >= wanted for name, wanted in expected().items())

    # Less than expected is shown in the table.
    with contextlib.suppress(TimeoutError):
        wait_until("every figure is in whisper", complete)
    # Whatever would come twice comes within the next flushes.
    time.sleep(3)
    complete()
    return found


def figure(storage: Path, name: str) -> float:
    path = storage / (name.replace(".", "/") + ".wsp")
    if not path.exists():
        return 0.0
    _, values = whisper.fetch(str(path), int(time.time()) - 600)
    points = [float(value) for value in values if value is not None]
    if name.startswith("stats.gauges."):
        return points[-1] if points else 0.0
    return sum(points)


def report(found: dict[str, float]) -> bool:
    """Prints the table; true when every figure is what was sent."""
    findings = Findings(f"carbon {importlib.metadata.version('carbon')}")
    for name, wanted in expected().items():
        findings.equal(name, f"{wanted:g}", f"{found[name]:g}")
    return findings.report()


def show_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*.log")):
        print(f"---- {log.name}, its last lines", file=sys.stderr)
        print("\n".join(log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
