"""Every call of a client, and what it sends."""

import decimal
import json
import os
import re
import socket
import sys
from unittest import mock

import pytest

from metlog.client import SEVERITY, MetlogClient
from metlog.senders import DebugCaptureSender

LEVELS = [
    ("emergency", 0),
    ("alert", 1),
    ("critical", 2),
    ("error", 3),
    ("warn", 4),
    ("warning", 4),
    ("notice", 5),
    ("info", 6),
    ("debug", 7),
]


def test_a_message_has_exactly_the_nine_keys(client, sent):
    client.metlog("services", logger="mine", severity=3, payload="text", fields={"userid": 25})
    (message,) = sent()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", message.pop("timestamp"))
    assert message == {
        "type": "services",
        "logger": "mine",
        "severity": 3,
        "payload": "text",
        "fields": {"userid": 25},
        "env_version": "0.8",
        "metlog_pid": os.getpid(),
        "metlog_hostname": socket.gethostname(),
    }


def test_arguments_have_the_order_of_the_originals(client, sent):
    client.metlog("a", "log", 1, "payload", {"f": 1})
    client.incr("name", 2, "log", 1, {"f": 1}, 1.0)
    client.gauge("name", 2, "log", 1, {"f": 1}, 1.0)
    client.timer_send("name", 2, "log", 1, {"f": 1}, 1.0)
    for message in sent():
        assert (message["logger"], message["severity"], message["fields"]["f"]) == ("log", 1, 1)
    assert [message["payload"] for message in sent()] == ["payload", "2", "2", "2"]


@pytest.mark.parametrize(("level", "severity"), LEVELS)
def test_a_level_has_its_severity(client, sent, level, severity):
    getattr(client, level)("text")
    (message,) = sent()
    assert (message["type"], message["severity"], message["payload"]) == ("oldstyle", severity, "text")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("100%",), "100%"),
        (("%s of %d", "one", 2), "one of 2"),
        (("%(name)s", {"name": "x"}), "x"),
        (("%s", {}), "{}"),
        (("%s", (1, 2)), None),
    ],
)
def test_texts_are_formatted_only_when_there_are_arguments(client, sent, args, text):
    client.info(*args)
    assert sent()[0]["payload"] == (str(args[1]) if text is None else text)


def test_a_text_that_cannot_be_formatted_is_counted(client, sent):
    client.info("%d", "x")
    client.info("%s %s", "x")
    assert sent() == []
    assert client.stats().refused == {"encode": 2}


def test_exception_appends_the_traceback_and_formats(client, sent):
    try:
        raise KeyError("k")
    except KeyError as error:
        client.exception("bad %s", 3)
        client.exception("once", sys.exc_info())
        client.error("twice", exc_info=error)
        client.info("without", exc_info=False)
    client.exception("alone")
    first, second, third, fourth, fifth = sent()
    for message, text in [(first, "bad 3"), (second, "once"), (third, "twice")]:
        assert message["payload"].startswith(f"{text}\nTraceback (most recent call last):\n")
        assert message["payload"].endswith("KeyError: 'k'")
    assert first["severity"] == SEVERITY.ALERT
    assert (fourth["payload"], fifth["payload"]) == ("without", "alone")


@pytest.mark.parametrize(
    ("text", "given", "lines"),
    [
        ("a", None, 1),
        ("a", False, 1),
        ("a", True, 5),
        ("100%", True, 5),
        ("a", ValueError("x"), 2),
        ("a %s", ValueError("x"), 5),
        ("a %s", None, 5),
    ],
)
def test_what_follows_the_text_of_an_exception_is_formatted_or_says_which(client, sent, text, given, lines):
    try:
        raise KeyError("k")
    except KeyError:
        client.exception(text, given)
    assert len(sent()[0]["payload"].splitlines()) == lines


@pytest.mark.parametrize("severity", [99, "x", None])
def test_a_python_sender_gets_any_severity(severity):
    client = MetlogClient(DebugCaptureSender(), "app")
    client.metlog("a", severity=severity, payload=b"not JSON")
    message = json.loads(client.sender.msgs[0])
    assert message["severity"] == (6 if severity is None else severity)


def test_a_host_and_a_process_can_be_set(client, sent):
    assert (client.pid, client.hostname) == (os.getpid(), socket.gethostname())
    client.pid, client.hostname = 77, "elsewhere"
    client.incr("n")
    (message,) = sent()
    assert (message["metlog_pid"], message["metlog_hostname"]) == (77, "elsewhere")


def test_a_version_of_the_envelope_can_be_set():
    class Mine(MetlogClient):
        env_version = "0.9"

    client = Mine(DebugCaptureSender(), "app")
    client.metlog("a")
    assert json.loads(client.sender.msgs[0])["env_version"] == "0.9"


def test_send_message_can_be_replaced_on_a_client(client, sent):
    with mock.patch.object(client, "send_message") as replaced:
        client.incr("seen")
    client.incr("sent")
    assert replaced.call_args.args[0]["fields"]["name"] == "seen"
    assert [message["fields"]["name"] for message in sent()] == ["sent"]


def test_the_callers_fields_are_never_written_to(client, sent):
    fields = {"a": 1}
    client.incr("n", fields=fields)
    client.timer_send("t", 1, fields=fields)
    with client.timer("t", fields=fields):
        pass
    assert len(sent()) == 3
    assert fields == {"a": 1}


def test_rates_are_enforced_for_counters_and_not_for_times_already_taken(client, sent):
    for _ in range(100):
        client.incr("never", rate=0)
        client.timer_send("always", 1, rate=0.0)
    assert [message["fields"]["name"] for message in sent()] == ["always"] * 100
    assert sent()[0]["fields"]["rate"] == 0.0


@pytest.mark.parametrize("severity", [99, -1, "x", 2**100])
def test_a_severity_that_is_none_is_kept_beside_the_clients(client, sent, severity):
    client.severity = 4
    client.metlog("a", severity=severity)
    (message,) = sent()
    assert message["severity"] == 4
    assert message["fields"] == {"original": {"severity": severity}}


def test_defaults_change_without_a_new_setup(client, sent):
    client.logger, client.severity = "other", 2
    client.metlog("a")
    client.metlog("b", logger="")
    assert [(message["logger"], message["severity"]) for message in sent()] == [("other", 2), ("", 2)]


def test_both_paths_send_the_same(client, sent):
    captured = MetlogClient(DebugCaptureSender(), "app")
    for one in (client, captured):
        one.metlog("a", payload=None, fields={"x": [1, {"y": None}]})
        one.incr("n", 2.5, fields={"k": "v"})
        one.gauge("g", 7)
        one.timer_send("t", 12.6)
        one.warn("%s!", "text")
    core, python = sent(), [json.loads(text) for text in captured.sender.msgs]
    for message in core + python:
        del message["timestamp"]
    assert core == python


def test_after_close_calls_are_refused_and_counted(client):
    client.incr("a")
    report = client.close(10.0)
    client.incr("b")
    assert (report.sent, report.waiting, report.dropped) == (1, 0, 0)
    assert client.stats().refused == {"closed": 1}


def test_a_method_is_added_under_its_name(client, sent):
    def shout(self, text):
        self.metlog("shout", payload=text.upper())

    client.add_method(shout)
    client.shout("hey")
    assert sent()[0]["payload"] == "HEY"
    with pytest.raises(SyntaxError, match=r"The name \[shout\] is already in use"):
        client.add_method(shout)
    client.add_method(shout, override="incr")
    client.incr("x")
    assert sent()[1]["payload"] == "X"
    shout.metlog_name = "loud"
    client.add_method(shout)
    client.add_method(shout, override=True)
    assert set(client._dynamic_methods) == {"shout", "incr", "loud"}
    for thing in (str.upper, print, client.info, MetlogClient, "shout", None):
        with pytest.raises(AssertionError):
            client.add_method(thing)


def test_methods_stay_when_a_client_is_set_up_anew(client):
    client.add_method(lambda self: 7, override="seven")
    client.filters.append(lambda msg: False)
    client.setup(DebugCaptureSender(), disabled_timers="t")
    assert client.seven() == 7
    assert (client.logger, client.severity, client.filters) == ("", 6, [])
    assert client._disabled_timers == {"t"}


@pytest.mark.parametrize("count", [1e16, 1e-7, True, decimal.Decimal("1.50"), 10**30, "abc", -3, 2.5])
def test_a_count_is_for_a_python_sender_what_str_makes_of_it(count):
    client = MetlogClient(DebugCaptureSender(), "app")
    client.incr("n", count)
    client.incr("n", count, fields={"k": 1}, rate=1)
    client.gauge("g", count)
    assert [json.loads(text)["payload"] for text in client.sender.msgs] == [str(count)] * 3
    assert client.stats().refused == {}


def test_a_time_that_is_no_number_is_refused_and_counted():
    client = MetlogClient(DebugCaptureSender(), "app")
    client.timer_send("t", "soon")
    assert (len(client.sender.msgs), client.stats().refused) == (0, {"encode": 1})
