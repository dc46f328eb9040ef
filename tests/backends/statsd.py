"""Counters, timers, gauges and sets to a real npm statsd over UDP and TCP, read from what its flushes hold.

Started by `make backends`. statsd is away when the grater starts, and is killed and started again between two
rounds.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import CACHE, Findings, Metlog, Process, free_ports, showing_logs, wait_until

STATSD = CACHE / "node_modules" / "statsd"

# Writes each flush as a line of JSON, sets as lists.
BACKEND = """\
const fs = require('fs');
exports.init = (start, config, events) => {
  events.on('flush', (time, metrics) => {
    const sets = {};
    for (const name of Object.keys(metrics.sets)) sets[name] = metrics.sets[name].values();
    const {counters, timers, gauges} = metrics;
    fs.appendFileSync(config.flushes, JSON.stringify({counters, timers, gauges, sets}) + '\\n');
  });
  return true;
};
"""

OUTPUT = """\
[[output]]
name = "{way}"
type = "statsd"
address = "127.0.0.1:{port}"
protocol = "{way}"

[[route]]
name = "{way}"
matcher = "Logger == '{way}' && Type != 'oldstyle'"
outputs = ["{way}"]

"""

# One that takes what is no metric: it becomes a dead letter with its reason.
WRONG = """\
[[route]]
name = "wrong"
matcher = "Type == 'oldstyle'"
outputs = ["udp"]

"""

WAYS = ("udp", "tcp")
COUNTS = 200
TIMES = 100


def main() -> int:
    version = json.loads((STATSD / "package.json").read_text())["version"]
    findings = Findings(f"statsd {version}")
    with tempfile.TemporaryDirectory(prefix="metlog-statsd-") as name, showing_logs(Path(name)):
        folder = Path(name)
        ports = free_ports(*WAYS, "management")
        server = statsd(folder, ports)
        text = "".join(OUTPUT.format(way=way, port=ports[way]) for way in WAYS) + WRONG
        try:
            metlog = Metlog(folder, text)
            with (folder / "sidecar.toml").open("a") as settings:
                settings.write("\n[rollup]\nconsume = false\n")
            with metlog:
                deliver(folder, metlog, server, ports, findings)
        finally:
            server.end()
    return 0 if findings.report() else 1


def statsd(folder: Path, ports: dict[str, int]) -> Process:
    (folder / "flushes.js").write_text(BACKEND)
    settings = {
        "servers": [
            {"server": f"./servers/{way}", "address": "127.0.0.1", "port": ports[way]} for way in WAYS
        ],
        "mgmt_address": "127.0.0.1",
        "mgmt_port": ports["management"],
        "backends": [str(folder / "flushes.js")],
        "flushInterval": 500,
        "flushes": str(folder / "flushes.jsonl"),
        "deleteIdleStats": True,
    }
    (folder / "config.js").write_text(json.dumps(settings))
    return Process(["node", STATSD / "stats.js", folder / "config.js"], folder / "statsd.log")


def metric(way: str, kind: str, name: str, payload: Any, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "timestamp": "2026-11-22T00:00:00Z",
        "logger": way,
        "severity": 6,
        "payload": payload,
        "fields": {"name": name, **more},
        "env_version": "0.8",
        "metlog_pid": 1,
        "metlog_hostname": "web1",
    }


def messages(way: str) -> list[dict[str, Any]]:
    """As the original clients send them: numbers as text, rates as fields."""
    sent = [metric(way, "counter", "hits::all", "1", rate=1.0) for _ in range(COUNTS)]
    sent += [metric(way, "counter", "sampled", "1", rate=0.5) for _ in range(COUNTS)]
    sent += [metric(way, "timer", "took", str(number)) for number in range(1, TIMES + 1)]
    sent += [metric(way, "gauge", "load", 7.5), metric(way, "gauge", "below", -3)]
    sent += [metric(way, "set", "users", f"user{number % 10}") for number in range(30)]
    return [*sent, metric(way, "counter", "last", "1")]


def read(folder: Path, way: str) -> dict[str, Any]:
    """What all flushes hold of one way."""
    found: dict[str, Any] = {
        "hits": 0.0,
        "sampled": 0.0,
        "times": [],
        "load": None,
        "below": None,
        "users": set(),
        "last": 0,
    }
    flushes = folder / "flushes.jsonl"
    for line in flushes.read_text().splitlines() if flushes.exists() else []:
        flush = json.loads(line)
        found["hits"] += flush["counters"].get(f"{way}.hits.all", 0)
        found["sampled"] += flush["counters"].get(f"{way}.sampled", 0)
        found["last"] += flush["counters"].get(f"{way}.last", 0)
        found["times"] += flush["timers"].get(f"{way}.took", [])
        found["load"] = flush["gauges"].get(f"{way}.load", found["load"])
        found["below"] = flush["gauges"].get(f"{way}.below", found["below"])
        found["users"] |= set(flush["sets"].get(f"{way}.users", []))
    return found


def deliver(folder: Path, metlog: Metlog, server: Process, ports: dict[str, int], findings: Findings) -> None:
    for way in WAYS:
        metlog.send(messages(way))
    wait_until("both have tried", lambda: all(metlog.metric("metlog_output_retries", way) for way in WAYS))
    findings.holds(
        "down: said",
        metlog.log(),
        f"send to 127.0.0.1:{ports['udp']}: nobody listens there",
        f"connect to 127.0.0.1:{ports['tcp']}: Connection refused",
    )
    server.start()
    rounds(folder, findings, "down at the start", 1)
    server.kill()
    for way in WAYS:
        metlog.send(messages(way))
    server.start()
    rounds(folder, findings, "killed between", 2)
    metlog.send([metric("udp", "oldstyle", "x", "no metric")])
    wait_until("one is refused", lambda: metlog.metric("metlog_dead_lettered_messages", "udp") == 1)
    findings.holds(
        "dead letters say why",
        metlog.grater("dlq", "show", "--output", "udp").stdout,
        "statsd takes counter, timer, gauge and set",
    )


def rounds(folder: Path, findings: Findings, when: str, count: int) -> None:
    with contextlib.suppress(TimeoutError):
        wait_until("the last of both", lambda: all(read(folder, way)["last"] >= count for way in WAYS), 30)
    for way in WAYS:
        found = read(folder, way)
        findings.equal(f"{when}: {way} counters", count * COUNTS, found["hits"])
        findings.equal(f"{when}: {way} sampled counters", count * 2 * COUNTS, found["sampled"])
        findings.equal(f"{when}: {way} timers", sum(range(1, TIMES + 1)) * count, int(sum(found["times"])))
        findings.equal(f"{when}: {way} gauges", (7.5, -3), (found["load"], found["below"]))
        findings.equal(f"{when}: {way} members of a set", 10, len(found["users"]))


if __name__ == "__main__":
    sys.exit(main())
