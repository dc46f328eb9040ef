"""``send``: sends one message and says what became of it; 0 when it was sent, 1 when not."""

from __future__ import annotations

import argparse
import json
from typing import Any

from metlog._commands import Outcome, configuration, destination
from metlog.client import SEVERITY, MetlogClient
from metlog.senders.base import NativeSender

SEVERITIES = {name.lower(): level for name, level in vars(SEVERITY).items() if name.isupper()}

# What `sent` promises of each way to send.
MEANINGS = {
    "acked": "the sidecar has it on disk",
    "push": "ZeroMQ has taken it for the sidecar",
    "pub": "it was published to whoever hears it",
    "udp": "the datagram has left",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("type", help="the type of the message, for example deploy")
    parser.add_argument("payload", nargs="?", default="", help="its text")
    parser.add_argument(
        "-f",
        "--field",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=_field,
        help="a field; a value that is JSON is taken as such; may be given several times",
    )
    parser.add_argument("--logger", help="its logger")
    parser.add_argument("--severity", type=_severity, help=f"0 to 7, or {', '.join(SEVERITIES)}")
    parser.add_argument("--endpoint", help="the sidecar's address, for example tcp://127.0.0.1:5566")
    parser.add_argument("--delivery", choices=["push", "acked"], help="how it reaches the sidecar")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=2.0, help="how long to wait (2)")


def run(given: argparse.Namespace) -> Outcome:
    """Send the message; raises `ConfigError`."""
    endpoint = "link_endpoint" if given.delivery == "acked" else "endpoint"
    told = configuration(given, delivery=given.delivery, **{endpoint: given.endpoint})
    client = MetlogClient(NativeSender(told.target), told.logger, told.severity)
    client.metlog(given.type, given.logger, given.severity, given.payload, dict(given.field))
    client.close(given.timeout)
    stats = client.stats()
    to, reasons = destination(told), {**stats.refused, **stats.dropped}
    facts = {"sent": stats.sent, "given_up": reasons, "to": to}
    if stats.sent:
        meaning = MEANINGS.get(told.delivery if told.sender == "sidecar" else told.sender, "it was written")
        return Outcome(0, [f"sent to {to}: {meaning}"], facts)
    why = ", ".join("nobody took it" if reason == "send" else reason for reason in reasons)
    return Outcome(
        1,
        [
            f"not sent to {to} within {given.timeout:g} s: {why}",
            "what to do about it says: python -m metlog doctor",
        ],
        facts,
    )


def _field(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        msg = f"{text!r} is no NAME=VALUE"
        raise argparse.ArgumentTypeError(msg)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _severity(text: str) -> int:
    level = SEVERITIES.get(text.lower())
    if level is None:
        level = int(text) if text.isdigit() else -1
    if level not in SEVERITIES.values():
        msg = f"{text!r} is no severity, expected 0 to 7 or {', '.join(SEVERITIES)}"
        raise argparse.ArgumentTypeError(msg)
    return level
