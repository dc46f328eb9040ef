"""What clients, handles and timers keep alive: nothing, once an application has let go of them."""

import gc
import time
import weakref

import pytest

import metlog
from metlog.client import MetlogClient
from metlog.senders import DebugCaptureSender, JsonLinesSender
from metlog.testing import capture_logs


def is_gone(reference):
    # The last message may still be on its way through the client's own thread.
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        gc.collect()
        if reference() is None:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("end", ["close", "setup"])
def test_a_client_of_a_python_sender_that_summed_goes_when_it_is_closed_or_set_up(end):
    client = MetlogClient(DebugCaptureSender(), "app")
    counter = client.counter("n")
    counter.incr()
    getattr(client, end)()
    reference = weakref.ref(client)
    del client, counter
    assert is_gone(reference)


def test_what_was_summed_arrives_before_the_client_goes():
    sender = DebugCaptureSender()
    client = MetlogClient(sender, "app")
    client.counter("n").incr(3)
    assert client.close(10.0).waiting == 0
    assert len(sender.msgs) == 1


@pytest.mark.parametrize("sender", [DebugCaptureSender, lambda: JsonLinesSender("/dev/null")])
@pytest.mark.parametrize(
    "make",
    [
        lambda client: client.counter("n"),
        lambda client: client.aggregates.gauge("n"),
        lambda client: client.aggregates.timer("n"),
        lambda client: client.timer("n"),
        lambda client: client.timer("n", fields={"client": client}),
    ],
    ids=["counter", "gauge", "timer", "block_timer", "fields"],
)
def test_a_client_that_has_its_own_handles_goes(make, sender):
    client = MetlogClient(sender(), "app")
    client.handle = make(client)
    reference = weakref.ref(client)
    del client
    assert is_gone(reference)


def test_a_timer_that_holds_itself_goes():
    timer = MetlogClient(DebugCaptureSender()).timer("n")
    timer.me = timer
    reference = weakref.ref(timer)
    del timer
    assert is_gone(reference)


def test_a_handle_of_the_default_client_keeps_none_that_a_test_captured(monkeypatch):
    counter = metlog.counter("n")
    clients = [MetlogClient(DebugCaptureSender(), "app")]
    monkeypatch.setattr("metlog._default.bound_late", lambda: clients[0])
    with capture_logs() as messages:
        counter.incr()
    assert len(messages) == 1
    reference = weakref.ref(clients.pop())
    assert is_gone(reference)
