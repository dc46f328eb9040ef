"""What a line of `logging` costs through our handler, against a handler that does nothing."""

from __future__ import annotations

import logging
import os
import sys
import tempfile

from metlog.client import MetlogClient
from metlog.logging import MetlogHandler
from metlog.senders.zmq import ZmqPushSender
from receiver import receiver
from support import calls, process, run

NULL = "logging: NullHandler"
FILE = "logging: FileHandler"
HANDLER = "logging: metlog's handler"

PLAIN = ".info('this is the payload')"
ARGUMENTS = ".info('%s took %d ms', '/1.1/bookmarks', 4)"
EXTRA = ".info('this is the payload', extra={'userid': 25, 'path': '/1.1/bookmarks'})"
KINDS = {"a text": PLAIN, "a text with two arguments": ARGUMENTS, "a text with two extra fields": EXTRA}


def logger(name: str, handler: logging.Handler) -> logging.Logger:
    """Give back a logger of its own with `handler`."""
    made = logging.Logger(name, logging.INFO)
    made.addHandler(handler)
    return made


def main() -> int:
    """Run all of it."""
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/receiver"
        with receiver(endpoint):
            client = MetlogClient(ZmqPushSender(endpoint), "syncstorage")
            names = {
                "null": logger("null", logging.NullHandler()),
                "file": logger("file", logging.FileHandler(f"{folder}/log")),
                "ours": logger("ours", MetlogHandler(client)),
                "disabled": logging.Logger("disabled", logging.ERROR),
            }

            def left() -> None:
                assert client.flush(30.0)

            measures = [calls("logging: disabled", f"disabled{PLAIN}", names)]
            for kind, call in KINDS.items():
                measures += [
                    calls(f"{NULL}, {kind}", f"null{call}", names),
                    calls(f"{FILE}, {kind}", f"file{call}", names),
                    calls(f"{HANDLER}, {kind}", f"ours{call}", names, left),
                ]
            measures.append(process(f"{HANDLER}, a text, whole process", f"ours{PLAIN}", names, left))
            results = run(measures)
            for kind in KINDS:
                results.at_most(f"{HANDLER}, {kind}", 1.3, f"{NULL}, {kind}")
            client.close()
            return results.exit_code()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
