"""Acknowledged delivery, to a real sidecar that is killed meanwhile."""

import pytest
from sidecar import PATIENCE, Sidecar

from metlog.client import MetlogClient
from metlog.exceptions import ConfigError
from metlog.senders.zmq import ZmqPushSender


@pytest.fixture
def sidecar(tmp_path):
    sidecar = Sidecar(tmp_path)
    yield sidecar
    sidecar.kill()


def test_a_sidecar_that_is_killed_loses_nothing(sidecar):
    client = MetlogClient(ZmqPushSender(sidecar.link_endpoint, delivery="acked"), "app")
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
