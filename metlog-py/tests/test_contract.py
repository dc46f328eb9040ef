"""The golden vectors that every language reads: tests/contract/README.md says what they mean."""

import copy
import json
import os
import re
import socket

import pytest
from conftest import CONTRACT, read_messages

from metlog.client import MetlogClient
from metlog.senders import DebugCaptureSender, JsonLinesSender

METRICS = ("counter", "gauge", "timer")


def cases(name):
    return [pytest.param(case, id=case["name"]) for case in json.loads((CONTRACT / name).read_text("utf-8"))]


def make_call(client, case):
    args = dict(case["args"])
    method = getattr(client, case["call"])
    if "elapsed_ms" in args:
        args["elapsed"] = args.pop("elapsed_ms")
    if "text" not in args:
        return method(**args)
    # A level of the original API takes nothing but its text.
    return method(args.pop("text")) if len(args) == 1 else None


def compared(message):
    """Numbers as JSON has them, and the payload of a metric as the number it holds."""
    message = json.loads(json.dumps(message))
    if message["type"] in METRICS:
        assert isinstance(message["payload"], str)
        message["payload"] = float(message["payload"])
    return message


@pytest.mark.parametrize("path_of", ["core", "python"])
@pytest.mark.parametrize("case", cases("calls.json"))
def test_a_call_sends_its_message(tmp_path, case, path_of):
    path = tmp_path / "messages.json"
    if path_of == "python" and "original" in (case["message"] or {"fields": {}})["fields"]:
        pytest.skip("a sender of the application gets what the call was given")
    sender = JsonLinesSender(path) if path_of == "core" else DebugCaptureSender()
    client = MetlogClient(sender, case["client"]["logger"], case["client"]["severity"])
    given = copy.deepcopy(case["args"])
    for _ in range(case.get("repeat", 1)):
        make_call(client, case)
    assert given == case["args"]
    assert client.flush(10.0)
    sent = read_messages(path) if path_of == "core" else [json.loads(text) for text in sender.msgs]
    if case["message"] is None:
        assert sent == []
        return
    message = sent[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", message.pop("timestamp"))
    assert message.pop("metlog_pid") == os.getpid()
    assert message.pop("metlog_hostname") == socket.gethostname()
    assert compared(message) == compared(case["message"])


@pytest.mark.parametrize("case", [case for case in cases("json.json") if "message" in case.values[0]])
def test_a_message_of_an_original_client_is_replayed(client, sent, case):
    message = case["message"]
    replayed = ("type", "logger", "severity", "payload", "fields")
    client.metlog(**{key: message[key] for key in replayed})
    (arrived,) = sent()
    assert {key: arrived[key] for key in replayed} == {key: message[key] for key in replayed}
