"""`metlog_cef`: the method, its message and its settings."""

import json
import logging
import re

import pytest
from conftest import CONTRACT, read_messages

import metlog_cef
from metlog.client import MetlogClient
from metlog.config import client_from_dict_config, client_from_text_config
from metlog.exceptions import MetlogError
from metlog.senders import DebugCaptureSender, JsonLinesSender

CASES = json.loads((CONTRACT / "cef.json").read_text("utf-8"))
DEVICE = {"cef.version": "0", "cef.vendor": "mozilla", "cef.product": "weave", "cef.device_version": "3"}
UNSET = dict.fromkeys(["syslog_options", "syslog_facility", "syslog_ident", "syslog_priority"])


def with_cef(sender, **settings):
    client = MetlogClient(sender, "app")
    client.add_method(metlog_cef.config_plugin(settings))
    return client


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_an_event_has_the_line_of_the_contract(case, caplog):
    client = with_cef(DebugCaptureSender())
    event = dict(case["event"])
    extras = event.pop("extras", {})
    renamed = {f"extra{place}": name for place, name in enumerate(extras) if name in ("name", "severity")}
    assert not renamed
    line = client.cef(
        event.pop("name"), event.pop("severity"), case["environ"], case["config"], **event, **extras
    )
    start, found, rest = line.partition("CEF:")
    assert found + rest == case["line"]
    host = re.escape(case["host"]) if "host" in case else r"\S+"
    assert re.fullmatch(rf"[A-Z][a-z]{{2}} \d\d \d\d:\d\d:\d\d {host} ", start)
    assert [(r.name, r.levelno, r.getMessage()) for r in caplog.records] == [
        ("CEF", logging.WARNING, warning) for warning in case["warnings"]
    ]


@pytest.mark.parametrize("way", ["core", "python"])
def test_the_message_carries_the_line_and_the_meta(tmp_path, way):
    path = tmp_path / "messages.json"
    sender = JsonLinesSender(path) if way == "core" else DebugCaptureSender()
    client = with_cef(sender, syslog_options="PID, CONS,PERROR", syslog_facility="LOCAL4")
    line = client.cef(metlog_cef.AUTH_FAILURE, 5, {"REQUEST_METHOD": "GET"}, DEVICE)
    assert client.flush(10.0)
    (message,) = read_messages(path) if way == "core" else map(json.loads, sender.msgs)
    meta = {**UNSET, "syslog_options": "PID,CONS,LOG_PERROR", "syslog_facility": "LOCAL4"}
    assert (message["type"], message["severity"], message["logger"]) == ("cef", 6, "app")
    assert (message["payload"], message["fields"]) == (line, {"cef_meta": meta})
    assert client.cef.cef_meta == meta


def test_a_request_says_what_an_environment_says():
    client = with_cef(DebugCaptureSender())
    request = metlog_cef.Request("POST", "/login", "curl/8", "example.com", "192.0.2.1")
    line = client.cef("x", 1, request, DEVICE, username="jane")
    assert line.endswith(
        "cs1=curl/8 requestMethod=POST request=/login src=192.0.2.1 dhost=example.com suser=jane"
    )


def test_what_is_no_text_is_written_without_its_own_code():
    class Hostile:
        def __str__(self):
            raise AssertionError

        __repr__ = __str__

    client = with_cef(DebugCaptureSender())
    device = {**DEVICE, "cef.version": 0}
    line = client.cef(b"x", "High", {"PATH_INFO": Hostile()}, device, username=None, n=7, h=Hostile())
    assert "CEF:0|" in line
    assert "|x|High|" in line
    assert "request=<Hostile>" in line
    assert line.endswith("suser=none n=7 h=<Hostile>")


def test_a_key_that_is_missing_is_named():
    client = with_cef(DebugCaptureSender())
    with pytest.raises(KeyError, match=r"cef\.vendor is missing") as raised:
        client.cef("x", 1, {}, {name: value for name, value in DEVICE.items() if name != "cef.vendor"})
    assert isinstance(raised.value, MetlogError)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"syslog_options": "PID;CONS"}, "syslog_options has"),
        ({"syslog_facility": "LOCAL8"}, "syslog_facility has"),
        ({"syslog_priority": "ERROR"}, "syslog_priority has"),
        ({"syslog_ident": 7}, "syslog_ident is 7"),
        ({"facility": "LOCAL1"}, "Unexpected arguments: ['facility']"),
    ],
)
def test_a_wrong_setting_is_named(settings, told):
    with pytest.raises(metlog_cef.InvalidArgumentError, match=re.escape(told)) as raised:
        metlog_cef.config_plugin(settings)
    assert isinstance(raised.value, MetlogError)
    assert isinstance(raised.value, RuntimeError)


def test_configurations_reach_the_plugin():
    ini = """
    [metlog]
    sender_class = metlog.senders.DebugCaptureSender

    [metlog_plugin_security]
    provider = metlog_cef.cef_plugin:config_plugin
    syslog_ident = my app
    """
    from_ini = client_from_text_config(ini, "metlog")
    assert from_ini.cef.cef_meta == {**UNSET, "syslog_ident": "my app"}
    sender = {"class": "metlog.senders.DebugCaptureSender"}
    plugins = {"x": ("metlog_cef:config_plugin", {"override": "security"})}
    assert client_from_dict_config({"sender": sender, "plugins": plugins}).security.cef_meta == UNSET
