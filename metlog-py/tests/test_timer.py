"""Timers: blocks, functions, threads, nesting."""

import threading
import time
from unittest import mock

import pytest

from metlog.client import MetlogClient, _NoOpTimer, _Timer
from metlog.senders import DebugCaptureSender, NoSendSender


def test_a_block_is_measured_also_when_it_raises(client, sent):
    with client.timer("ok", fields={"a": 1}) as timer:
        time.sleep(0.02)
    with pytest.raises(ZeroDivisionError), client.timer("bad"):
        raise ZeroDivisionError
    ok, bad = sent()
    assert ok["type"] == "timer"
    assert ok["fields"] == {"a": 1, "name": "ok", "rate": 1.0}
    assert 15 <= int(ok["payload"]) == timer.result < 5000
    assert bad["fields"]["name"] == "bad"


def test_a_decorated_function_works_in_every_thread(client, sent):
    @client.timer("call")
    def call(n):
        """Say it."""
        return n + 1

    assert (call.__name__, call.__doc__) == ("call", "Say it.")
    results = []
    threads = [threading.Thread(target=lambda n=n: results.append(call(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [1, 2, 3, 4]
    assert len(sent()) == 4


def test_a_timer_entered_again_keeps_its_own_start(client, sent):
    timer = client.timer("outer")
    with timer:
        with timer:
            pass
        assert timer.start is not None
        time.sleep(0.02)
    inner, outer = (int(message["payload"]) for message in sent())
    assert inner < 15 <= outer


def test_timers_of_one_name_keep_their_own_fields(client, sent):
    one, two = client.timer("n", fields={"k": 1}), client.timer("n", fields={"k": 2})
    with one, two:
        pass
    assert [message["fields"]["k"] for message in sent()] == [2, 1]


@pytest.mark.parametrize("disabled", ["n", ["n", "m"], "*", {"*"}])
def test_a_disabled_timer_measures_nothing(disabled):
    client = MetlogClient(DebugCaptureSender(), "app", disabled_timers=disabled)
    timer = client.timer("n")
    assert timer.start is timer.result is None

    def function():
        return 7

    assert timer(function) is function
    with timer:
        pass
    client._disabled_timers.clear()
    with client.timer("n"):
        pass
    assert len(client.sender.msgs) == 1


def test_a_rate_is_thrown_per_block_and_per_call(client, sent):
    for _ in range(1000):
        with client.timer("block", rate=0.1):
            pass
    assert 40 < len(sent()) < 250
    call = client.timer("call", rate=0.5)(lambda: None)
    for _ in range(1000):
        call()
    calls = [message for message in sent() if message["fields"]["name"] == "call"]
    assert 350 < len(calls) < 650
    assert isinstance(client.timer("never", rate=0), _NoOpTimer)


def test_the_start_is_a_time_of_day_of_this_thread(client):
    timer = client.timer("n")
    assert timer.start is None
    with timer:
        assert abs(timer.start - time.time()) < 5
        seen = []
        thread = threading.Thread(target=lambda: seen.append((timer.start, timer.result)))
        thread.start()
        thread.join()
    assert seen == [(None, None)]


def test_a_timer_lives_with_what_tests_of_the_original_do_to_it(client, sent):
    timer = client.timer("n")
    timer.__dict__["_local"] = threading.local()
    with timer:
        pass
    del timer.__dict__["_local"]
    with timer:
        pass
    assert len(sent()) == 2


def test_calls_that_overlap_in_one_thread_keep_their_own_starts(client, sent):
    # As greenlets do. With one stack of starts the first to begin would end with the start of the second.
    greenlet = pytest.importorskip("greenlet")

    @client.timer("n")
    def call():
        hub.switch()

    hub = greenlet.getcurrent()
    first, second = greenlet.greenlet(call), greenlet.greenlet(call)
    first.switch()
    time.sleep(0.06)
    second.switch()
    first.switch()
    second.switch()
    # The first ends before the second.
    assert [int(message["payload"]) >= 60 for message in sent()] == [True, False]
    assert client.timer("n").start is None


def test_a_decorated_call_has_a_start_and_leaves_none(client, sent):
    timer = client.timer("n")
    seen = []

    @timer
    def call(depth):
        seen.append(timer.start)
        if depth:
            call(depth - 1)

    call(2)
    assert None not in seen
    assert timer.start is None
    assert len(sent()) == 3


def test_a_timer_takes_attributes_as_any_object_does(client):
    class Mine(_Timer):
        kind = "class"

    for timer in (client.timer("n"), Mine(client, "n", {})):
        timer.note = 1
        assert (timer.note, vars(timer)["note"]) == (1, 1)
        del timer.note
        assert not hasattr(timer, "note")
        with pytest.raises(AttributeError):
            timer.result = 1
        with pytest.raises(AttributeError):
            del timer.client
    timer.kind = "own"
    assert (timer.kind, Mine.kind) == ("own", "class")


def test_a_class_or_an_object_may_be_given_another_timer_send(client, sent):
    for place in (MetlogClient, client):
        with mock.patch.object(place, "timer_send") as timer_send, client.timer("n"):
            pass
        timer_send.assert_called_once_with("n", 0, logger=None, severity=None, fields=None, rate=1.0)
    with client.timer("n"):
        pass
    assert len(sent()) == 1


def test_a_timer_reports_through_the_client_it_was_given():
    client = mock.Mock()
    with _Timer(client, "n", {"logger": "l"}):
        pass
    client.timer_send.assert_called_once_with("n", 0, logger="l")


def test_what_cannot_be_called_cannot_be_timed(client):
    with pytest.raises(ValueError, match="not callable"):
        client.timer("n")(7)


def test_a_subclass_sees_what_a_timer_sends():
    class Mine(MetlogClient):
        def timer_send(self, name, elapsed, **data):
            self.seen = (name, elapsed, data)

    client = Mine(DebugCaptureSender(), "app")
    with client.timer("n", logger="l"):
        pass
    assert client.seen[0] == "n"
    assert client.seen[2] == {"logger": "l", "severity": None, "fields": None, "rate": 1.0}


class Mixin:
    """A base that nobody is told of when it is changed."""


class Mixed(Mixin, MetlogClient):
    """A client with such a base."""


class Below(MetlogClient):
    """A client with the usual ones."""


@pytest.mark.parametrize(
    ("of", "patched"),
    [
        (MetlogClient, MetlogClient),
        (Below, MetlogClient),
        (Below, Below),
        (Mixed, Mixin),
        (Mixed, MetlogClient),
    ],
)
def test_a_class_that_is_changed_after_timers_were_used_is_seen_until_it_is_changed_back(
    of, patched, monkeypatch
):
    client = of(NoSendSender())
    said = []

    def measure():
        with client.timer("n"):
            pass

    measure(), measure()
    with monkeypatch.context() as changed:
        changed.setattr(patched, "timer_send", lambda *args, **_: said.append(args), raising=False)
        measure(), measure()
        assert [name for _, name, _ in said] == ["n", "n"]
    measure()
    assert len(said) == 2


def test_a_client_that_becomes_one_of_another_class_reports_as_that_one():
    said = []

    class Other(MetlogClient):
        def timer_send(self, *args, **_):
            said.append(args)

    client = Below(NoSendSender())
    for kind in (Below, Other, Below):
        client.__class__ = kind
        with client.timer("n"):
            pass
    assert len(said) == 1


def test_a_class_that_gets_another_base_is_asked_again():
    said = []

    class Base(MetlogClient):
        pass

    class Changed(Base):
        pass

    class Loud(MetlogClient):
        def timer_send(self, *args, **_):
            said.append(args)

    client = Changed(NoSendSender())
    for base in (Base, Loud):
        Changed.__bases__ = (base,)
        with client.timer("n"):
            pass
    assert len(said) == 1
