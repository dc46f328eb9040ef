"""Exceptions of our and of original clients through both daemons into a real Bugsink, read from its API.

Started by `make backends` in an environment with Bugsink (a test tool only: its licence allows one user to
run it locally). The server listens with TLS, is away when the daemons start, and is killed in mid-stream.
"""

import base64
import hashlib
import importlib.metadata
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from pathlib import Path
from typing import Any

from harness import ROOT, Findings, Metlog, Process, free_ports, listens, showing_logs, wait_until

# A Python that has our wheel.
PYTHON = os.environ.get("METLOG_PYTHON", str(ROOT / ".venv" / "bin" / "python"))
BIN = Path(sys.executable).parent

KINDS = 10
REPEATS = 3
LEGACY = 30

OUTPUTS = """\
catchall = ["good", "archive"]

[[output]]
name = "good"
type = "sentry"
dsn_file = "{folder}/dsn"
allowed_hosts = ["127.0.0.1:{bugsink}"]
timeout = "20s"
tls.ca_file = "{folder}/cert.pem"

[[output]]
name = "wrong-key"
type = "sentry"
dsn = "https://00000000000000000000000000000000@127.0.0.1:{bugsink}/1"
message_dsn = "ignore"
tls.ca_file = "{folder}/cert.pem"

[[output]]
name = "as-raven"
type = "sentry"
protocol = "raven"
dsn_file = "{folder}/dsn"
tls.ca_file = "{folder}/cert.pem"

[[output]]
name = "archive"
type = "file"
path = "{folder}/archive.jsonl"

[[route]]
name = "wrong key"
matcher = "Logger == 'wrong-key'"
outputs = ["wrong-key"]
final = true

[[route]]
name = "as raven"
matcher = "Logger == 'as-raven'"
outputs = ["as-raven"]
final = true
"""

# Raises errors of ten kinds, each a few times, with a cause and locals.
APPLICATION = """\
import metlog, sys
client = metlog.configure(logger="shop", endpoint="tcp://127.0.0.1:" + sys.argv[1])

def pay(total, kind):
    currency = "EUR"
    try:
        raise OSError("connection reset")
    except OSError as reset:
        raise type(kind, (Exception,), {})("declined") from reset

for number in range(int(sys.argv[2])):
    for kind in range(int(sys.argv[3])):
        try:
            pay(4200 + kind, f"Payment{kind}Error")
        except Exception as error:
            client.send_exception(error)
client.close(20)
"""


# Run inside Bugsink: a project, and a token that may read what came in.
MAKE_PROJECT = """\
from bsmain.models import AuthToken
from projects.models import Project
from teams.models import Team
project = Project.objects.create(name="shop", team=Team.objects.create(name="t"))
token = AuthToken.objects.create(issues_read=True, events_read=True)
print("made", project.id, project.sentry_key, token.token)
"""


class Bugsink:
    """The server, with a database of its own, and its API."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports("bugsink")["bugsink"]
        self.env = {"PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "bugsink_conf"}
        run(
            [
                BIN / "bugsink-create-conf",
                "--template=local",
                "--host=127.0.0.1",
                f"--port={self.port}",
                f"--output-file={folder}/bugsink_conf.py",
            ],
            folder,
        )
        for arguments in (["migrate"], ["migrate", "--database=snappea"]):
            run([BIN / "bugsink-manage", *arguments], folder, self.env)
        made = run(
            [
                BIN / "bugsink-manage",
                "shell",
                "--no-imports",
                "-c",
                MAKE_PROJECT,
            ],
            folder,
            self.env,
        )
        words = next(line.split() for line in made.splitlines() if line.startswith("made "))
        self.project, self.key, self.token = words[1:]
        run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=bugsink",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-keyout",
                "key.pem",
                "-out",
                "cert.pem",
            ],
            folder,
        )
        command: list[str | Path] = [
            BIN / "gunicorn",
            f"--bind=127.0.0.1:{self.port}",
            "--threads=4",
            "--certfile=cert.pem",
            "--keyfile=key.pem",
            f"--chdir={folder}",
            "bugsink.wsgi",
        ]
        self.server = Process(command, folder / "bugsink.log", self.env)
        self.dsn = f"https://{self.key}@127.0.0.1:{self.port}/{self.project}"

    def start(self) -> None:
        self.server.start()
        wait_until("Bugsink listens", lambda: listens(self.port))

    def get(self, path: str) -> Any:
        url = f"https://127.0.0.1:{self.port}/api/canonical/0/{path}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        trust = ssl.create_default_context(cafile=str(self.folder / "cert.pem"))
        with urllib.request.urlopen(request, timeout=20, context=trust) as answer:
            return json.load(answer)

    def issues(self) -> list[dict[str, Any]]:
        return self.all(f"issues/?project={self.project}")

    def events(self, issue: str) -> list[dict[str, Any]]:
        return self.all(f"events/?issue={issue}")

    def all(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = self.get(path)
        while True:
            found += page["results"]
            if not page.get("next"):
                return found
            page = self.get(page["next"].split("/api/canonical/0/")[1])


def run(command: list[str | Path], folder: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")
    return done.stdout


def legacy(number: int, dsn: str | None, logger: str = "old") -> dict[str, Any]:
    """A message as metlog-raven sent it."""
    frame = {
        "abs_path": "/srv/app/old.py",
        "filename": "old.py",
        "function": "refund",
        "lineno": 7,
        "module": "old",
        "context_line": "    refund(total)",
        "pre_context": ["def f():"],
        "post_context": [""],
        "vars": {"total": number},
    }
    event = {
        "checksum": hashlib.md5(logger.encode()).hexdigest(),
        "culprit": "old in refund",
        "level": 40,
        "event_id": hashlib.md5(f"{logger}{number}".encode()).hexdigest(),
        "extra": {"msg": "", "logger": "old", "severity": 3, "sys.argv": ["old.py"]},
        "message": "RefundError: too late",
        "modules": {},
        "platform": "python",
        "project": 1,
        "sentry.interfaces.Exception": {"type": "RefundError", "module": "old", "value": "too late"},
        "sentry.interfaces.Stacktrace": {"frames": [frame]},
        "server_name": "h1",
        "tags": {},
        "time_spent": None,
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    payload = base64.b64encode(zlib.compress(json.dumps(event).encode())).decode()
    return {
        "type": "sentry",
        "timestamp": event["timestamp"],
        "logger": logger,
        "severity": 3,
        "payload": payload,
        "fields": {"epoch_timestamp": time.time(), "msg": "", "dsn": dsn},
        "env_version": "0.8",
        "metlog_pid": 1,
        "metlog_hostname": "h1",
    }


def main() -> int:
    findings = Findings(f"Bugsink {importlib.metadata.version('bugsink')}")
    with tempfile.TemporaryDirectory(prefix="metlog-sentry-") as name, showing_logs(Path(name)):
        folder = Path(name)
        bugsink = Bugsink(folder)
        (folder / "dsn").touch(mode=0o600)
        (folder / "dsn").write_text(bugsink.dsn)
        try:
            deliver(bugsink, Metlog(folder, OUTPUTS.format(folder=folder, bugsink=bugsink.port)), findings)
        finally:
            bugsink.server.end()
    return 0 if findings.report() else 1


def deliver(bugsink: Bugsink, metlog: Metlog, findings: Findings) -> None:
    total = KINDS * REPEATS + LEGACY
    with metlog:
        # Down at the start, with messages waiting.
        subprocess.run(
            [PYTHON, "-c", APPLICATION, str(metlog.ports["push"]), str(REPEATS), str(KINDS)],
            check=True,
            timeout=60,
        )
        metlog.send([legacy(number, bugsink.dsn) for number in range(LEGACY // 2)])
        metlog.send([legacy(0, None, "wrong-key"), legacy(0, None, "as-raven")])
        metlog.send([legacy(900, "https://k@169.254.169.254/1"), {**legacy(901, None), "payload": "%%%"}])
        wait_until("an output has tried", lambda: metlog.metric("metlog_output_retries", "good") > 0)
        findings.holds(
            "down: said", metlog.log(), f"https://127.0.0.1:{bugsink.port}/api/1/envelope/", "refused"
        )

        bugsink.start()
        wait_until("some are delivered", lambda: metlog.metric("metlog_delivered_messages", "good") >= 10)
        bugsink.server.kill()
        metlog.send([legacy(number, bugsink.dsn) for number in range(LEGACY // 2, LEGACY)])
        time.sleep(1)
        bugsink.start()
        wait_until("everything is settled", lambda: metlog.settled("good") >= total + 2)
        wait_until("the others are undisturbed", lambda: metlog.settled("archive") >= total + 2)

        read_back(bugsink, findings)
        refusals(bugsink, metlog, findings)
        findings.equal(
            "ours and theirs, delivered", total, int(metlog.metric("metlog_delivered_messages", "good"))
        )
        findings.equal(
            "undisturbed beside it: archive",
            total + 2,
            int(metlog.metric("metlog_delivered_messages", "archive")),
        )


def read_back(bugsink: Bugsink, findings: Findings) -> None:
    issues = bugsink.issues()
    events = {issue["id"]: bugsink.events(issue["id"]) for issue in issues}
    findings.equal(
        "events, each once", KINDS * REPEATS + LEGACY, sum(len(found) for found in events.values())
    )
    findings.equal("issues: kinds of ours, and the original's", KINDS + 1, len(issues))
    of_kind = {issue["calculated_type"]: issue for issue in issues}
    for kind, function, local in (("Payment3Error", "pay", "4203"), ("RefundError", "refund", None)):
        listed = events[of_kind[kind]["id"]] if kind in of_kind else []
        event = bugsink.get(f"events/{listed[0]['id']}/")["data"] if listed else {}
        last = (event.get("exception") or {"values": [{}]})["values"][-1]
        frame = (last.get("stacktrace") or {"frames": [{}]})["frames"][-1]
        findings.equal(f"{kind}: where it was raised", function, frame.get("function"))
        found = str(frame.get("vars", {}).get("total"))
        kept = f"total = {found if found.isdigit() else 'none'}"
        findings.equal(f"{kind}: its local", f"total = {local or found}", kept)
        if kind != "RefundError":
            chain = [exception["type"] for exception in event["exception"]["values"]]
            findings.equal(f"{kind}: the chain", ["OSError", kind], chain)


def refusals(bugsink: Bugsink, metlog: Metlog, findings: Findings) -> None:
    wait_until("the wrong key is told", lambda: "see key and project of dsn" in metlog.log())
    findings.equal("wrong key: waits, nothing lost", 0, metlog.settled("wrong-key"))
    wait_until("raven is refused", lambda: metlog.settled("as-raven") == 1)
    letters = metlog.grater("dlq", "show").stdout
    findings.equal(
        "refused for good: dead letters", 2, int(metlog.metric("metlog_dead_lettered_messages", "good"))
    )
    findings.holds(
        "dead letters say why", letters, "not in allowed_hosts", "no base64", "status 400, ", "invalid JSON"
    )
    checked = metlog.grater("check")
    findings.holds(
        "check says which key is wrong",
        checked.stdout + checked.stderr,
        "wrong-key",
        "see key and project of dsn",
    )
    everything = metlog.log() + checked.stdout + checked.stderr
    findings.equal("the key is in no log", False, bugsink.key in everything)


if __name__ == "__main__":
    sys.exit(main())
