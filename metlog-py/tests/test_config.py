"""Clients from dicts and INI texts; errors name the key."""

import configparser
import io
import json

import pytest

from metlog.config import (
    _convert,
    client_from_dict_config,
    client_from_stream_config,
    client_from_text_config,
    nest_prefixes,
)
from metlog.exceptions import EnvironmentNotFoundError, MetlogError
from metlog.holder import CLIENT_HOLDER, MetlogClientHolder, get_client
from metlog.senders import DebugCaptureSender, UdpSender

CAPTURE = {"class": "metlog.senders.DebugCaptureSender"}


def plugin(config):
    def shout(self, text):
        self.metlog("shout", payload=text, fields=dict(config))

    return shout


def test_a_dict_sets_up_everything():
    config = {
        "logger": "app",
        "severity": 4,
        "disabled_timers": ["t"],
        "filters": [("metlog.filters.type_whitelist_provider", {"types": "shout"})],
        "plugins": {"label": (f"{__name__}:plugin", {"a": 1})},
        "sender": {"class": "metlog.senders.DebugCaptureSender", "mark": 7},
        "global": {"disabled_decorators": ["timeit"]},
        "unknown": object,
    }
    client = client_from_dict_config(config)
    client.shout("x")
    client.metlog("other")
    assert (client.logger, client.severity, client._disabled_timers) == ("app", 4, {"t"})
    assert (client.sender.mark, len(client.sender.msgs)) == (7, 1)
    assert CLIENT_HOLDER.global_config == {"disabled_decorators": ["timeit"]}
    assert config["sender"] == {"class": "metlog.senders.DebugCaptureSender", "mark": 7}


def test_a_client_is_set_up_anew_in_place():
    client = client_from_dict_config({"sender": CAPTURE, "global_a": 1})
    again = client_from_dict_config(
        {"sender_class": "metlog.senders.UdpSender", "sender_host": "localhost", "sender_port": 5565},
        client,
        clear_global=True,
    )
    assert again is client
    assert isinstance(client.sender, UdpSender)
    assert CLIENT_HOLDER.global_config == {}


@pytest.mark.parametrize(
    ("config", "kind", "names"),
    [
        ({}, KeyError, "class"),
        ({"sender": {"host": "x"}}, KeyError, "'class'"),
        ({"sender": 7}, ValueError, "sender is 7"),
        ({"sender": {"class": "metlog.senders.NoneSuch"}}, ImportError, "metlog.senders.NoneSuch"),
        ({"sender": {"class": "nonesuch.Sender"}}, ImportError, "nonesuch.Sender"),
        ({"sender": {"class": 7}}, ImportError, "7"),
        ({"sender": {"class": "metlog.senders.UdpSender"}}, TypeError, "sender cannot be made.*host"),
        (
            {"sender": {"class": "metlog.senders.UdpSender", "host": "a", "port": "x"}},
            ValueError,
            "port is 'x'",
        ),
        ({"sender": CAPTURE, "filters": ["x"]}, ValueError, r"filters\[0\] is 'x'"),
        ({"sender": CAPTURE, "filters": [("a:b", {})]}, ImportError, "a:b"),
        (
            {"sender": CAPTURE, "filters": [("metlog.filters.severity_max_provider", {"severity": "x"})]},
            ValueError,
            "severity is 'x', expected an integer",
        ),
        (
            {"sender": CAPTURE, "filters": [("metlog.filters.severity_max_provider", {"x": 9})]},
            TypeError,
            r"filters\[0\] cannot be made",
        ),
        (
            {
                "sender": CAPTURE,
                "filters": [("metlog.filters.type_severity_max_provider", {"types": {"a": 1}})],
            },
            ValueError,
            "types.a is 1",
        ),
        ({"sender": CAPTURE, "plugins": {"p": 7}}, ValueError, "plugins.p"),
    ],
)
def test_an_error_names_the_key(config, kind, names):
    with pytest.raises(kind, match=names) as raised:
        client_from_dict_config(config)
    assert isinstance(raised.value, MetlogError)
    assert isinstance(raised.value, ValueError)


def test_an_ini_text_sets_up_everything(monkeypatch):
    monkeypatch.setenv("LOGGER_NAME", "from the environment")
    client = client_from_text_config(
        f"""
        [metlog]
        logger = ${{LOGGER_NAME}}
        severity = 4 ; a comment
        disabled_timers =
            one
            two
        sender_class = metlog.senders.UdpSender
        sender_host = localhost
        sender_port =
            5565
            5566
        global_flag = yes
        [metlog_filter_a]
        provider = metlog.filters.type_blacklist_provider
        types = noise
        [metlog_plugin_p]
        provider = {__name__}:plugin
        override = true
        count = 3
        """,
        "metlog",
    )
    assert (client.logger, client.severity) == ("from the environment", 4)
    assert client._disabled_timers == {"one", "two"}
    assert client.sender._destinations == [("localhost", 5565)]
    assert CLIENT_HOLDER.global_config == {"flag": True}
    client.setup(DebugCaptureSender(), filters=client.filters)
    client.shout("x")
    client.metlog("noise")
    assert len(client.sender.msgs) == 1


def test_an_ini_text_is_read_as_configparser_reads_it():
    client = client_from_text_config(
        """
        [DEFAULT]
        team = sync
        [m]
        LOGGER = %(team)s-100%%
        sender_class = metlog.senders.StreamSender
        sender_args =
            metlog.senders

        [m_plugin_shout]
        provider = test_config:plugin
        override = loud
        """,
        "m",
    )
    assert client.logger == "sync-100%"
    assert client.sender.stream == "metlog.senders"
    # The provider of a plugin is given the defaults of the file too.
    client.setup(DebugCaptureSender())
    client.loud("x")
    assert json.loads(client.sender.msgs[0])["fields"] == {"team": "sync"}
    for text, error in (("[m]\nlogger = 50%\n", configparser.Error), ("[n]\n", configparser.NoSectionError)):
        with pytest.raises(error):
            client_from_text_config(text, "m")


def test_filters_of_an_ini_text_run_in_its_order():
    text = "[m]\nsender_class = metlog.senders.DebugCaptureSender\n"
    for name in ("b", "a", ""):
        text += f"[m_filter{name}]\nprovider = {__name__}:marking\nmark = {name or 'none'}\n"
    client = client_from_text_config(text, "m")
    client.metlog("x")
    assert json.loads(client.sender.msgs[0])["payload"] == "banone"


def marking(mark):
    def mark_it(msg):
        msg["payload"] += mark
        return True

    return mark_it


INI = "[m]\nsender_class = metlog.senders.DebugCaptureSender\nglobal_b = 2\n"


@pytest.mark.parametrize(
    "configure",
    [
        lambda **keywords: client_from_dict_config({"sender": CAPTURE, "global": {"b": 2}}, **keywords),
        lambda **keywords: client_from_text_config(INI, "m", **keywords),
        lambda **keywords: client_from_stream_config(io.StringIO(INI), "m", **keywords),
    ],
)
def test_global_settings_are_added_or_replaced(configure):
    CLIENT_HOLDER.global_config["a"] = 1
    configure()
    assert CLIENT_HOLDER.global_config == {"a": 1, "b": 2}
    configure(clear_global=True)
    assert CLIENT_HOLDER.global_config == {"b": 2}


def test_a_client_shows_its_configuration():
    odd = {1}
    client = client_from_dict_config({"sender": CAPTURE, "global_a": 1, "odd": odd})
    assert json.loads(client._config) == {
        "sender": CAPTURE,
        "global_a": 1,
        "global": {"a": 1},
        "odd": repr(odd),
    }


def test_the_push_sender_finds_its_endpoints_in_the_environment(monkeypatch):
    monkeypatch.setenv("METLOG_ENDPOINT", "tcp://127.0.0.1:1, tcp://127.0.0.1:2")
    client = client_from_dict_config({"sender": {"class": "metlog.senders.zmq.ZmqPushSender"}})
    assert client.sender.endpoints == ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2"]


def test_an_ini_text_without_provider_names_the_section():
    text = "[m]\nsender_class = metlog.senders.DebugCaptureSender\n[m_filter]\n"
    with pytest.raises(ValueError, match=r"\[m_filter\] has no provider"):
        client_from_text_config(text, "m")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("123", 123),
        ("-5", -5),
        ("007", 7),
        ("True", True),
        ("t", True),
        ("on", True),
        ("YES", True),
        ("false", False),
        ("f", False),
        ("off", False),
        ("no", False),
        ("N", "N"),
        ("1.5", "1.5"),
        ("127.0.0.1", "127.0.0.1"),
        ("${HERE}x", "12"),
        ("a${HERE}", "a${HERE}"),
        ("\na\n\n1\nyes", ["a", 1, True]),
        ("", ""),
    ],
)
def test_a_value_of_an_ini_text_is_converted(monkeypatch, text, value):
    monkeypatch.setenv("HERE", "12")
    converted = _convert(text)
    assert (converted, type(converted)) == (value, type(value))


def test_a_missing_variable_is_named(monkeypatch):
    monkeypatch.delenv("NOT_HERE", raising=False)
    with pytest.raises(EnvironmentNotFoundError, match="Variable not found 'NOT_HERE'") as raised:
        _convert("${NOT_HERE}")
    assert raised.value.varname == "NOT_HERE"


def test_prefixed_keys_are_copied_over_nested_ones():
    flat = {"sender": {"a": 1, "b": 2}, "sender_b": 3}
    assert nest_prefixes(flat) == {"sender": {"a": 1, "b": 3}, "sender_b": 3}
    assert flat["sender"] == {"a": 1, "b": 2}


def test_the_holder_gives_back_one_client_a_name():
    client = get_client("a")
    assert not client.is_active
    config = {"sender": CAPTURE}
    assert get_client("a", config) is client
    assert (client.is_active, client.logger, config) == (True, "a", {"sender": CAPTURE, "logger": "a"})
    assert CLIENT_HOLDER.default_client is client
    with pytest.raises(ValueError, match="logger is 'b'"):
        get_client("a", {"sender": CAPTURE, "logger": "b"})
    CLIENT_HOLDER.delete_client("a")
    assert CLIENT_HOLDER.default_client is None


def test_the_first_client_is_the_default_until_another_is_named():
    holder = MetlogClientHolder()
    holder.delete_client("nobody")
    first, second = holder.get_client("first"), holder.get_client("second")
    assert holder.default_client is first
    assert holder.global_config == {"default": "first"}
    holder.global_config.clear()
    assert holder.default_client is first
    holder.set_default_client_name("second")
    assert (holder.default_client, holder.global_config) == (second, {"default": "second"})
    holder.delete_client("second")
    assert (holder.default_client, holder.global_config) == (None, {})
