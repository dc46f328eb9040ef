"""``bench``: measures what calls cost the calling thread on this machine."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any

from metlog._commands import Outcome, configuration, destination
from metlog.client import MetlogClient
from metlog.senders.base import NativeSender
from metlog.senders.stream import JsonLinesSender

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

# Calls between two flushes, so that the hand-off never is full; what a flush takes is not counted.
BURST = 5_000
ROUNDS = 9
FLUSH_SECONDS = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--sender",
        choices=["none", "file", "default"],
        default="none",
        help="where messages go: nowhere (/dev/null), a temporary file, or where the configuration says",
    )


def run(given: argparse.Namespace) -> Outcome:
    """Measure; raises `ConfigError`."""
    if given.sender == "default":
        told = configuration(given)
        return _measured(MetlogClient(NativeSender(told.target), "bench"), destination(told))
    if given.sender == "none":
        return _measured(MetlogClient(JsonLinesSender(os.devnull), "bench"), os.devnull)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "messages.json")  # noqa: PTH118 - `pathlib` is not needed for one join
        return _measured(MetlogClient(JsonLinesSender(path), "bench"), "a temporary file")


def _measured(client: MetlogClient, to: str) -> Outcome:
    fields = {"userid": 25, "path": "/bookmarks", "cached": True}
    handle = client.counter("bench.counter")

    def timed() -> None:
        with client.timer("bench.timer"):
            pass

    calls: dict[str, Callable[[], Any]] = {
        "client.incr('bench')": lambda: client.incr("bench"),
        "client.metlog('bench', fields=three)": lambda: client.metlog("bench", fields=fields),
        "with client.timer('bench.timer')": timed,
        "client.info('%s %d', 'text', 7)": lambda: client.info("%s %d", "text", 7),
        "client.counter('bench.counter').incr(), kept": lambda: handle.incr(),
    }
    empty = _nanoseconds(client, lambda: None)
    figures = {}
    for name, call in calls.items():
        nanoseconds = max(_nanoseconds(client, call) - empty, 1.0)
        figures[name] = {
            "ns_per_call": round(nanoseconds),
            "calls_per_second": round(1e9 / nanoseconds),
        }
    client.close(FLUSH_SECONDS)
    stats = client.stats()
    lost = {**stats.refused, **stats.dropped}
    lines = [f"to {to}, {ROUNDS} rounds of {BURST:,} calls, the median; the loop around them is taken off"]
    width = max(map(len, figures))
    for name, figure in figures.items():
        rate = figure["calls_per_second"]
        lines.append(f"{name:<{width}}  {figure['ns_per_call']:>7,} ns  {rate:>12,} calls/s")
    lines.append(f"sent {stats.sent:,}, refused or dropped {sum(lost.values()):,}{_reasons(lost)}")
    return Outcome(0, lines, {"to": to, "calls": figures, "sent": stats.sent, "given_up": lost})


def _nanoseconds(client: MetlogClient, call: Callable[[], object]) -> float:
    rounds = []
    for _ in range(ROUNDS):
        started = time.thread_time_ns()
        for _ in range(BURST):
            call()
        rounds.append((time.thread_time_ns() - started) / BURST)
        client.flush(FLUSH_SECONDS)
    return statistics.median(rounds)


def _reasons(lost: dict[str, int]) -> str:
    return "".join(f" ({reason} {count:,})" for reason, count in lost.items())
