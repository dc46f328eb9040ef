"""The plugin: gives a client its method `procinfo`."""

import importlib
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from metlog._complain import complain
from metlog.client import MetlogClient

Figures = Iterator[tuple[str, float]]


def config_plugin(config: Mapping[str, Any]) -> Callable[..., None]:
    """Make the method; it has no settings.

    Raises `SyntaxError` when it is given some.
    """
    if config:
        msg = f"Invalid arguments: {dict(config)}"
        raise SyntaxError(msg)

    def procinfo(
        client: MetlogClient,
        pid: int | None = None,
        net: bool = False,
        io: bool = False,
        cpu: bool = False,
        mem: bool = False,
        threads: bool = False,
        busy: bool = False,
        server_addr: str | Sequence[str] = (),
    ) -> None:
        """Send what is asked for about the process `pid`, this one by default: a message for each figure.

        `net` counts connections by the address they listen at, or else by that of the other side;
        `server_addr` names addresses (`host:port`) whose connections are counted as those of this side.
        """
        servers = {server_addr} if isinstance(server_addr, str) else set(server_addr)
        groups: dict[str, Callable[[Any], Figures]] = {
            "net": lambda process: _net(process, servers),
            "io": _io,
            "cpu": _cpu,
            "meminfo": _meminfo,
            "thread": _threads,
            "busy": _busy,
        }
        asked = dict(zip(groups, (net, io, cpu, mem, threads, busy), strict=True))
        if not any(asked.values()):
            return
        number = os.getpid() if pid is None else pid
        host = socket.gethostname().replace(".", "_")
        try:
            process = importlib.import_module("psutil").Process(number)
            for group in (group for group, wanted in asked.items() if wanted):
                figures = list(groups[group](process))
                for name, value in figures:
                    fields = {"logger": f"psutil.{group}.{host}.{number}", "name": name, "rate": 1}
                    client.metlog("procinfo", payload=value, fields=fields)
        except Exception as error:  # noqa: BLE001 - a process that is gone or not ours is no failure of the caller's
            client.count_refused("encode")
            complain("procinfo", f"metlog: no figures of process {number}: {error!r}")

    procinfo.__dict__.update(metlog_name="procinfo")
    return procinfo


def _io(process: Any) -> Figures:
    counters = process.io_counters()
    for name in ("read_bytes", "write_bytes", "read_count", "write_count"):
        yield name, getattr(counters, name)


def _cpu(process: Any) -> Figures:
    times = process.cpu_times()
    yield from (("user", times.user), ("sys", times.system))


def _meminfo(process: Any) -> Figures:
    memory = process.memory_info()
    yield from (("pcnt", process.memory_percent()), ("rss", memory.rss), ("vms", memory.vms))


def _threads(process: Any) -> Figures:
    for thread in process.threads():
        yield from ((f"{thread.id}.sys", thread.system_time), (f"{thread.id}.user", thread.user_time))


def _busy(process: Any) -> Figures:
    times = process.cpu_times()
    total = times.user + times.system
    uptime = max(time.time() - process.create_time(), 1e-3)
    yield from (("total_cpu", total), ("uptime", uptime), ("pcnt", 100 * total / uptime))


def _net(process: Any, servers: set[str]) -> Figures:
    # Its name until psutil 6.
    connections = getattr(process, "net_connections", None) or process.connections
    counts: Counter[str] = Counter()
    for connection in connections():
        state = "UDP" if connection.status in ("", "NONE") else connection.status
        own = _address(connection.laddr)
        is_server = state in ("LISTEN", "UDP") or own in servers or not connection.raddr
        address = own if is_server else _address(connection.raddr)
        counts[f"{address.replace('.', '_')}.{state}"] += 1
    yield from counts.items()


def _address(address: Any) -> str:
    return f"{address[0]}:{address[1]}" if address else "none"
