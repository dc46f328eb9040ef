"""``mb HOST PORT``: sends messages to a receiver as fast as it can, until it is interrupted."""

import argparse
import json
import socket
from collections.abc import Sequence
from pathlib import Path

from metlog.client import MetlogClient
from metlog.config import client_from_dict_config, dict_from_stream_config

SECTION = "metlog"

DATAGRAM = json.dumps(
    {
        "type": "MBTEST",
        "timestamp": "2012-07-01T00:00:00.000000Z",
        "logger": "",
        "severity": 6,
        "payload": "MBTEST",
        "fields": {},
        "env_version": "0.8",
        "metlog_pid": 0,
        "metlog_hostname": "mb",
    }
).encode()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives back its exit code."""
    given = _parser().parse_args(arguments)
    try:
        if given.raw:
            _send_raw(given.host, given.port)
        client = _client(given.host, given.port, given.metlogcfg)
        while True:
            client.metlog("MBTEST", payload="MBTEST")
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mb", description="Sends messages as fast as it can.")
    parser.add_argument("host", metavar="HOST")
    parser.add_argument("port", metavar="PORT", type=int)
    parser.add_argument(
        "--metlogcfg",
        metavar="INI",
        help="the client, by the section [metlog] of a file; UDP if it has no sender",
    )
    parser.add_argument("--raw", action="store_true", help="send one made-up datagram, without a client")
    return parser


def _client(host: str, port: int, path: str | None) -> MetlogClient:
    config = {}
    if path is not None:
        with Path(path).open(encoding="utf-8") as file:
            config = dict_from_stream_config(file, SECTION)
    if "class" not in config.get("sender", {}):
        config["sender"] = {"class": "metlog.senders.UdpSender", "host": host, "port": port}
    return client_from_dict_config(config)


def _send_raw(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while True:
            sender.sendto(DATAGRAM, (host, port))
