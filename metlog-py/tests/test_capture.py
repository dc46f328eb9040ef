"""What tests of applications see."""

import doctest
import threading

import metlog
import metlog.testing
from metlog.client import MetlogClient
from metlog.senders import DebugCaptureSender
from metlog.testing import capture_logs


def test_every_client_is_captured_and_nothing_leaves(client, sent):
    python = MetlogClient(DebugCaptureSender(), "python")
    counter = client.counter("n")
    counter.incr()
    with capture_logs() as messages:
        client.incr("a")
        python.info("b")
        metlog.get_client().metlog("c")
        MetlogClient(None, "new").gauge("d", 1)
        counter.incr(2)
        with metlog.timer("e"):
            pass
        metlog.gauge("g").add(2)
        metlog.gauge("g").set(5)
        client.send_exception(ValueError("f"))
        thread = threading.Thread(target=client.info, args=("thread",))
        thread.start()
        thread.join()
    client.incr("after")
    kinds = ["counter", "oldstyle", "c", "gauge", "counter", "timer", "gauge", "gauge", "sentry", "oldstyle"]
    assert [message["type"] for message in messages] == kinds
    assert messages[0]["fields"] == {"name": "a", "rate": 1.0}
    assert messages[4]["payload"] == "2"
    assert set(messages[1]) == set(messages[0])
    assert not python.sender.msgs
    client.close()
    # The handle's first count was made before, and is not lost.
    assert sorted((one["fields"]["name"], one["payload"]) for one in sent()) == [("after", "1"), ("n", "1")]
    stats = client.stats()
    assert stats.attempted == stats.accepted + sum(stats.refused.values())


def test_filters_decide_as_ever():
    client = MetlogClient(DebugCaptureSender(), filters=[lambda msg: msg["type"] != "noise"])
    with capture_logs() as messages:
        client.metlog("noise")
        client.metlog("kept")
    assert [message["type"] for message in messages] == ["kept"]


def test_the_innermost_of_two_captures_gets_the_messages(client):
    with capture_logs() as outer:
        client.info("1")
        with capture_logs() as inner:
            client.info("2")
        client.info("3")
    assert [message["payload"] for message in outer] == ["1", "3"]
    assert [message["payload"] for message in inner] == ["2"]


def test_the_example_of_the_module_does_what_it_says():
    results = doctest.testmod(metlog.testing)
    assert (results.failed, results.attempted > 0) == (0, True)


def test_pytest_finds_the_fixture(metlog_messages):
    metlog.get_client().info("x")
    assert [message["payload"] for message in metlog_messages] == ["x"]
