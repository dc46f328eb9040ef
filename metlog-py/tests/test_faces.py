"""The table of Python and Node side by side names what there is, and all of it."""

import importlib
import re
from pathlib import Path

import pytest

import metlog
from metlog.senders import DebugCaptureSender

TABLE = Path(__file__).parents[2] / "docs" / "faces.md"

# Given to senders, to filters and to subclasses written by the application; `metlog.client` has their docs.
OF_THE_ORIGINAL = {"env_version", "filters", "hostname", "is_active", "logger", "pid", "sender", "severity"}


def cells():
    """Give what a row is about, and its cell of Python."""
    lines = TABLE.read_text("utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return [(row[0], row[1]) for row in rows if len(row) == 3][1:]


def names(cell):
    return [] if cell.startswith("none: ") else re.findall(r"`([^`]+)`", cell)


NAMES = [name for _, cell in cells() for name in names(cell)]


def found(name):
    """Find what a name stands for: an attribute of a client or a handle, or of a module."""
    client = metlog.MetlogClient(DebugCaptureSender(), "faces")
    handles = client.aggregates
    known = {
        "client": client,
        "counter": handles.counter("a"),
        "gauge": handles.gauge("a"),
        "timer": handles.timer("a"),
    }
    first, *rest = name.split(".")
    thing = known.get(first)
    if thing is None:
        thing = importlib.import_module(first)
    for index, attribute in enumerate(rest, 2):
        if not hasattr(thing, attribute):
            importlib.import_module(".".join([first, *rest][:index]))
        thing = getattr(thing, attribute)
    return thing


def test_every_row_says_something_of_python():
    assert len(NAMES) > 50
    assert [what for what, cell in cells() if not names(cell) and not cell.startswith("none: ")] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_the_table_exists(name):
    try:
        assert found(name) is not None
    except ModuleNotFoundError as error:
        if (error.name or "metlog").startswith("metlog"):
            raise
        pytest.skip(f"{error.name} is not installed")


def is_named(name):
    return any(known == name or known.startswith(f"{name}.") for known in NAMES)


def test_what_the_package_offers_is_in_the_table():
    own = {name for name in vars(metlog.MetlogClient) if not name.startswith("_")} - OF_THE_ORIGINAL
    offered = [f"metlog.{name}" for name in metlog.__all__] + [f"client.{name}" for name in sorted(own)]
    assert [name for name in offered if not is_named(name)] == []
