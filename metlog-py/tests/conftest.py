"""A client that writes to a file, and the messages in it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from metlog.client import MetlogClient
from metlog.holder import CLIENT_HOLDER
from metlog.senders import JsonLinesSender

CONTRACT = Path(__file__).parents[2] / "tests" / "contract"

KEYS = {
    "type",
    "timestamp",
    "logger",
    "severity",
    "payload",
    "fields",
    "env_version",
    "metlog_pid",
    "metlog_hostname",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "messages.json"


@pytest.fixture
def client(path: Path) -> MetlogClient:
    return MetlogClient(JsonLinesSender(path), "app")


@pytest.fixture
def sent(client: MetlogClient, path: Path) -> Callable[[], list[dict]]:
    """Give back what `client` has sent so far."""

    def read() -> list[dict]:
        assert client.flush(10.0)
        return read_messages(path)

    return read


def read_messages(path: Path) -> list[dict]:
    messages = (
        [json.loads(line) for line in path.read_text("utf-8").split("\n") if line] if path.exists() else []
    )
    assert all(set(message) == KEYS for message in messages)
    return messages


@pytest.fixture(autouse=True)
def _no_global_config():
    yield
    CLIENT_HOLDER.__init__()
