"""The names, signatures and attributes that applications of the originals use."""

import configparser
import inspect
import subprocess
import sys

import pytest

from metlog import client, config, decorators, exceptions, filters, holder, path, senders
from metlog import logging as metlog_logging
from metlog.client import MetlogClient
from metlog.decorators import base, util
from metlog.senders import DebugCaptureSender, logging, zmq

NAMES = [
    (client, "SEVERITY MetlogClient _NoOpTimer _Timer"),
    (
        config,
        "_convert client_from_dict_config client_from_stream_config client_from_text_config "
        "dict_from_stream_config nest_prefixes",
    ),
    (decorators, "incr_count timeit"),
    (base, "MetlogDecorator"),
    (util, "return_fq_name"),
    (exceptions, "EnvironmentNotFoundError MethodNotFoundError"),
    (
        filters,
        "severity_max_provider type_blacklist_provider type_severity_max_provider type_whitelist_provider",
    ),
    (holder, "CLIENT_HOLDER MetlogClientHolder get_client"),
    (metlog_logging, "MetlogHandler hook_logger"),
    (
        path,
        "CALLER_PACKAGE DottedNameResolver Resolver caller_module caller_package caller_path package_name "
        "package_of package_path resolve_name",
    ),
    (senders, "DebugCaptureSender FileSender NoSendSender StdOutSender StreamSender UdpSender"),
    (logging, "StdLibLoggingSender logging"),
    (zmq, "ZmqHandshakePubSender ZmqPubSender ZmqPushSender"),
]

SIGNATURES = [
    (MetlogClient.setup, "(self, sender=None, logger='', severity=6, disabled_timers=None, filters=None)"),
    (MetlogClient.metlog, "(self, type, logger=None, severity=None, payload='', fields=None)"),
    (MetlogClient.timer, "(self, name, logger=None, severity=None, fields=None, rate=1.0)"),
    (
        MetlogClient.timer_send,
        "(self, name, elapsed, logger=None, severity=None, fields=None, rate=1.0)",
    ),
    (MetlogClient.incr, "(self, name, count=1, logger=None, severity=None, fields=None, rate=1.0)"),
    (MetlogClient.add_method, "(self, method, override=False)"),
    (MetlogClient.send_message, "(self, msg)"),
    (client._Timer, "(client, name, msg_data)"),
    (config.client_from_dict_config, "(config, client=None, clear_global=False)"),
    (config.client_from_stream_config, "(stream, section, client=None, clear_global=False)"),
    (config.client_from_text_config, "(text, section, client=None, clear_global=False)"),
    (config.dict_from_stream_config, "(stream, section)"),
    (config.nest_prefixes, "(config_dict, prefixes=None, separator='_')"),
    (filters.severity_max_provider, "(severity)"),
    (filters.type_blacklist_provider, "(types)"),
    (holder.get_client, "(name, config_dict=None)"),
    (metlog_logging.MetlogHandler, "(client=None, attributes=None)"),
    (metlog_logging.hook_logger, "(logger_name, client)"),
    (senders.StreamSender, "(stream, formatter=None)"),
    (senders.StdOutSender, "(formatter=None)"),
    (senders.FileSender, "(filepath, formatter=None)"),
    (senders.UdpSender, "(host, port)"),
    (logging.StdLibLoggingSender, "(logger_name=None, payload_types=None, json_types=None)"),
    (
        zmq.ZmqPubSender,
        "(bindstrs, pool_size=10, queue_length=1000, livecheck=10, debug_stderr=False)",
    ),
    (
        zmq.ZmqHandshakePubSender,
        "(handshake_bind, connect_bind, handshake_timeout, pool_size=10, hwm=200, livecheck=10, "
        "debug_stderr=False)",
    ),
]

# What takes long to import, and is not needed before it is used.
SLOW = {
    "collections",
    "configparser",
    "datetime",
    "functools",
    "json",
    "logging",
    "pathlib",
    "random",
    "re",
    "socket",
    "threading",
    "typing",
}


@pytest.mark.parametrize(("module", "names"), NAMES, ids=[module.__name__ for module, _ in NAMES])
def test_a_module_has_the_names_of_the_original(module, names):
    assert [name for name in names.split() if not hasattr(module, name)] == []


@pytest.mark.parametrize(("function", "signature"), SIGNATURES, ids=[one[0].__name__ for one in SIGNATURES])
def test_arguments_have_their_names_their_order_and_their_defaults(function, signature):
    found = inspect.signature(function)
    plain = [
        one.replace(annotation=one.empty, kind=one.POSITIONAL_OR_KEYWORD) for one in found.parameters.values()
    ]
    assert str(inspect.Signature(plain)) == signature


def test_a_client_has_the_attributes_of_the_original():
    sender = DebugCaptureSender()
    made = MetlogClient(sender, "app", disabled_timers=["t"])
    assert (made.sender, made.logger, made.severity, made.filters) == (sender, "app", 6, [])
    assert (made._disabled_timers, made._dynamic_methods, made._timer_obs) == ({"t"}, {}, {})
    assert isinstance(made._noop_timer, client._NoOpTimer)
    assert (MetlogClient.env_version, made._config) == ("0.8", "")
    assert vars(client.SEVERITY)["EMERGENCY"] == 0
    assert client.SEVERITY.DEBUG == 7


@pytest.mark.parametrize("name", ["EnvironmentNotFoundError", "MethodNotFoundError"])
def test_an_error_of_the_configuration_is_one_of_configparser(name):
    error = getattr(exceptions, name)
    assert issubclass(error, configparser.Error)
    assert issubclass(error, exceptions.MetlogError)
    assert (error.__module__, error.__name__) == ("metlog.exceptions", name)


def test_what_a_module_does_not_have_is_an_attribute_error():
    for module in (exceptions, senders):
        with pytest.raises(AttributeError, match="nonesuch"):
            module.nonesuch  # noqa: B018
    assert isinstance(DebugCaptureSender(), senders.Sender)
    assert not isinstance(object(), senders.Sender)


def test_importing_metlog_imports_nothing_slow():
    # -S: not what the folders of this Python import by themselves.
    program = f"import sys; sys.path[:0] = {sys.path!r}; import metlog.config; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-S", "-c", program], check=True, capture_output=True, text=True)
    imported = set(out.stdout.split())
    assert "metlog.client" in imported
    assert imported & SLOW == set()
