"""Alerts through both daemons to a real nsca and Nagios, and into Nagios' command file; read from status.dat.

Started by `make backends`. One Nagios takes what three nsca daemons (XOR, triple DES, AES) and the pipe
bring it. nsca is away when the grater starts, and is killed in mid-stream.
"""

import contextlib
import functools
import getpass
import grp
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import CACHE, Findings, Metlog, Process, free_ports, listens, showing_logs, wait_until

# Debian's packages, taken apart by tests/backends/debian.sh.
DEBIAN = Path(os.environ.get("METLOG_DEBIAN", CACHE / "debian"))
LIBRARIES = {"LD_LIBRARY_PATH": str(DEBIAN / "usr/lib/x86_64-linux-gnu")}

PASSWORD = "s3cret passphrase"
SERVICES = 20

# What nsca.cfg calls the methods that the setting `encryption` names.
METHODS = {"xor": (1, 4304), "3des": (3, 720), "aes": (14, 4304)}

NAGIOS = """\
log_file={folder}/nagios.log
object_cache_file={folder}/objects.cache
precached_object_file={folder}/objects.precache
cfg_file={folder}/objects.cfg
status_file={folder}/status.dat
status_update_interval=1
nagios_user={user}
nagios_group={group}
check_external_commands=1
command_file={folder}/nagios.cmd
lock_file={folder}/nagios.pid
temp_file={folder}/nagios.tmp
temp_path={folder}
check_result_path={folder}/results
state_retention_file={folder}/retention.dat
log_rotation_method=n
use_syslog=0
execute_service_checks=0
execute_host_checks=0
accept_passive_service_checks=1
enable_notifications=0
enable_event_handlers=0
process_performance_data=0
max_concurrent_checks=1
check_workers=1
query_socket={folder}/nagios.qh
illegal_object_name_chars=`~!$%^&*|'"<>?,()=
"""

OBJECTS = """\
define timeperiod {
  timeperiod_name never
  alias never
}
define command {
  command_name nothing
  command_line /bin/true
}
define contact {
  contact_name nobody
  host_notification_period never
  service_notification_period never
  host_notification_options n
  service_notification_options n
  host_notification_commands nothing
  service_notification_commands nothing
}
"""

HOST = """\
define host {{
  host_name {host}
  address 127.0.0.1
  max_check_attempts 1
  check_command nothing
  check_period never
  notification_period never
  contacts nobody
}}
"""

SERVICE = """\
define service {{
  host_name {host}
  service_description {service}
  max_check_attempts 1
  check_command nothing
  check_period never
  notification_period never
  contacts nobody
  active_checks_enabled 0
  passive_checks_enabled 1
}}
"""

NSCA = """\
server_address=127.0.0.1
server_port={port}
pid_file={folder}/nsca-{name}.pid
command_file={folder}/nagios.cmd
alternate_dump_file={folder}/nsca-{name}.dump
nsca_user={user}
nsca_group={group}
max_packet_age=30
decryption_method={method}
password={password}
debug=1
"""

OUTPUT = """\
[[output]]
name = "{name}"
type = "nagios"
address = "127.0.0.1:{port}"
encryption = "{encryption}"
packet_bytes = {packet_bytes}
{password}

[[route]]
name = "{name}"
matcher = "Hostname == '{name}'"
outputs = ["{name}"]
final = true

"""

PIPE = """\
[[output]]
name = "pipe"
type = "nagios"
command_file = "{folder}/nagios.cmd"

[[route]]
name = "pipe"
matcher = "Hostname == 'pipe'"
outputs = ["pipe"]
final = true

"""


def main() -> int:
    findings = Findings(f"nsca {version('nsca')}, Nagios {version('nagios4-core')}")
    with tempfile.TemporaryDirectory(prefix="metlog-nagios-") as name, showing_logs(Path(name)):
        folder = Path(name)
        (folder / "password").touch(mode=0o600)
        (folder / "password").write_text(PASSWORD + "\n")
        hosts = [*METHODS, "pipe"]
        configure(folder, hosts)
        nagios = Process(
            [DEBIAN / "usr/sbin/nagios4", folder / "nagios.cfg"], folder / "nagios.out.log", LIBRARIES
        )
        ports = free_ports(*METHODS)
        servers = {name: nsca(folder, name, ports[name]) for name in METHODS}
        try:
            deliver(folder, nagios, servers, ports, findings)
        finally:
            for process in [*servers.values(), nagios]:
                process.end()
    return 0 if findings.report() else 1


def version(package: str) -> str:
    return (DEBIAN / "versions" / package).read_text().strip().split("-")[0]


def configure(folder: Path, hosts: list[str]) -> None:
    who = {"user": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
    (folder / "results").mkdir()
    (folder / "nagios.cfg").write_text(NAGIOS.format(folder=folder, **who))
    services = [
        SERVICE.format(host=host, service=f"s{number}") for host in hosts for number in range(SERVICES)
    ]
    (folder / "objects.cfg").write_text(
        OBJECTS + "".join(HOST.format(host=host) for host in hosts) + "".join(services)
    )


def nsca(folder: Path, name: str, port: int) -> Process:
    method, _ = METHODS[name]
    who = {"user": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
    config = folder / f"nsca-{name}.cfg"
    config.write_text(
        NSCA.format(folder=folder, name=name, port=port, method=method, password=PASSWORD, **who)
    )
    return Process([DEBIAN / "usr/sbin/nsca", "-c", config, "-f"], folder / f"nsca-{name}.log", LIBRARIES)


def outputs(folder: Path, ports: dict[str, int]) -> str:
    """Those that work, and two that do not: a wrong password, and nobody there."""
    given = f'password_file = "{folder}/password"'
    text = "".join(
        OUTPUT.format(name=name, port=ports[name], encryption=name, packet_bytes=size, password=given)
        for name, (_, size) in METHODS.items()
    )
    nobody = free_ports("nobody")["nobody"]
    text += OUTPUT.format(name="away", port=nobody, encryption="xor", packet_bytes=4304, password="")
    return text + PIPE.format(folder=folder)


def alert(host: str, number: int, code: int, text: str) -> dict[str, Any]:
    """Half of them say it in fields as our alerts do, half in the payload as Heka's did."""
    states = ["OK", "WARNING", "CRITICAL", "UNKNOWN"]
    fields: dict[str, Any] = {"host": host, "service": f"s{number}"}
    payload = f"{states[code]}:{text}"
    if number % 2:
        fields["state"], payload = states[code], text
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "type": "alert",
        "timestamp": stamp,
        "logger": "disk",
        "severity": 4,
        "payload": payload,
        "fields": fields,
        "env_version": "0.8",
        "metlog_pid": 1,
        "metlog_hostname": host,
    }


def round_of(hosts: list[str], turn: int) -> dict[tuple[str, str], tuple[str, str]]:
    """What Nagios is to show after this turn: state and text of every service."""
    return {
        (host, f"s{number}"): (str((number + turn) % 4), f"turn {turn} of {host} is {number}%")
        for host in hosts
        for number in range(SERVICES)
    }


def send(metlog: Metlog, hosts: list[str], turn: int) -> None:
    metlog.send(
        [
            alert(host, int(service[1:]), int(code), text)
            for (host, service), (code, text) in round_of(hosts, turn).items()
        ]
    )


def shown(folder: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """State and text of each service in Nagios' status file."""
    found = {}
    text = (folder / "status.dat").read_text() if (folder / "status.dat").exists() else ""
    for block in re.findall(r"servicestatus \{\n(.*?)\n\t\}", text, re.DOTALL):
        keys = dict(line.strip().split("=", 1) for line in block.splitlines())
        found[keys["host_name"], keys["service_description"]] = (keys["current_state"], keys["plugin_output"])
    return found


def deliver(
    folder: Path, nagios: Process, servers: dict[str, Process], ports: dict[str, int], findings: Findings
) -> None:
    hosts = [*METHODS, "pipe"]
    with Metlog(folder, outputs(folder, ports)) as metlog:
        # Down at the start, with messages waiting.
        send(metlog, hosts, 0)
        metlog.send([alert("away", 0, 0, "x")])
        wait_until(
            "the outputs have tried",
            lambda: all(metlog.metric("metlog_output_retries", host) for host in [*hosts, "away"]),
        )
        findings.holds(
            "down: said",
            metlog.log(),
            f"send to nsca at 127.0.0.1:{ports['aes']}: Connection refused",
            "command_file",
        )
        nagios.start()
        wait_until("Nagios reads commands", lambda: (folder / "nagios.cmd").exists())
        for server in servers.values():
            server.start()
        for name, port in ports.items():
            wait_until(f"nsca {name} listens", functools.partial(listens, port))
        same(folder, findings, "down at the start", round_of(hosts, 0))

        # Killed in mid-stream, and started again.
        send(metlog, hosts, 1)
        for server in servers.values():
            server.kill()
        send(metlog, hosts, 2)
        for server in servers.values():
            server.start()
        same(folder, findings, "killed in mid-stream", round_of(hosts, 2))

        metlog.send(
            [
                {**alert("aes", 0, 0, "x"), "payload": "all is well"},
                alert("aes;x", 0, 0, "x") | {"metlog_hostname": "aes"},
            ]
        )
        wait_until("two are refused", lambda: metlog.metric("metlog_dead_lettered_messages", "aes") == 2)
        letters = metlog.grater("dlq", "show", "--output", "aes").stdout
        findings.holds("dead letters say why", letters, "expected OK:, WARNING:", "ends a field of a command")
        findings.equal("nobody there: waits, nothing lost", 0, metlog.settled("away"))
        checked = metlog.grater("check")
        said = checked.stdout + checked.stderr
        findings.holds(
            "check says who is away and who answers",
            said,
            "reach nsca at",
            "refused",
            "nsca answers",
            "a Nagios reads",
        )
        findings.equal("the password is in no log", False, PASSWORD in metlog.log() + said)
        findings.equal(
            "delivered by each",
            [3 * SERVICES] * 4,
            [int(metlog.metric("metlog_delivered_messages", host)) for host in hosts],
        )


def same(folder: Path, findings: Findings, when: str, wanted: dict[tuple[str, str], tuple[str, str]]) -> None:
    """Compares what Nagios shows, once it does or time is up."""
    with contextlib.suppress(TimeoutError):
        wait_until("every service is as sent", lambda: wanted.items() <= shown(folder).items(), 30)
    found = shown(folder)
    for host in dict.fromkeys(host for host, _ in wanted):
        mine = {service: what for (name, service), what in wanted.items() if name == host}
        equal = sum(found.get((host, service)) == what for service, what in mine.items())
        findings.equal(f"{when}: {host}, states and texts", len(mine), equal)


if __name__ == "__main__":
    sys.exit(main())
