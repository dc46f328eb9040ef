"""A receiver in a process of its own, so that its CPU time is not the client's: it takes what comes and drops it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import zmq

if TYPE_CHECKING:
    from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def receiver(endpoint: str) -> Iterator[None]:
    """Have what is pushed to `endpoint` taken."""
    process = subprocess.Popen([sys.executable, __file__, endpoint], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait()


def _receive(endpoint: str) -> None:
    socket = zmq.Context.instance().socket(zmq.PULL)
    socket.bind(endpoint)
    print("listening", flush=True)
    while True:
        socket.recv(copy=False)


if __name__ == "__main__":
    _receive(sys.argv[1])
