"""What an exception with five frames and their variables costs, against what one would use otherwise."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import traceback
from typing import NoReturn

import sentry_sdk

from metlog.client import MetlogClient
from metlog.senders.zmq import ZmqPushSender
from metlog_raven import config_plugin
from receiver import receiver
from support import Measure, calls, process, run

SENTRY = "sentry_sdk capture_exception, to nowhere"
FORMAT = "traceback.format_exception"
RAVEN = "metlog: client.raven()"
TEXT = "metlog: client.exception()"

# Exceptions of one burst: what follows each is done on another thread, a few hundred may wait for it.
BURST = 200


def five(depth: int, user: str) -> NoReturn:
    """Raise below five frames that have variables."""
    path, headers, sizes = f"/1.1/{depth}", {"host": "web1", "length": depth}, list(range(depth))
    if depth > 1:
        five(depth - 1, user)
    raise ValueError(f"{user} has no {path}: {headers} {sizes}")


class Nowhere(sentry_sdk.Transport):
    """Drops what it is given, without an envelope serialised."""

    def capture_envelope(self, envelope: object) -> None:
        """Drop `envelope`."""


def measures(client: MetlogClient) -> list[Measure]:
    """Measure inside of a handler of an exception, as an application's are."""
    sentry_sdk.init("http://key@127.0.0.1/1", transport=Nowhere, default_integrations=False)
    try:
        five(5, "tarek")
    except ValueError as raised:
        error = raised
    names = {
        "client": client,
        "error": error,
        "capture": sentry_sdk.capture_exception,
        "format": traceback.format_exception,
        "log": logging.getLogger("nowhere"),
    }

    def left() -> None:
        assert client.flush(60.0)

    raven, text = "client.raven('x', exc_info=info)", "client.exception('x', exc_info=info)"
    names["info"] = (type(error), error, error.__traceback__)
    return [
        process(SENTRY, "capture(error)", names, lambda: None, BURST),
        process(FORMAT, "format(error)", names, lambda: None, BURST),
        process(f"{RAVEN}, whole process", raven, names, left, BURST),
        calls(f"{RAVEN}, calling thread", raven, names, left, BURST),
        process(f"{TEXT}, whole process", text, names, left, BURST),
    ]


def main() -> int:
    """Run all of it."""
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/receiver"
        with receiver(endpoint):
            client = MetlogClient(ZmqPushSender(endpoint), "syncstorage")
            client.add_method(config_plugin({}))
            results = run(measures(client))
            results.cheaper(f"{RAVEN}, calling thread", 20, SENTRY)
            results.cheaper(f"{RAVEN}, calling thread", 1, FORMAT)
            # Source lines, bounds and compression, on a thread that does not hold the interpreter's lock; the
            # peers do none of it here, since they send nothing.
            results.told(f"{RAVEN}, whole process", SENTRY)
            results.told(f"{RAVEN}, whole process", FORMAT)
            print(client.stats())
            client.close()
            return results.exit_code()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
