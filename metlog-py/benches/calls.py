"""What a counter, a message and a timer cost, against floors and peers of the same run.

All of ours leave by ZeroMQ PUSH to a receiver in another process, as those of `orjson + pyzmq` do; statsd
and datadog send UDP to a socket that somebody holds open. Times are those of the calling thread unless a row
says otherwise.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from typing import Any

import orjson
import prometheus_client
import python_floor
import statsd
import zmq
from datadog.dogstatsd.base import DogStatsd

import message
import metlog
from metlog.client import MetlogClient
from metlog.senders.zmq import ZmqPushSender
from receiver import receiver
from support import Measure, Results, calls, inside, process, run

# Seconds that everything sent may take to leave; nothing here comes near.
PATIENCE = 30.0

LOOP = "an empty loop"
INCR_FLOOR = "pyo3: the signature of incr"
METLOG_FLOOR = "pyo3: the signature of metlog, with a dict"
ITERATE = "iterate a dict of 3"
ENCODE = "rmp encode"
BLOCK_FLOOR = "pyo3: a context manager, new each time"
CLOCK = "one reading of the clock"

DATADOG = "datadog increment, aggregated"
STATSD = "statsd incr, UDP"
PROMETHEUS = "prometheus_client inc, kept"
STRUCTLOG = "structlog with orjson and BytesLogger"
ORJSON_PYZMQ = "orjson + pyzmq PUSH"
PROMETHEUS_TIMER = "prometheus_client Histogram.time()"

INCR = "metlog: incr by name, aggregated"
HANDLE = "metlog: incr by handle"
INCR_MESSAGE = "metlog: incr as a message"
MESSAGE = "metlog: metlog() with three fields"
TIMER = "metlog: with client.timer()"
TIMER_SUMMED = "metlog: with client.timer(), aggregated"


def floors() -> list[Measure]:
    """Measure the least that each kind of call costs through pyo3."""
    names = {"floor": python_floor.Floor()}
    fields = eval(message.FIELDS)
    return [
        calls(LOOP, "pass", names),
        calls("pyo3: a method with a text", "floor.text('sync.auth.ok')", names),
        calls(INCR_FLOOR, "floor.incr('sync.auth.ok')", names),
        calls(METLOG_FLOOR, message.FLOOR, names),
        inside(ITERATE, lambda count: python_floor.iterate(fields, count)),
        inside(ENCODE, python_floor.encode),
        calls(BLOCK_FLOOR, "with floor.block('sync.req'): pass", names),
        inside(CLOCK, python_floor.clock),
    ]


def peers(endpoint: str, port: int) -> list[Measure]:
    """Measure the libraries that one would use otherwise."""
    datadog = DogStatsd("127.0.0.1", port, disable_aggregation=False, disable_telemetry=True)
    registry = prometheus_client.CollectorRegistry()
    push = zmq.Context.instance().socket(zmq.PUSH)
    push.connect(endpoint)
    names: dict[str, Any] = {
        "datadog": datadog,
        "statsd": statsd.StatsClient("127.0.0.1", port),
        "counter": prometheus_client.Counter("sync_auth_ok", "as ours", registry=registry),
        "histogram": prometheus_client.Histogram("sync_req", "as ours", registry=registry),
        "structlog": message.structlog_orjson(),
        "dumps": orjson.dumps,
        "push": push.send,
    }
    return [
        calls(DATADOG, "datadog.increment('sync.auth.ok')", names, datadog.flush_aggregated_metrics),
        calls(STATSD, "statsd.incr('sync.auth.ok')", names),
        calls(PROMETHEUS, "counter.inc()", names),
        calls(STRUCTLOG, message.STRUCTLOG, names),
        calls(ORJSON_PYZMQ, message.ORJSON_PYZMQ, names),
        # Its own thread has sent what is left within a moment; nothing says when.
        process(f"{ORJSON_PYZMQ}, whole process", message.ORJSON_PYZMQ, names, lambda: time.sleep(0.1)),
        calls(PROMETHEUS_TIMER, "with histogram.time(): pass", names),
    ]


def ours(client: MetlogClient, summing: MetlogClient) -> list[Measure]:
    """Measure metlog."""
    names = {"client": client, "summing": summing, "counter": summing.counter("sync.auth.handle")}

    def left() -> None:
        assert client.flush(PATIENCE)

    incr, timer = "client.incr('sync.auth.ok')", "with client.timer('sync.req'): pass"
    return [
        calls(INCR, "summing.incr('sync.auth.ok')", names),
        calls(HANDLE, "counter.incr()", names),
        calls(INCR_MESSAGE, incr, names, left),
        process(f"{INCR_MESSAGE}, whole process", incr, names, left),
        calls(MESSAGE, message.METLOG, names, left),
        process(f"{MESSAGE}, whole process", message.METLOG, names, left),
        calls(TIMER, timer, names, left),
        process(f"{TIMER}, whole process", timer, names, left),
        calls(TIMER_SUMMED, "with summing.timer('sync.req'): pass", names),
    ]


def report(results: Results) -> int:
    """Print the bars."""
    results.at_most(INCR, 1.5, INCR_FLOOR)
    results.cheaper(INCR, 12, DATADOG)
    results.cheaper(INCR, 25, STATSD)
    results.at_most(HANDLE, 1, INCR_FLOOR)
    results.cheaper(HANDLE, 1, PROMETHEUS)
    results.at_most(INCR_MESSAGE, 3, INCR_FLOOR)
    results.at_most(MESSAGE, 2, METLOG_FLOOR, ITERATE, ENCODE)
    results.cheaper(MESSAGE, 15, STRUCTLOG)
    results.cheaper(f"{MESSAGE}, whole process", 5, f"{ORJSON_PYZMQ}, whole process")
    results.at_most(TIMER_SUMMED, 1.5, BLOCK_FLOOR, CLOCK, CLOCK)
    results.at_most(TIMER, 1.5, BLOCK_FLOOR, CLOCK, CLOCK)
    results.cheaper(TIMER, 5, PROMETHEUS_TIMER)
    return results.exit_code()


def refused(client: MetlogClient) -> str:
    """Say what of a client's did not leave: a figure with refused calls would be too low."""
    stats = client.stats()
    whole = stats.attempted == stats.sent
    return "" if whole else f"MISSED  not every message has left: {stats}"


def main() -> int:
    """Run all of it."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(type=socket.SOCK_DGRAM) as udp:
        endpoint = f"ipc://{folder}/receiver"
        udp.bind(("127.0.0.1", 0))
        with receiver(endpoint):
            client = MetlogClient(ZmqPushSender(endpoint), "syncstorage")
            summing = metlog.configure(sender_endpoints=[endpoint], logger="syncstorage", aggregate=True)
            results = run([*floors(), *ours(client, summing), *peers(endpoint, udp.getsockname()[1])])
            code = report(results)
            lost = refused(client)
            print(lost, end="\n" if lost else "")
            client.close(), summing.close()
            return int(code or bool(lost))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Peers leave threads behind.
    os._exit(code)
