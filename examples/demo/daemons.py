"""The two daemons and the three applications, on free ports of loopback, as the demo runs them."""

import http.client
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from processes import DemoError, Program, Programs

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "target" / "debug"
NODE_PACKAGE = ROOT / "metlog-node"
GUNICORN = Path(sys.executable).with_name("gunicorn")

# Threads, so that connections are kept alive. The control socket would be left behind.
GUNICORN_OPTIONS = shlex.split("--preload --workers 2 --threads 4 --bind 127.0.0.1:0 --no-control-socket")

FLUSH_SECONDS = 2
PAGE_SECONDS = 5.0
SILENT = "does not answer on its admin socket"

GRATER_TOML = """\
[input.link]
endpoints = ["tcp://127.0.0.1:*"]
"""

SIDECAR_TOML = """\
[input.push]
endpoints = ["tcp://127.0.0.1:*"]
[input.link]
endpoints = []
[input.json_udp]
enabled = false
address = "127.0.0.1:0"
[input.statsd_udp]
address = "127.0.0.1:0"
[input.files.access]
paths = ["{folder}/*.access.log*"]
match = '/(?<application>[^/]+)\\.access\\.log'
formatters = ["access"]
[formatter.access]
format = "apache"
type = "access"
logger = "%File.application%"
[rollup]
flush_interval = "{flush_seconds}s"
[forward]
endpoints = ["{grater}"]
"""

# Applications that write an access log, in the folder of the demo: gunicorn's format is Apache's.
ACCESS_LOGS = ("bookmarks-python",)

# Each application and how it is started; what it listens on is read from its log.
APPLICATIONS: dict[str, tuple[list[str | Path], Path]] = {
    "bookmarks-python": (
        [GUNICORN, *GUNICORN_OPTIONS, "app:application"],
        ROOT / "examples" / "python",
    ),
    "bookmarks-node": (["node", "app.js"], ROOT / "examples" / "node"),
    "bookmarks-rust": ([BUILT / "bookmarks-rust"], ROOT),
}


def check_prerequisites() -> None:
    """Raise when something is not built or installed."""
    needed = [BUILT / name for name in ("metlog-grater", "metlog-sidecar", "bookmarks-rust")]
    for path in [*needed, GUNICORN, NODE_PACKAGE / "metlog.node"]:
        if not path.exists():
            raise DemoError(f"{path} is not there; `make demo` builds it and starts this")
    for tool in ("node", "bash"):
        if shutil.which(tool) is None:
            raise DemoError(f"{tool} is not in PATH; install it, then `make demo`")


class Daemon:
    """A daemon that runs, as its admin socket tells of it."""

    def __init__(self, programs: Programs, name: str, folder: Path, config: str) -> None:
        self.data = folder / name
        self._binary = BUILT / f"metlog-{name}"
        self._config = folder / f"{name}.toml"
        self._config.write_text(f"data_dir = {json.dumps(str(self.data))}\n{config}")
        self.program = programs.start(name, [self._binary, "run", "--config", self._config])
        if not programs.wait_until(self._answers):
            raise self.program.failure(SILENT)
        self.listening: dict[str, str] = dict(self.page("/stats")["listening"])

    def _answers(self) -> bool:
        try:
            self._ask("/stats")
        except (OSError, http.client.HTTPException):
            return False
        return True

    def page(self, path: str) -> Any:
        """Give back `/stats` or `/audit`; raise when it does not answer, as one that has died."""
        try:
            return self._ask(path)
        except (OSError, http.client.HTTPException) as error:
            raise self.program.failure(SILENT) from error

    def _ask(self, path: str) -> Any:
        connection = http.client.HTTPConnection("metlog", timeout=PAGE_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PAGE_SECONDS)
        try:
            connection.sock.connect(str(self.data / "admin.sock"))
            connection.request("GET", path)
            return json.load(connection.getresponse())
        finally:
            connection.close()

    def audit(self) -> tuple[int, list[str]]:
        """Run the command `audit`: its code and its lines."""
        command: list[str | Path] = [self._binary, "audit", "--config", self._config]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, start_new_session=True, check=False
        )
        if not done.stdout:
            raise DemoError(f"{self._binary.name} audit failed: {done.stderr.strip()}")
        return done.returncode, done.stdout.splitlines()


def start_grater(programs: Programs, folder: Path) -> Daemon:
    """Start the grater with its defaults: one file takes everything."""
    return Daemon(programs, "grater", folder, GRATER_TOML)


def start_sidecar(programs: Programs, folder: Path, grater: Daemon) -> Daemon:
    """Start the sidecar; it forwards to the grater."""
    config = SIDECAR_TOML.format(grater=grater.listening["link"], flush_seconds=FLUSH_SECONDS, folder=folder)
    return Daemon(programs, "sidecar", folder, config)


def start_applications(programs: Programs, folder: Path, sidecar: Daemon, report: Path) -> dict[Program, int]:
    """Start all three, and give back the port of each."""
    modules = folder / "node_modules"
    modules.mkdir()
    # What `npm install` makes of the dependency file:../../metlog-node, without leaving it behind.
    (modules / "metlog").symlink_to(NODE_PACKAGE)
    variables = {
        "METLOG_ENDPOINT": sidecar.listening["push"],
        "METLOG_DEMO_REPORT": str(report),
        "NODE_PATH": str(modules),
        "PORT": "0",
    }
    os.environ.pop("GUNICORN_CMD_ARGS", None)
    started = [
        programs.start(name, [*command, *_access_log(name, folder)], variables, home)
        for name, (command, home) in APPLICATIONS.items()
    ]
    return {program: _port(programs, program) for program in started}


def _access_log(name: str, folder: Path) -> list[str | Path]:
    return ["--access-logfile", folder / f"{name}.access.log"] if name in ACCESS_LOGS else []


def _port(programs: Programs, program: Program) -> int:
    listening = r"(?i)listening at:? http://127\.0\.0\.1:(\d+)"
    if not programs.wait_until(lambda: program.search_log(listening) is not None):
        raise program.failure("does not say where it listens")
    return int(program.search_log(listening) or 0)
