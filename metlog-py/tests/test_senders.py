"""Where messages go."""

import datetime
import io
import json
import socket
import time
from unittest import mock

import pytest
import zmq
from conftest import KEYS

from metlog.client import MetlogClient
from metlog.exceptions import ConfigError
from metlog.filters import severity_max_provider, type_blacklist_provider
from metlog.senders import (
    DebugCaptureSender,
    FileSender,
    JsonLinesSender,
    NoSendSender,
    StdOutSender,
    StreamSender,
    UdpSender,
)
from metlog.senders.base import dumps
from metlog.senders.zmq import ZmqPubSender, ZmqPushSender


class Failing:
    def __init__(self, error):
        self.error = error

    def send_message(self, msg):
        raise self.error


@pytest.fixture
def receivers():
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
        one.settimeout(10)
    yield sockets
    for one in sockets:
        one.close()


def test_udp_sends_one_json_message_a_datagram_to_every_destination(receivers):
    ports = [str(one.getsockname()[1]) for one in receivers]
    client = MetlogClient(UdpSender(["127.0.0.1", "localhost"], ports), "app")
    client.metlog("services", payload="x")
    for one in receivers:
        datagram = one.recv(65536)
        assert not datagram.endswith(b"\n")
        assert set(json.loads(datagram)) == KEYS


def test_udp_ports_repeat_the_last_and_the_callers_lists_stay():
    hosts, ports = ["a", "b", "c"], [1, 2]
    assert UdpSender(hosts, ports)._destinations == [("a", 1), ("b", 2), ("c", 2)]
    assert UdpSender("a", "5566")._destinations == [("a", 5566)]
    assert UdpSender("a", [1, 2])._destinations == [("a", 1)]
    assert (hosts, ports) == (["a", "b", "c"], [1, 2])
    for port in ("x", 0, 65536, None):
        with pytest.raises(ConfigError, match="port is"):
            UdpSender("a", [port])


def test_captured_messages_are_there_at_once():
    client = MetlogClient(DebugCaptureSender(mark=7), "app")
    for n in range(120):
        client.metlog("a", payload=n)
    assert client.sender.mark == 7
    assert [json.loads(text)["payload"] for text in client.sender.msgs] == list(range(20, 120))
    assert client.stats().sent == 120


def test_streams_get_indented_json_or_what_the_formatter_makes(tmp_path, capsys):
    stream = io.StringIO()
    MetlogClient(StreamSender(stream), "app").metlog("a")
    assert json.loads(stream.getvalue())["type"] == "a"
    assert '\n    "logger": "app"' in stream.getvalue()
    MetlogClient(StdOutSender(formatter=lambda msg: msg["type"]), "app").metlog("b")
    assert capsys.readouterr().out == "b\n"
    path = tmp_path / "out"
    for text in ("c", "d"):
        MetlogClient(FileSender(path, formatter="json.dumps"), "app").metlog(text)
    assert [json.loads(line)["type"] for line in path.read_text().splitlines()] == ["c", "d"]


def test_a_stream_gets_one_write_and_one_flush_for_each_message():
    stream = mock.Mock()
    MetlogClient(StreamSender(stream, formatter=lambda msg: msg["type"]), "app").metlog("a")
    assert stream.mock_calls == [mock.call.write("a\n"), mock.call.flush()]


def test_a_captured_message_keeps_its_columns_whatever_they_hold():
    client = MetlogClient(DebugCaptureSender(), "app")
    client.metlog("a", severity=99, payload=float("nan"), fields={"b": b"x", "o": object(), (1,): "é"})
    (text,) = client.sender.msgs
    assert '"payload": null, "fields": {"b": "x", "o": "<object>", "<tuple>": "\\u00e9"}' in text
    assert json.loads(text)["severity"] == 99


def test_a_value_that_json_does_not_have_costs_no_client():
    # A client and a thread for each of them took 0.6 s.
    started = time.process_time()
    for _ in range(1000):
        dumps({"at": datetime.date(2012, 3, 30)})
    assert time.process_time() - started < 0.4
    assert dumps({"at": datetime.date(2012, 3, 30), "n": [1, {2}]}) == '{"at": "2012-03-30", "n": [1, [2]]}'


def test_what_is_too_big_as_json_says_so():
    with pytest.raises(ValueError, match="too big"):
        dumps({"a": {1}, "b": "x" * 2_000_000})


def test_a_message_too_big_for_a_datagram_is_dropped_alone(receivers):
    port = receivers[0].getsockname()[1]
    client = MetlogClient(UdpSender("127.0.0.1", port), "app")
    client.metlog("big", payload="x" * 65_507)
    client.metlog("small")
    assert json.loads(receivers[0].recv(65536))["type"] == "small"
    assert client.close(10.0).dropped == 1


def test_published_messages_can_be_watched_on_standard_error(capsys):
    client = MetlogClient(ZmqPubSender("tcp://127.0.0.1:9", debug_stderr=True), "app")
    client.metlog("a")
    assert json.loads(capsys.readouterr().err)["type"] == "a"
    client.close(10.0)


def test_the_sender_of_no_sender_raises():
    with pytest.raises(NotImplementedError):
        NoSendSender().send_message({})


def test_a_sender_of_the_application_gets_a_dict_in_the_calling_thread():
    got = []
    client = MetlogClient(type("Mine", (), {"send_message": staticmethod(got.append)})(), "app")
    client.incr("n", fields={"a": object})
    assert got[0].keys() == KEYS
    assert got[0]["fields"] == {"a": object, "name": "n", "rate": 1.0}


def test_a_sender_that_raises_is_counted_and_said_once(capsys):
    client = MetlogClient(Failing(OSError("gone\naway")), "app")
    for _ in range(3):
        client.metlog("a")
    assert client.stats().refused == {"send": 3}
    err = capsys.readouterr().err
    assert err.startswith("Error sending message (OSError('gone")
    assert err.count("\n") == 1
    with pytest.raises(KeyboardInterrupt):
        MetlogClient(Failing(KeyboardInterrupt()), "app").metlog("a")


def test_without_a_sender_everything_is_counted():
    client = MetlogClient(None, "app")
    assert not client.is_active
    client.metlog("a")
    assert client.stats().refused == {"send": 1}
    client.setup(DebugCaptureSender())
    assert client.is_active
    client.setup()
    assert isinstance(client.sender, NoSendSender)


def test_setup_leaves_nothing_behind_at_the_sender_before(tmp_path):
    client = MetlogClient(JsonLinesSender(tmp_path / "one"), "app")
    for n in range(3):
        client.metlog("a", payload=n)
    client.setup(JsonLinesSender(tmp_path / "two"))
    client.metlog("b")
    client.flush(10.0)
    lines = [len((tmp_path / name).read_text().splitlines()) for name in ("one", "two")]
    assert lines == [3, 1]


@pytest.mark.parametrize("sender", ["core", "python"])
def test_filters_of_both_kinds_run_in_order(path, sender):
    made = JsonLinesSender(path) if sender == "core" else DebugCaptureSender()
    seen = []

    def mine(msg):
        seen.append(msg["type"])
        msg["payload"] = "changed"
        return True

    client = MetlogClient(made, "app", filters=[type_blacklist_provider("noise"), mine])
    client.filters.append(severity_max_provider(5))
    client.metlog("noise", severity=1)
    client.metlog("kept", severity=5, fields={"a": [1]})
    client.metlog("late", severity=6)
    client.flush(10.0)
    texts = path.read_text().splitlines() if sender == "core" else made.msgs
    (message,) = [json.loads(text) for text in texts]
    assert (message["type"], message["payload"], message["fields"]) == ("kept", "changed", {"a": [1]})
    assert seen == ["kept", "late"]
    assert client.stats().refused == {"filtered": 2}


def test_a_filter_that_raises_drops_its_message_alone(client, sent):
    client.filters = [lambda msg: msg["payload"] / 1]
    client.metlog("a", payload="x")
    client.metlog("a", payload=2)
    assert [message["payload"] for message in sent()] == [2]
    assert client.stats().refused == {"filter_error": 1}


def test_an_overridden_send_message_sees_every_message(path):
    class Mine(MetlogClient):
        def send_message(self, msg):
            msg["fields"]["seen"] = True
            super().send_message(msg)

    client = Mine(JsonLinesSender(path), "app")
    client.incr("n")
    client.flush(10.0)
    assert json.loads(path.read_text())["fields"]["seen"] is True


def test_push_reaches_a_pull_socket_and_pub_a_subscriber():
    context = zmq.Context()
    pull, sub = context.socket(zmq.PULL), context.socket(zmq.SUB)
    sub.setsockopt(zmq.SUBSCRIBE, b"")
    ports = [one.bind_to_random_port("tcp://127.0.0.1") for one in (pull, sub)]
    pushing = MetlogClient(ZmqPushSender(f"tcp://127.0.0.1:{ports[0]}"), "app")
    pushing.metlog("services")
    assert pull.poll(10_000)
    assert b"services" in pull.recv()
    publishing = MetlogClient(ZmqPubSender([f"tcp://127.0.0.1:{ports[1]}"], pool_size=4), "app")
    # Nobody hears a publisher before the subscription has reached it: said until heard.
    for _ in range(100):
        publishing.metlog("services")
        if sub.poll(100):
            break
    assert set(json.loads(sub.recv())) == KEYS
    for client in (pushing, publishing):
        client.close(2.0)
    context.destroy(linger=0)
