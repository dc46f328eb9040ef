"""The clients that publish, heard by a real sidecar in place of the originals' router."""

import socket

import pytest
from sidecar import Sidecar, wait_until

from metlog.client import MetlogClient
from metlog.senders.zmq import ZmqHandshakePubSender, ZmqPubSender

SUB = """
[input.sub]
bind = ["tcp://127.0.0.1:{sub}"]
handshake = "tcp://127.0.0.1:{handshake}"
"""


@pytest.fixture
def receiver(tmp_path):
    """Give back a sidecar, and the endpoints for publishing and for asking."""
    ports = free_ports(2)
    sidecar = Sidecar(tmp_path, SUB.format(sub=ports[0], handshake=ports[1]))
    sidecar.start()
    yield sidecar, *(f"tcp://127.0.0.1:{port}" for port in ports)
    sidecar.kill()


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


def received(sidecar):
    return sidecar.known_of("metlog.input.sub")


def test_a_publisher_is_heard(receiver):
    sidecar, publish, _ = receiver
    client = MetlogClient(ZmqPubSender(publish), "app")

    # What is published before the subscription is known is lost, as it always was.
    def heard():
        client.incr("clicks")
        return received(sidecar) > 0

    wait_until("the first message arrives", heard)
    before = received(sidecar)
    for _ in range(100):
        client.metlog("services", fields={"path": "/bookmarks"})
    client.close(5)
    wait_until("all arrive", lambda: received(sidecar) >= before + 100)


def test_a_publisher_that_asks_first_loses_nothing(receiver):
    sidecar, publish, ask = receiver
    client = MetlogClient(ZmqHandshakePubSender(ask, publish, 20_000), "app")
    for number in range(500):
        client.metlog("services", fields={"number": number})
    wait_until("all arrive", lambda: received(sidecar) == 500)
    client.close(5)
