"""The sender that asks whether a receiver is there, against the sockets of an old router."""

import contextlib
import json
import threading
import time

import pytest
import zmq

from metlog.client import MetlogClient
from metlog.senders.zmq import ZmqHandshakePubSender


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


def bound(socket, port):
    """Bind to `port`, or for 0 to a free one that no client which tries to connect is given itself."""
    if port == 0:
        return socket.bind_to_random_port("tcp://127.0.0.1", min_port=20_000, max_port=30_000)
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.bind(f"tcp://127.0.0.1:{port}")
        except zmq.ZMQError:
            # ZeroMQ closes what was bound to it before in its own time.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return port


class Router:
    """Answers each empty frame by one, and keeps what it hears."""

    def __init__(self, context, ports=(0, 0)):
        self.rep, self.sub = context.socket(zmq.REP), context.socket(zmq.SUB)
        self.sub.setsockopt(zmq.SUBSCRIBE, b"")
        self.ports = [bound(one, port) for one, port in zip((self.rep, self.sub), ports, strict=True)]
        self.asked, self.heard = [], []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        poller = zmq.Poller()
        poller.register(self.rep, zmq.POLLIN)
        poller.register(self.sub, zmq.POLLIN)
        while not self.ended.is_set():
            for ready, _ in poller.poll(50):
                if ready is self.rep:
                    self.asked.append(self.rep.recv())
                    self.rep.send(b"")
                else:
                    self.heard.append(json.loads(self.sub.recv()))
        self.rep.close(0)
        self.sub.close(0)

    def end(self):
        self.ended.set()
        self.thread.join()


@contextlib.contextmanager
def router(context, ports=(0, 0)):
    made = Router(context, ports)
    try:
        yield made
    finally:
        made.end()


def connected(ports, timeout=60_000, **settings):
    asked, endpoint = (f"tcp://127.0.0.1:{port}" for port in ports)
    return MetlogClient(ZmqHandshakePubSender(asked, endpoint, timeout, **settings), "app")


def free_ports(context):
    with router(context) as gone:
        return gone.ports


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_no_message_is_lost_to_a_receiver_that_answers(context):
    with router(context) as there:
        client = connected(there.ports)
        for n in range(100):
            client.metlog("services", payload=n)
        wait_for(lambda: len(there.heard) == 100)
        assert [message["payload"] for message in there.heard] == list(range(100))
        assert there.asked == [b""]
        report = client.close(10.0)
    assert (report.sent, report.dropped) == (100, 0)


def test_messages_wait_for_the_answer_and_no_call_does(context):
    ports = free_ports(context)
    client = connected(ports)
    began = time.monotonic()
    for n in range(100):
        client.metlog("services", payload=n)
    assert time.monotonic() - began < 5
    with router(context, ports) as late:
        wait_for(lambda: len(late.heard) == 100)
    client.close(0.0)


def test_without_an_answer_messages_go_to_standard_error(context, capsys):
    client = connected(free_ports(context), timeout=50)
    client.metlog("services", payload="x")
    client.incr("n")
    client.close(10.0)
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["services", "counter"]
    assert client.stats().dropped == {"send": 2}


def test_a_receiver_that_comes_and_goes_is_noticed(context, capsys):
    ports = free_ports(context)
    client = connected(ports, timeout=200, livecheck=0.05)
    client.metlog("early")
    assert client.flush(10.0)
    assert json.loads(capsys.readouterr().err)["type"] == "early"

    def told(condition):
        client.metlog("services")
        return condition()

    with router(context, ports) as back:
        wait_for(lambda: told(lambda: back.heard))
        capsys.readouterr()
    wait_for(lambda: told(lambda: "services" in capsys.readouterr().err))
    client.close(0.0)


def test_messages_can_be_watched_on_standard_error(context, capsys):
    with router(context) as there:
        client = connected(there.ports, debug_stderr=True)
        client.metlog("services")
        assert json.loads(capsys.readouterr().err)["type"] == "services"
        wait_for(lambda: there.heard)
        client.close(10.0)


def test_an_endpoint_that_is_none_drops_and_says_so(capfd):
    client = MetlogClient(ZmqHandshakePubSender("nonsense", "tcp://127.0.0.1:9", 50), "app")
    client.metlog("services")
    assert client.close(10.0).dropped == 1
    assert "nonsense" in capfd.readouterr().err
