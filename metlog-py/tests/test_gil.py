"""The interpreter's lock is not held while anything waits."""

import threading
import time

import pytest

from metlog import _metlog
from metlog.client import MetlogClient
from metlog.senders.zmq import ZmqPushSender

# Nobody listens there, so that whoever waits for it waits until the end.
NOWHERE = "ipc://@metlog-test-nobody"


@pytest.fixture
def client():
    client = MetlogClient(ZmqPushSender(NOWHERE), "app")
    yield client
    client.close(0.0)


class Ticks:
    """What another thread of Python's gets done meanwhile."""

    def __enter__(self):
        self.count, self._is_over = 0, False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over = True
        self._thread.join()

    def _run(self):
        while not self._is_over:
            self.count += 1
            time.sleep(0.005)


@pytest.mark.parametrize(
    ("name", "wait"),
    [
        ("flush", lambda client: client.flush(0.5)),
        ("close", lambda client: client.close(0.5)),
        ("set up anew", lambda client: client.setup()),
        ("close_all", lambda client: _metlog.close_all(0.5)),
    ],
)
def test_other_threads_go_on_while_one_waits(client, name, wait):
    client.incr("x")
    with Ticks() as ticks:
        before, start = ticks.count, time.monotonic()
        wait(client)
        waited, ticked = time.monotonic() - start, ticks.count - before
    # Held, the lock would let it tick once or twice.
    assert waited > 0.3, name
    assert ticked > 5, name


def test_the_first_call_waits_for_nobody(client):
    start = time.monotonic()
    client.incr("x")
    with client.timer("y"):
        pass
    # Starting a thread takes a fraction of it.
    assert time.monotonic() - start < 0.25


def test_many_threads_lose_nothing(tmp_path):
    from metlog.senders import JsonLinesSender

    client = MetlogClient(JsonLinesSender(tmp_path / "messages"), "app")

    def send():
        for _ in range(2_000):
            client.metlog("t", payload="p", fields={"a": 1})

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = client.close(20.0)
    assert (report.sent, report.waiting, report.dropped) == (8_000, 0, 0)
    assert sum(client.stats().refused.values()) == 0
