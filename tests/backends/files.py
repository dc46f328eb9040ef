"""Files under a real logrotate and the output's own rotation, and a grater that is killed again and again.

Started by `make backends`. However often the grater is killed, and whoever renames its files, each message
is in them once.
"""

import contextlib
import gzip
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from harness import CACHE, Findings, Metlog, showing_logs, wait_until

# Debian's packages, taken apart by tests/backends/debian.sh.
DEBIAN = CACHE / "debian"

OUTPUTS = """\
[[output]]
name = "rotated"
type = "file"
path = "{folder}/rotated/messages.jsonl"

[[output]]
name = "own"
type = "file"
path = "{folder}/own/%Logger%.jsonl"
rotate_bytes = "20 KiB"
compress = "gzip"

[[output]]
name = "text"
type = "file"
path = "{folder}/text/messages.log"
format = "text"
template = "%Timestamp% %Payload%"

[[route]]
name = "all"
matcher = "Type == 'numbered'"
outputs = ["rotated", "own", "text"]
"""

LOGROTATE = """\
{folder}/rotated/messages.jsonl {{
    rotate 100
    size 1
    create
    compress
    delaycompress
}}
"""

LOGGERS = ("../shop", "sync")
TURNS = 6
MESSAGES = 150


def main() -> int:
    logrotate = (DEBIAN / "versions" / "logrotate").read_text().strip().split("-")[0]
    findings = Findings(f"file, logrotate {logrotate}")
    with tempfile.TemporaryDirectory(prefix="metlog-files-") as name, showing_logs(Path(name)):
        folder = Path(name)
        (folder / "logrotate.conf").write_text(LOGROTATE.format(folder=folder))
        with Metlog(folder, OUTPUTS.format(folder=folder)) as metlog:
            for turn in range(TURNS):
                metlog.send([message(number) for number in range(turn * MESSAGES, (turn + 1) * MESSAGES)])
                disturb(folder, metlog, turn)
            compare(folder, findings)
    return 0 if findings.report() else 1


def message(number: int) -> dict[str, Any]:
    return {
        "type": "numbered",
        "timestamp": "2026-11-22T03:04:05Z",
        "logger": LOGGERS[number % 2],
        "severity": 6,
        "payload": f"number {number}\nforged 7",
        "fields": {"number": number, "text": "x" * 200},
        "env_version": "0.8",
        "metlog_pid": 1,
        "metlog_hostname": "web1",
    }


def disturb(folder: Path, metlog: Metlog, turn: int) -> None:
    """Kills the grater while it writes, before or after logrotate has renamed its file."""
    if turn % 2:
        logrotate(folder)
    metlog.daemons["grater"].kill()
    if turn % 4 == 0:
        logrotate(folder)
    metlog.start("grater")


def logrotate(folder: Path) -> None:
    command = [
        DEBIAN / "usr/sbin/logrotate",
        "--force",
        "--state",
        folder / "logrotate.state",
        folder / "logrotate.conf",
    ]
    libraries = {"LD_LIBRARY_PATH": str(DEBIAN / "usr/lib/x86_64-linux-gnu"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [str(part) for part in command], env=libraries, capture_output=True, text=True, timeout=30
    )
    if done.returncode != 0:
        raise RuntimeError(f"logrotate: {done.stderr}")


def numbers(folder: Path) -> Counter[int]:
    """How often each message is in the files of a folder, compressed or not; fails on half a line."""
    found: Counter[int] = Counter()
    for path in folder.iterdir() if folder.exists() else []:
        if path.name.endswith(".part"):
            continue
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found.update(json.loads(line)["fields"]["number"] for line in data.splitlines())
    return found


def texts(folder: Path) -> Counter[int]:
    """As `numbers`, of text: what a message says after a line break begins with a tab."""
    found: Counter[int] = Counter()
    path = folder / "messages.log"
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith("2026-11-22T03:04:05.000000Z number "):
            found[int(line.rsplit(" ", 1)[1])] += 1
        else:
            assert line == "\tforged 7", line
    return found


def compare(folder: Path, findings: Findings) -> None:
    wanted = Counter(range(TURNS * MESSAGES))
    ways = {"rotated": numbers, "own": numbers, "text": texts}

    def is_complete() -> bool:
        return all(read(folder / name).keys() >= wanted.keys() for name, read in ways.items())

    with contextlib.suppress(TimeoutError, json.JSONDecodeError):
        wait_until("every message is in a file", is_complete, 30)
    for name, read in ways.items():
        found = read(folder / name)
        findings.equal(
            f"{name}: messages that are there once", len(wanted), sum(count == 1 for count in found.values())
        )
        findings.equal(f"{name}: lines", len(wanted), found.total())
    renamed = [path.name for path in (folder / "rotated").iterdir()]
    findings.equal(
        "logrotate has renamed and compressed", True, any(name.endswith(".gz") for name in renamed)
    )
    own = sorted(path.name for path in (folder / "own").iterdir())
    findings.equal("the output has rotated and compressed", True, any(name.endswith(".gz") for name in own))
    findings.equal(
        "names from messages stay in the folder",
        True,
        all(name.startswith(("_._shop.jsonl", "sync.jsonl")) for name in own),
    )


if __name__ == "__main__":
    sys.exit(main())
