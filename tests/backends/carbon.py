"""Statsd packets into the real sidecar, through the real grater, into a real carbon-cache, and read back.

Started by `make backends` in the environment that holds carbon. Everything runs on free loopback ports in a
temporary folder; the exit code is 0 when each figure read back from whisper equals what was sent.
"""

import contextlib
import importlib.metadata
import socket
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import whisper

from harness import BINARIES, Findings, Process, free_ports, is_ready, listens, showing_logs, wait_until

COUNTS = 1000
TIMES = [float(n) for n in range(1, 101)]
GAUGE = 42.5

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

PORTS = ("line_port", "pickle_port", "query_port", "link_port", "grater_port", "sidecar_port", "statsd_port")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="metlog-carbon-") as name, contextlib.ExitStack() as running:
        folder = Path(name)
        ports = free_ports(*PORTS)
        write_settings(folder, ports)
        running.enter_context(showing_logs(folder))
        carbon = [sys.executable, str(Path(sys.executable).parent / "carbon-cache.py")]
        carbon += [f"--config={folder}/carbon.conf", f"--pidfile={folder}/carbon.pid", "--nodaemon", "start"]
        running.enter_context(Process(carbon, folder / "carbon.log"))
        wait_until("carbon-cache listens", lambda: listens(ports["line_port"]))
        for daemon in ("grater", "sidecar"):
            command = [str(BINARIES / f"metlog-{daemon}"), "run", "--config", str(folder / f"{daemon}.toml")]
            running.enter_context(Process(command, folder / f"{daemon}.log"))
            wait_until(f"{daemon} is ready", partial(is_ready, ports[f"{daemon}_port"]))
        send(ports["statsd_port"])
        return 0 if report(read_back(folder / "whisper")) else 1


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


if __name__ == "__main__":
    sys.exit(main())
