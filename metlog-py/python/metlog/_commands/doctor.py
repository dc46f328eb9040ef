"""``doctor``: says what is set up here and whether somebody takes the messages; 0 when all is well."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from metlog import _metlog
from metlog._commands import Outcome, config_path, configuration, destination
from metlog.exceptions import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from metlog._metlog import Configuration

PATIENCE_SECONDS = 1.0

# What a socket of ZeroMQ says first: a signature of ten bytes, its first and its last.
GREETING = (0xFF, 0x7F)

# What to know beside other packages, by the module that tells of each.
HINTS = {
    "mod_wsgi": "mod_wsgi: set WSGIApplicationGroup %{GLOBAL}; metlog cannot run in a subinterpreter",
    "uwsgidecorators": "uWSGI: set single-interpreter = true; metlog cannot run in a subinterpreter",
    "gevent": "gevent: calls never wait; flush() and close() do, and hold up every greenlet meanwhile",
}


class Found(NamedTuple):
    """One thing that was looked at; `is_well` is None where there is nothing to judge."""

    name: str
    text: str
    is_well: bool | None = None
    advice: str = ""


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Add what the command takes: nothing more."""


def run(given: argparse.Namespace) -> Outcome:
    """Look at everything."""
    found = list(_look(given))
    marks = {True: "ok  ", False: "BAD ", None: "    "}
    lines = []
    for one in found:
        lines.append(f"{marks[one.is_well]}{one.name}: {one.text}")
        if one.advice:
            lines.append(f"      -> {one.advice}")
    bad = sum(one.is_well is False for one in found)
    lines.append("all is well" if not bad else f"{bad} to be looked at")
    return Outcome(1 if bad else 0, lines, {"well": not bad, "found": [one._asdict() for one in found]})


def _look(given: argparse.Namespace) -> Iterator[Found]:
    yield _version()
    yield Found("python", f"{platform.python_implementation()} {platform.python_version()}")
    yield _variables()
    try:
        told = configuration(given)
    except ConfigError as error:
        yield Found("configuration", str(error), False, "docs/configuration.md lists every setting")
        return
    yield Found("configuration", config_path(given) or "no file: variables and defaults", True)
    yield Found("sends to", f"{destination(told)}, {_why(told)}")
    yield from _answers(told)
    settings = told.settings
    yield Found(
        "queue",
        f"{settings.queue_bytes:,} bytes wait at most, a batch leaves after {settings.batch_age * 1000:g} ms"
        f" or {settings.batch_bytes:,} bytes; metrics are {'' if settings.aggregate else 'not '}summed",
    )
    for module, hint in HINTS.items():
        if importlib.util.find_spec(module) is not None:
            yield Found("hint", hint)


def _version() -> Found:
    installed = importlib.metadata.version("metlog")
    where = f"metlog {_metlog.__version__} at {Path(_metlog.__file__ or '').parent}"
    if installed == _metlog.__version__:
        return Found("version", where, True)
    advice = "two installations are mixed: uninstall metlog until none is left, then install it once"
    return Found("version", f"{where}, the package says {installed}", False, advice)


def _variables() -> Found:
    names = sorted(name for name in os.environ if name.startswith("METLOG_"))
    return Found("variables", ", ".join(names) or "no METLOG_* is set")


def _why(told: Configuration) -> str:
    acked = told.delivery == "acked"
    variable, file = ("METLOG_LINK_ENDPOINT", "link.sock") if acked else ("METLOG_ENDPOINT", "push.sock")
    usual = _metlog.Target.default_link_endpoints() if acked else _metlog.Target.default_endpoints()
    if told.sender != "sidecar":
        return "METLOG_SENDER_CLASS says so" if "METLOG_SENDER_CLASS" in os.environ else "the file says so"
    if os.environ.get(variable):
        return f"{variable} says so"
    if told.places != usual:
        return "the file says so"
    if usual[0].startswith("ipc:"):
        return "by default: a sidecar has made that socket"
    return f"by default: there is no {file} under /run/metlog or $XDG_RUNTIME_DIR/metlog"


def _answers(told: Configuration) -> Iterator[Found]:
    if told.sender == "sidecar":
        yield from map(_sidecar, told.places)
    elif told.sender == "udp":
        yield from map(_host, told.places)
    elif told.sender == "file":
        path = Path(told.places[0])
        writable = os.access(path if path.exists() else path.absolute().parent, os.W_OK)
        yield Found("file", str(path), writable, "" if writable else "it cannot be written: see its folder")
    elif told.sender == "pub":
        yield Found("receiver", "cannot be asked: a publisher does not know who hears it")


def _sidecar(endpoint: str) -> Found:
    advice = "start metlog-sidecar, or name the endpoint it listens on by METLOG_ENDPOINT"
    try:
        with _connected(endpoint) as connection:
            signature = connection.recv(10)
    except OSError as error:
        return Found("sidecar", f"{endpoint} does not answer: {error.strerror or error}", False, advice)
    if len(signature) == 10 and (signature[0], signature[-1]) == GREETING:
        return Found("sidecar", f"{endpoint} answers", True)
    return Found("sidecar", f"{endpoint} is not a socket of ZeroMQ: something else listens", False, advice)


def _connected(endpoint: str) -> socket.socket:
    scheme, _, place = endpoint.partition("://")
    if scheme == "ipc":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE_SECONDS)
        try:
            connection.connect(place)
        except OSError:
            connection.close()
            raise
        return connection
    host, _, port = place.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), PATIENCE_SECONDS)


def _host(place: str) -> Found:
    host, _, port = place.rpartition(":")
    try:
        socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)
    except OSError as error:
        return Found("host", f"{place}: {error.strerror}", False, "the name cannot be resolved")
    return Found("host", f"{place} is known; whether somebody listens cannot be asked", True)
