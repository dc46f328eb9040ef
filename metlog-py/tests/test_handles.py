"""Handles of counters, gauges and timers: what is summed, where it goes, and what they survive."""

import asyncio
import json
import multiprocessing
import os
import pickle
import threading
import time

import pytest

import metlog
from metlog.client import MetlogClient
from metlog.exceptions import NotPicklableError
from metlog.holder import CLIENT_HOLDER
from metlog.senders import DebugCaptureSender, JsonLinesSender


def found(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return {(one["type"], one["fields"]["name"], one["payload"]) for one in map(json.loads, lines)}


def test_handles_sum_and_leave_once(client, path):
    counter, again = client.counter("n"), client.aggregates.counter("n")
    for _ in range(10):
        counter.incr()
        again.incr(2)
    counter.incr(0.5)
    client.aggregates.gauge("g").set(3)
    gauge = client.aggregates.gauge("h")
    gauge.add(2)
    gauge.add(-0.5)
    client.close()
    assert found(path) == {("counter", "n", "30.5"), ("gauge", "g", "3.0"), ("gauge", "h", "1.5")}
    assert repr(counter) == 'counter("n")'
    assert (counter.name, gauge.name) == ("n", "h")


def test_a_handle_may_be_made_before_the_client_is_configured(path):
    CLIENT_HOLDER.__init__()
    counter = metlog.counter("early")
    client = metlog.configure(sender=JsonLinesSender(path))
    counter.incr()
    client.close()
    assert found(path) == {("counter", "early", "1")}


def test_a_handle_follows_its_client_to_another_sender(client, path, tmp_path):
    counter = client.counter("n")
    counter.incr()
    client.setup(JsonLinesSender(tmp_path / "second.json"))
    counter.incr(2)
    client.close()
    assert found(path) == {("counter", "n", "1")}
    assert found(tmp_path / "second.json") == {("counter", "n", "2")}


def test_sums_of_a_python_sender_pass_its_filters_and_its_books():
    seen = []
    client = MetlogClient(DebugCaptureSender(), "app", filters=[lambda msg: seen.append(msg["type"]) or True])
    client.counter("n").incr(4)
    client.aggregates.timer("t").record(12.5)
    client.close()
    messages = [json.loads(text) for text in client.sender.msgs]
    assert [(one["type"], one["fields"]["name"]) for one in messages] == [
        ("counter", "n"),
        ("timer_sketch", "t"),
    ]
    assert (messages[0]["payload"], messages[1]["fields"]["count"]) == ("4", 1)
    assert seen == ["counter", "timer_sketch"]
    stats = client.stats()
    assert (stats.attempted, stats.sent, stats.waiting) == (2, 2, 0)


def test_sums_pass_a_send_message_of_the_application(path):
    class Mine(MetlogClient):
        def send_message(self, msg):
            self.seen = msg
            super().send_message(msg)

    client = Mine(JsonLinesSender(path), "app")
    client.counter("n").incr()
    client.close()
    assert client.seen["type"] == "counter"
    assert found(path) == {("counter", "n", "1")}


def test_sums_of_a_python_sender_leave_at_the_end_of_the_process(tmp_path):
    def child(path):
        from metlog.senders import FileSender

        client = MetlogClient(FileSender(path), "app")
        client.counter("n").incr(7)

    path = tmp_path / "sums.json"
    process = multiprocessing.get_context("fork").Process(target=child, args=(path,))
    process.start()
    process.join(20)
    assert json.loads(path.read_text())["payload"] == "7"


def test_a_fork_counts_for_itself(client, path):
    counter = client.counter("n")
    counter.incr(5)
    child = os.fork()
    if child == 0:
        counter.incr(2)
        client.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    client.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {(one["metlog_pid"], one["payload"]) for one in lines} == {(child, "2"), (os.getpid(), "5")}


def test_many_threads_lose_nothing(client, path):
    counter = client.counter("n")
    threads = [threading.Thread(target=lambda: [counter.incr() for _ in range(10_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    assert found(path) == {("counter", "n", "40000")}


@pytest.mark.parametrize("make", [metlog.counter, metlog.gauge, metlog.timer])
def test_a_handle_of_the_default_client_is_pickled_as_its_name(make):
    metlog.configure(sender=DebugCaptureSender())
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(make("n"), protocol))
        assert (type(copy), copy.name) == (type(make("n")), "n")
    assert pickle.loads(pickle.dumps(metlog.get_client().counter("n"))).name == "n"


def test_a_handle_of_another_client_says_why_it_is_not_pickled(client):
    metlog.configure(sender=DebugCaptureSender())
    with pytest.raises(NotPicklableError, match='counter\\("n"\\) is of a client that is not the default'):
        pickle.dumps(client.counter("n"))


def test_what_is_no_number_is_refused_and_counted(client):
    for call in (
        client.counter("n").incr,
        client.aggregates.gauge("g").set,
        client.aggregates.gauge("g").add,
        client.aggregates.timer("t").record,
    ):
        call(object())
        call("many")
    assert client.stats().refused["encode"] == 8


def sketch(path, name):
    lines = [json.loads(line)["fields"] for line in path.read_text().splitlines()]
    return next(fields for fields in lines if fields["name"] == name)


def test_a_timer_measures_blocks_calls_and_given_times(client, path):
    timer = client.aggregates.timer("t")
    with timer:
        with timer:
            pass
        time.sleep(0.02)
    with pytest.raises(ZeroDivisionError), timer:
        raise ZeroDivisionError
    timer.record(1500)

    @timer
    def call(number):
        """Say it."""
        return number + 1

    assert (call(1), call.__doc__) == (2, "Say it.")
    client.close()
    fields = sketch(path, "t")
    assert fields["count"] == 5
    assert 1520 < fields["sum"] < 1700
    assert fields["max"] == 1500


def test_tasks_of_one_thread_have_measurements_of_their_own(client, path):
    timer = client.aggregates.timer("t")

    async def work(seconds):
        async with timer:
            await asyncio.sleep(seconds)

    async def both():
        await asyncio.gather(work(0.02), work(0.06))

    asyncio.run(both())
    client.close()
    fields = sketch(path, "t")
    assert fields["count"] == 2
    # With one start for both, the one that ends first would take the start of the other.
    assert 18 < fields["min"] < 50 < fields["max"]


def test_a_timer_that_is_switched_off_measures_nothing(path):
    client = metlog.configure(sender=JsonLinesSender(path), disabled_timers=["off"])
    with metlog.timer("off"), metlog.timer("on"):
        pass
    client.close()
    assert [json.loads(line)["fields"]["name"] for line in path.read_text().splitlines()] == ["on"]


def test_setting_up_while_threads_count_loses_nothing(tmp_path):
    class Adding:
        total = 0

        def send_message(self, msg):
            self.total += int(msg["payload"])

    adding, counted, ended = Adding(), [0] * 3, threading.Event()
    client = MetlogClient(adding, "app")
    counter = client.counter("n")

    def count(place):
        while not ended.is_set():
            counter.incr()
            counted[place] += 1

    threads = [threading.Thread(target=count, args=(place,)) for place in range(len(counted))]
    for thread in threads:
        thread.start()
    for turn in range(20):
        client.setup(adding if turn % 2 else JsonLinesSender(tmp_path / "sums.json"))
    ended.set()
    for thread in threads:
        thread.join()
    client.close()
    to_file = sum(
        int(json.loads(line)["payload"]) for line in (tmp_path / "sums.json").read_text().splitlines()
    )
    assert adding.total + to_file == sum(counted)
