"""Acknowledged delivery, to a real sidecar that is killed meanwhile."""

import http.client
import json
import socket
import subprocess
import time
from pathlib import Path

import pytest

from metlog.client import MetlogClient
from metlog.exceptions import ConfigError
from metlog.senders.zmq import ZmqPushSender

SIDECAR = Path(__file__).parents[2] / "target" / "debug" / "metlog-sidecar"
PATIENCE = 30.0

CONFIG = """
data_dir = "{folder}/data"
[input.push]
endpoints = ["ipc://{folder}/push.sock"]
[input.link]
endpoints = ["ipc://{folder}/link.sock"]
[input.json_udp]
enabled = false
address = "127.0.0.1:0"
[input.statsd_udp]
enabled = false
address = "127.0.0.1:0"
"""


class Sidecar:
    """One that runs, with its sockets in a folder."""

    def __init__(self, folder):
        assert SIDECAR.exists(), f"{SIDECAR} is not there: `make test` builds it"
        self.folder = folder
        self._config = folder / "sidecar.toml"
        self._config.write_text(CONFIG.format(folder=folder))
        self._process = None

    def start(self):
        command = [SIDECAR, "run", "--config", self._config]
        with (self.folder / "sidecar.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(f"the sidecar answers; see {self.folder}", lambda: self.page("/stats") is not None)

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def page(self, path):
        connection = http.client.HTTPConnection("sidecar")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self.folder / "data" / "admin.sock"))
            connection.request("GET", path)
            return json.load(connection.getresponse())
        except OSError:
            return None
        finally:
            connection.close()

    def known_of(self, logger):
        """Count the messages of `logger` that it has on disk."""
        audit = self.page("/audit") or {"origins": []}
        return sum(
            figures["attempted"]
            for figures in (origin["figures"] for origin in audit["origins"] if origin["logger"] == logger)
        )


def wait_until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s until {what}"
        time.sleep(0.01)


@pytest.fixture
def sidecar(tmp_path):
    sidecar = Sidecar(tmp_path)
    yield sidecar
    sidecar.kill()


def test_a_sidecar_that_is_killed_loses_nothing(sidecar):
    client = MetlogClient(ZmqPushSender(f"ipc://{sidecar.folder}/link.sock", delivery="acked"), "app")
    sidecar.start()
    for number in range(1_000):
        client.metlog("services", fields={"number": number})
    sidecar.kill()
    for number in range(1_000):
        client.metlog("services", fields={"number": number})
    sidecar.start()
    assert client.flush(PATIENCE)
    assert sidecar.known_of("app") == 2_000
    report = client.close(PATIENCE)
    assert (report.sent, report.waiting, report.dropped) == (2_000, 0, 0)


def test_the_link_of_this_host_is_found_by_the_environment(monkeypatch):
    monkeypatch.setenv("METLOG_LINK_ENDPOINT", "tcp://127.0.0.1:1, tcp://127.0.0.1:2")
    assert ZmqPushSender(delivery="acked").endpoints == ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2"]


def test_a_wrong_delivery_is_named():
    with pytest.raises(ConfigError, match="delivery is 'safe', expected 'push' or 'acked'"):
        ZmqPushSender(delivery="safe")
