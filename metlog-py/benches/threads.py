"""Whether four threads get as much through as one: the interpreter's lock is not held while anything waits.

They share the interpreter, so the best they can do together is what one does alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
import timeit

import message
from metlog.client import MetlogClient
from metlog.senders.zmq import ZmqPushSender
from receiver import receiver
from support import Measure, run

THREADS = 4

# Messages of one round, by all threads together.
CALLS = 16_000

ONE, FOUR = "metlog: metlog() by one thread", f"metlog: metlog() by {THREADS} threads"

# Threads of an application do more than log: here each call is one of many.
WORK = "sum(numbers)"


def wall(name: str, threads: int, statement: str, names: dict[str, object]) -> Measure:
    """Measure the time on the wall until `threads` threads have made all calls, and all has left."""

    def one_round() -> float:
        timers = [timeit.Timer(statement, globals=names) for _ in range(threads)]
        all_of_them = [threading.Thread(target=timer.timeit, args=(CALLS // threads,)) for timer in timers]
        start = time.perf_counter_ns()
        for thread in all_of_them:
            thread.start()
        for thread in all_of_them:
            thread.join()
        names["client"].flush(30.0)  # type: ignore[attr-defined]
        return (time.perf_counter_ns() - start) / CALLS

    return Measure(name, one_round)


def main() -> int:
    """Run all of it."""
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/receiver"
        with receiver(endpoint):
            client = MetlogClient(ZmqPushSender(endpoint), "syncstorage")
            names: dict[str, object] = {"client": client, "numbers": list(range(300))}
            statement = f"{message.METLOG}; {WORK}"
            results = run([wall(ONE, 1, statement, names), wall(FOUR, THREADS, statement, names)])
            # The switch from one thread to the next, each 5 ms, and a cold cache are Python's.
            results.at_most(FOUR, 1.1, ONE)
            code = results.exit_code()
            refused = client.stats().refused
            if refused:
                print(f"MISSED  calls were refused: {refused}")
            client.close()
            return int(code or bool(refused))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # A thread of a peer may still run.
    os._exit(code)
