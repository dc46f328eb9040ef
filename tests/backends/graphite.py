"""Roll-ups to a real carbon-cache as lines over TCP and UDP and as pickles, as graphite-web renders them.

Started by `make backends`. carbon is away when the grater starts, and is stopped and started again between
two rounds; the series that graphite-web renders has to be the one that was sent.
"""

import contextlib
import importlib.metadata
import json
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from carbon import CARBON, SCHEMAS
from harness import CACHE, Findings, Metlog, Process, free_ports, listens, showing_logs, wait_until

SETTINGS = """\
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{folder}/graphite.db"}}}}
SECRET_KEY = "of a test"
STORAGE_DIR = LOG_DIR = "{folder}"
INDEX_FILE = "{folder}/index"
CONF_DIR = "{folder}"
WHISPER_DIR = "{folder}/whisper"
STANDARD_DIRS = ["{folder}/whisper"]
CARBONLINK_HOSTS = ["127.0.0.1:{query_port}"]
TIME_ZONE = "UTC"
"""

SERVE = """\
from wsgiref.simple_server import make_server
from graphite.wsgi import application
make_server("127.0.0.1", {web_port}, application).serve_forever()
"""

UDP = "ENABLE_UDP_LISTENER = True\nUDP_RECEIVER_INTERFACE = 127.0.0.1\nUDP_RECEIVER_PORT = {udp_port}\n"

OUTPUT = """\
[[output]]
name = "{way}"
type = "carbon"
address = "127.0.0.1:{port}"
protocol = "{way}"

[[route]]
name = "{way}"
matcher = "Type == 'statmetric' && Logger == '{way}'"
outputs = ["{way}"]

"""

WAYS = {"tcp": "line_port", "udp": "udp_port", "pickle": "pickle_port"}
NAMES = 30
POINTS = 20


def main() -> int:
    version = importlib.metadata.version
    findings = Findings(f"carbon {version('carbon')}, graphite-web {version('graphite-web')}")
    with tempfile.TemporaryDirectory(prefix="metlog-graphite-") as name, showing_logs(Path(name)):
        folder = Path(name)
        ports = free_ports("line_port", "udp_port", "pickle_port", "query_port", "web_port")
        text = "".join(OUTPUT.format(way=way, port=ports[port]) for way, port in WAYS.items())
        carbon, web = servers(folder, ports)
        try:
            with Metlog(folder, text) as metlog:
                deliver(metlog, carbon, web, ports, findings)
        finally:
            carbon.end()
            web.end()
    return 0 if findings.report() else 1


def servers(folder: Path, ports: dict[str, int]) -> tuple[Process, Process]:
    (folder / "carbon.conf").write_text((CARBON + UDP).format(folder=folder, **ports))
    (folder / "storage-schemas.conf").write_text(SCHEMAS)
    (folder / "web_settings.py").write_text(SETTINGS.format(folder=folder, **ports))
    (folder / "serve.py").write_text(SERVE.format(**ports))
    (folder / "storage").mkdir()
    command: list[str | Path] = [
        sys.executable,
        Path(sys.executable).parent / "carbon-cache.py",
        f"--config={folder}/carbon.conf",
        f"--pidfile={folder}/carbon.pid",
        "--nodaemon",
        "start",
    ]
    libraries = CACHE / "debian/usr/lib/x86_64-linux-gnu"
    env = {
        "GRAPHITE_SETTINGS_MODULE": "web_settings",
        "PYTHONPATH": str(folder),
        "LD_LIBRARY_PATH": str(libraries),
        "DJANGO_SETTINGS_MODULE": "graphite.settings",
    }
    migrate = [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity", "0"]
    prepared = Process(migrate, folder / "migrate.log", env)
    prepared.start()
    wait_until("graphite-web has its database", prepared.has_ended)
    return Process(command, folder / "carbon.log"), Process(
        [sys.executable, folder / "serve.py"], folder / "web.log", env
    )


def series(way: str, turn: int, now: int) -> dict[str, dict[int, float]]:
    """What is sent in one turn: some names, a point a second."""
    return {
        f"metlog.{way}.n{name}": {
            now - 300 + turn * POINTS + point: float(name * 1000 + point) / 8 - 40 for point in range(POINTS)
        }
        for name in range(NAMES)
    }


def messages(way: str, turn: int, now: int) -> list[dict[str, Any]]:
    """A roll-up for each second, as the sidecar makes them."""
    sent = series(way, turn, now)
    seconds = sorted(next(iter(sent.values())))
    return [
        {
            "type": "statmetric",
            "timestamp": "2026-11-22T00:00:00Z",
            "logger": way,
            "severity": 6,
            "payload": "".join(f"{name} {points[second]} {second}\n" for name, points in sent.items()),
            "fields": {},
            "env_version": "0.8",
            "metlog_pid": 1,
            "metlog_hostname": "web1",
        }
        for second in seconds
    ]


def rendered(port: int, way: str, now: int) -> dict[str, dict[int, float]]:
    query = urllib.parse.urlencode(
        {"target": f"metlog.{way}.*", "format": "json", "from": now - 301, "until": now, "noCache": "true"}
    )
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/render?{query}", timeout=20) as answer:
        found = json.load(answer)
    return {
        one["target"]: {second: value for value, second in one["datapoints"] if value is not None}
        for one in found
    }


def deliver(metlog: Metlog, carbon: Process, web: Process, ports: dict[str, int], findings: Findings) -> None:
    now = int(time.time())
    web.start()
    for way in WAYS:
        metlog.send(messages(way, 0, now))
    wait_until("all have tried", lambda: all(metlog.metric("metlog_output_retries", way) for way in WAYS))
    findings.holds(
        "down: said",
        metlog.log(),
        f"connect to 127.0.0.1:{ports['pickle_port']}: Connection refused",
        f"send to 127.0.0.1:{ports['udp_port']}: nobody listens there",
    )
    carbon.start()
    wait_until("graphite-web listens", lambda: listens(ports["web_port"]))
    same(ports["web_port"], findings, "down at the start", 1, now)
    # carbon writes what it holds when it is asked to end; what it holds when it is killed is its own to lose.
    carbon.end()
    for way in WAYS:
        metlog.send(messages(way, 1, now))
    carbon.start()
    same(ports["web_port"], findings, "stopped between", 2, now)


def wait_for(port: int, way: str, now: int, wanted: dict[str, dict[int, float]]) -> None:
    """Until graphite-web renders all; what is missing then is shown in the table."""
    with contextlib.suppress(TimeoutError):
        wait_until("graphite-web renders all", lambda: rendered(port, way, now) == wanted, 20)


def same(port: int, findings: Findings, when: str, turns: int, now: int) -> None:
    for way in WAYS:
        wanted: dict[str, dict[int, float]] = {}
        for turn in range(turns):
            for name, points in series(way, turn, now).items():
                wanted.setdefault(name, {}).update(points)
        wait_for(port, way, now, wanted)
        found = rendered(port, way, now)
        equal = sum(
            found.get(name, {}).get(second) == value
            for name, points in wanted.items()
            for second, value in points.items()
        )
        findings.equal(f"{when}: {way}, points rendered", NAMES * POINTS * turns, equal)


if __name__ == "__main__":
    sys.exit(main())
