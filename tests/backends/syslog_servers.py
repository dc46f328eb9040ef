"""Messages and CEF events to a real rsyslog and a real syslog-ng, over everything that both speak.

Started by `make backends`. Each event is parsed back by pycef, and by rsyslog's own mmnormalize. Both servers
are away when the grater starts, and are stopped and started again in mid-stream.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pycef

from harness import CACHE, Findings, Metlog, Process, free_ports, showing_logs, wait_until

# Debian's packages, taken apart by tests/backends/debian.sh.
DEBIAN = CACHE / "debian"
LIBRARIES = DEBIAN / "usr/lib/x86_64-linux-gnu"

RSYSLOG = """\
global(workDirectory="{folder}" maxMessageSize="16k"
    defaultNetstreamDriverCAFile="{folder}/ca.pem" defaultNetstreamDriverCertFile="{folder}/server.pem"
    defaultNetstreamDriverKeyFile="{folder}/server.key")
module(load="imudp")
module(load="imtcp")
module(load="imuxsock" sysSock.use="off")
module(load="mmnormalize")
template(name="seen" type="list" option.jsonf="on") {{
    property(outname="pri" name="pri" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="program" name="programname" format="jsonf")
    property(outname="pid" name="procid" format="jsonf")
    property(outname="msg" name="msg" format="jsonf")
    property(outname="cef" name="$!f" format="jsonf")
}}
template(name="parsed" type="string" string="%$!f%\\n")
input(type="imudp" address="127.0.0.1" port="{rsyslog_udp}" ruleset="udp")
input(type="imtcp" address="127.0.0.1" port="{rsyslog_tcp}" ruleset="tcp")
input(type="imtcp" address="127.0.0.1" port="{rsyslog_old}" ruleset="old")
input(type="imtcp" address="127.0.0.1" port="{rsyslog_parsed}" ruleset="parsed")
input(type="imtcp" address="127.0.0.1" port="{rsyslog_tls}" ruleset="tls"
    streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
input(type="imuxsock" socket="{folder}/rsyslog.sock" ruleset="unix" useSpecialParser="off" parseHostname="on"
    ratelimit.interval="0")
ruleset(name="parsed") {{
    action(type="mmnormalize" rule="rule=:%f:cef%")
    action(type="omfile" file="{folder}/rsyslog-parsed" template="parsed")
}}
"""

RULESET = 'ruleset(name="{way}") {{ action(type="omfile" file="{folder}/rsyslog-{way}" template="seen") }}\n'

SYSLOG_NG = """\
@version: 3.38
options {{ keep-hostname(yes); chain-hostnames(no); use-dns(no); log-msg-size(16384); }};
source udp {{ syslog(ip(127.0.0.1) port({ng_udp}) transport("udp")); }};
source tcp {{ syslog(ip(127.0.0.1) port({ng_tcp}) transport("tcp")); }};
source old {{ network(ip(127.0.0.1) port({ng_old}) transport("tcp")); }};
source tls {{ syslog(ip(127.0.0.1) port({ng_tls}) transport("tls") tls(key-file("{folder}/server.key")
    cert-file("{folder}/server.pem") ca-file("{folder}/ca.pem") peer-verify(required-trusted))); }};
source unix {{ unix-dgram("{folder}/ng.sock" flags(expect-hostname)); }};
"""

NG_WAY = """\
destination {way} {{ file("{folder}/ng-{way}"
    template("$(format-json pri=$PRI host=$HOST program=$PROGRAM pid=$PID msg=$MESSAGE)\\n")); }};
log {{ source({way}); destination({way}); }};
"""

# What the servers have in common, and how the grater speaks to each.
WAYS = {
    "udp": 'address = "localhost:{port}"',
    "tcp": 'address = "localhost:{port}"\nprotocol = "tcp"',
    "old": 'address = "localhost:{port}"\nprotocol = "tcp"\nframing = "line_feed"\nformat = "rfc3164"',
    "tls": 'address = "localhost:{port}"\nprotocol = "tls"',
    "unix": 'path = "{folder}/{server}.sock"\nformat = "rfc3164"',
}
STREAMS = ("tcp", "old", "tls")
SERVERS = ("rsyslog", "ng")

TLS = """\
[output.tls]
ca_file = "{folder}/ca.pem"
certificate_file = "{folder}/server.pem"
key_file = "{folder}/server.key"
"""

PARSED = """
[[output]]
name = "rsyslog_parsed"
type = "syslog"
address = "localhost:{port}"
protocol = "tcp"
cef_header = "strip"

[[route]]
name = "cef"
matcher = "Type == 'cef'"
outputs = ["rsyslog_parsed"]

[[route]]
name = "all"
matcher = "TRUE"
outputs = {names}
"""

EVENTS = 60
TEXTS = 40

# What a client could try, and how it is to be read back.
VALUES = {
    "plain": "plain",
    "a=b": "a=b",
    "a\\b": "a\\b",
    "two\nlines": "two\nlines",
    "\u00fcml\u00e4ut": "\u00fcml\u00e4ut",
}
FORGED = "first\n<34>1 2026-01-01T00:00:00Z host forged - - - second\r\0third"
FORGED_SHOWN = "first#012<34>1 2026-01-01T00:00:00Z host forged - - - second#015#000third"


def main() -> int:
    findings = Findings(f"rsyslog {version('rsyslog')}, syslog-ng {version('syslog-ng-core')}")
    with tempfile.TemporaryDirectory(prefix="metlog-syslog-") as name, showing_logs(Path(name)):
        folder = Path(name)
        names = [f"{server}_{way}" for server in SERVERS for way in WAYS if way != "unix"]
        ports = free_ports(*names, "rsyslog_parsed")
        certificates(folder)
        servers = [rsyslog(folder, ports), syslog_ng(folder, ports)]
        try:
            with Metlog(folder, outputs(folder, ports)) as metlog:
                deliver(folder, metlog, servers, ports, findings)
        finally:
            for server in servers:
                server.end()
    return 0 if findings.report() else 1


def version(package: str) -> str:
    return (DEBIAN / "versions" / package).read_text().strip().split("-")[0]


def certificates(folder: Path) -> None:
    """An authority, and one certificate that stands for both sides."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(
        "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "2"
    )
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    openssl(
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-out",
        "server.pem",
        "-days",
        "2",
        "-extfile",
        "names",
    )


def rsyslog(folder: Path, ports: dict[str, int]) -> Process:
    config = RSYSLOG.format(folder=folder, **ports) + "".join(
        RULESET.format(way=way, folder=folder) for way in WAYS
    )
    # A ruleset has to be there before an input names it.
    head, inputs, tail = config.partition("input(")
    rulesets = tail[tail.index("ruleset(name") :]
    (folder / "rsyslog.conf").write_text(head + rulesets + inputs + tail[: tail.index("ruleset(name")])
    command: list[str | Path] = [
        DEBIAN / "usr/sbin/rsyslogd",
        "-n",
        "-f",
        folder / "rsyslog.conf",
        "-i",
        folder / "rsyslog.pid",
        "-M",
        LIBRARIES / "rsyslog",
    ]
    return Process(command, folder / "rsyslog.log", {"LD_LIBRARY_PATH": str(LIBRARIES)})


def syslog_ng(folder: Path, ports: dict[str, int]) -> Process:
    config = SYSLOG_NG.format(folder=folder, **ports) + "".join(
        NG_WAY.format(way=way, folder=folder) for way in WAYS
    )
    (folder / "ng.conf").write_text(config)
    own = DEBIAN / "usr/lib/syslog-ng"
    command: list[str | Path] = [
        DEBIAN / "usr/sbin/syslog-ng",
        "-F",
        "--no-caps",
        "-f",
        folder / "ng.conf",
        "-R",
        folder / "ng.persist",
        "-c",
        folder / "ng.ctl",
        "-p",
        folder / "ng.pid",
        f"--module-path={own}/3.38",
    ]
    return Process(
        command, folder / "ng.log", {"LD_LIBRARY_PATH": f"{own}:{LIBRARIES}:{DEBIAN}/lib/x86_64-linux-gnu"}
    )


def outputs(folder: Path, ports: dict[str, int]) -> str:
    text, names = "", []
    for server in SERVERS:
        for way, settings in WAYS.items():
            names.append(f"{server}_{way}")
            port = ports.get(names[-1], 0)
            text += f'[[output]]\nname = "{names[-1]}"\ntype = "syslog"\n'
            text += settings.format(port=port, folder=folder, server=server) + "\n"
            text += TLS.format(folder=folder) if way == "tls" else ""
    return text + PARSED.format(port=ports["rsyslog_parsed"], names=json.dumps(names))


def envelope(kind: str, payload: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "timestamp": "2026-11-22T03:04:05.123456Z",
        "logger": "app",
        "severity": 4,
        "payload": payload,
        "fields": fields,
        "env_version": "0.8",
        "metlog_pid": 42,
        "metlog_hostname": "web1",
    }


def cef_line(number: int, turn: str) -> str:
    """As the original metlog-cef writes it, escaping included: a line break stays behind a backslash."""
    value = list(VALUES)[number % len(VALUES)]
    escaped = value.replace("\\", "\\\\").replace("=", "\\=").replace("\n", "\\\n")
    return (
        f"Nov 22 03:04:05 web1 CEF:0|mozilla|weave|3|AuthFail|Auth fail|5|"
        f"cs1Label=requestClientApplication cs1={escaped} "
        f"requestMethod=GET request=/{turn}/{number} src=127.0.0.1 dhost=web1 suser=ada"
    )


def messages(turn: str) -> list[dict[str, Any]]:
    meta = {"syslog_facility": "AUTH", "syslog_priority": "ERR", "syslog_ident": "sync"}
    sent = [envelope("cef", cef_line(number, turn), {"cef_meta": meta}) for number in range(EVENTS)]
    return sent + [envelope("oldstyle", f"{turn} {number} {FORGED}", {}) for number in range(TEXTS)]


def seen(folder: Path, server: str, way: str) -> list[dict[str, Any]]:
    path = folder / f"{server}-{way}"
    lines = path.read_text(errors="surrogateescape").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def expected(turns: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Of the events what pycef is to find, of the texts what stands in the line."""
    events = [
        (f"/{turn}/{number}", VALUES[list(VALUES)[number % len(VALUES)]])
        for turn in turns
        for number in range(EVENTS)
    ]
    return events, [f"{turn} {number} {FORGED_SHOWN}" for turn in turns for number in range(TEXTS)]


def event(line: dict[str, Any]) -> tuple[str, str]:
    """What pycef finds in a line; the header is checked on the way."""
    assert (str(line["pri"]), line["host"], line["program"], str(line["pid"])) == (
        "35",
        "web1",
        "sync",
        "42",
    ), line
    parsed = pycef.parse(line["msg"])
    assert parsed is not None, line
    assert (parsed["Name"], parsed["Severity"], parsed["suser"]) == ("Auth fail", "5", "ada"), line
    return parsed["request"], unescaped(parsed["requestClientApplication"])


def unescaped(value: str) -> str:
    """pycef leaves the escapes of a value as they are."""
    return value.replace("\\\\", "\0").replace("\\n", "\n").replace("\\=", "=").replace("\0", "\\")


def deliver(
    folder: Path, metlog: Metlog, servers: list[Process], ports: dict[str, int], findings: Findings
) -> None:
    names = [f"{server}_{way}" for server in SERVERS for way in WAYS]
    metlog.send(messages("first"))
    wait_until("all have tried", lambda: all(metlog.metric("metlog_output_retries", name) for name in names))
    findings.holds(
        "down: said",
        metlog.log(),
        f"connect to localhost:{ports['ng_tls']}: Connection refused",
        "nobody listens there",
        "No such file or directory",
    )
    for server in servers:
        server.start()
    same(folder, metlog, findings, "down at the start", ["first"], exact=True)

    checked = metlog.grater("check")
    findings.holds("check: said", checked.stdout + checked.stderr, "takes TLS connections", "takes packets")

    sending = threading.Thread(target=metlog.send, args=(messages("second"),))
    sending.start()
    for server in servers:
        server.end()
        server.start()
    sending.join()
    same(folder, metlog, findings, "stopped in mid-stream", ["first", "second"], exact=False)
    normalized(folder, findings)


def same(
    folder: Path, metlog: Metlog, findings: Findings, when: str, turns: list[str], *, exact: bool
) -> None:
    """Compares what each server has with what was sent: once, or at least once where lines may come again."""
    count = len(turns) * (EVENTS + TEXTS)
    for server in SERVERS:
        for way in WAYS:
            # A server that stops loses what lies unread in its UDP socket.
            if not exact and way not in STREAMS:
                continue
            wait_for(folder, server, way, count)
            lines = seen(folder, server, way)
            events = [event(line) for line in lines if line["program"] == "sync"]
            texts = [line["msg"].removeprefix(" ") for line in lines if line["program"] != "sync"]
            wanted_events, wanted_texts = expected(turns)
            if not exact:
                events, texts = list(dict.fromkeys(events)), list(dict.fromkeys(texts))
            findings.equal(
                f"{when}: {server} {way}, events", len(wanted_events), sum_equal(wanted_events, events)
            )
            findings.equal(
                f"{when}: {server} {way}, texts", len(wanted_texts), sum_equal(wanted_texts, texts)
            )


def wait_for(folder: Path, server: str, way: str, count: int) -> None:
    """Until so many messages are there; what is missing then is shown in the table."""
    with contextlib.suppress(TimeoutError):
        wait_until("all is there", lambda: distinct(folder, server, way) >= count, 20)


def distinct(folder: Path, server: str, way: str) -> int:
    return len({line["msg"] for line in seen(folder, server, way)})


def sum_equal(wanted: list[Any], found: list[Any]) -> str | int:
    """How many there are when all are as wanted; what is amiss otherwise."""
    if sorted(wanted) == sorted(found):
        return len(found)
    odd = [one for one in found if one not in wanted][:1]
    return f"{len(found)}, {len(set(wanted) - set(found))} missing, odd: {odd}"


def normalized(folder: Path, findings: Findings) -> None:
    """rsyslog's own parser of CEF finds the same."""
    found = set()
    for line in (folder / "rsyslog-parsed").read_text().splitlines():
        parsed = json.loads(line)
        if parsed["Name"] == "Auth fail" and parsed["Severity"] == "5":
            found.add((parsed["Extensions"]["request"], parsed["Extensions"]["cs1"]))
    wanted, _ = expected(["first", "second"])
    findings.equal("mmnormalize finds every event", len(wanted), len(set(wanted) & found))


if __name__ == "__main__":
    sys.exit(main())
