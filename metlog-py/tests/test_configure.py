"""The default client: keywords, files, the environment, and its place in the holder."""

import json
import subprocess
import sys
import threading

import pytest

import metlog
from metlog.exceptions import ConfigError
from metlog.holder import CLIENT_HOLDER
from metlog.senders import DebugCaptureSender, JsonLinesSender


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in ("METLOG_CONFIG", "METLOG_LOGGER", "METLOG_SEVERITY"):
        monkeypatch.delenv(name, raising=False)


def test_keywords_come_before_the_environment_and_that_before_the_file(tmp_path, monkeypatch):
    file = tmp_path / "metlog.toml"
    file.write_text(
        'logger = "file"\nseverity = 3\ndisabled_timers = ["slow"]\n[filters]\nseverity_max = 5\n'
    )
    client = metlog.configure(file)
    assert (client.logger, client.severity, client._disabled_timers) == ("file", 3, {"slow"})
    assert len(client.filters) == 1
    monkeypatch.setenv("METLOG_LOGGER", "environment")
    assert (metlog.configure(str(file)).logger, client.severity) == ("environment", 3)
    assert (metlog.configure(file, logger="keyword").logger, client.severity) == ("keyword", 3)
    monkeypatch.setenv("METLOG_CONFIG", str(file))
    assert (metlog.configure(severity=2).severity, client.logger) == (2, "environment")
    assert metlog.get_client() is client


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"queue_byte": 1}, "configure(): unknown key `queue_byte`; did you mean `queue_bytes`?"),
        ({"severity": 9}, "configure(): severity is 9, expected 0 (emergency) to 7 (debug)"),
        ({"logger": b"x"}, "configure(): logger is x, expected a text"),
        (
            {"batch_age": 5},
            'configure(): batch_age is 5, expected a time of at most a day, for example "10ms"',
        ),
        ({"sender": 7}, "sender is 7, expected a table, or an object with send_message"),
        ({"sender": {"class": "udp"}}, "sender_host is not set, expected a host name: sender_class is udp"),
        ({"filters": [7]}, "filters is [7], expected a table, or a list of callables"),
        ({"path": "/nowhere/metlog.toml"}, "cannot read the configuration /nowhere/metlog.toml"),
    ],
)
def test_what_is_wrong_is_named_and_changes_nothing(settings, said):
    client = metlog.configure(logger="before")
    with pytest.raises(ConfigError) as caught:
        metlog.configure(**settings)
    assert said in str(caught.value)
    assert isinstance(caught.value, metlog.MetlogError)
    assert metlog.get_client() is client
    assert client.logger == "before"


def test_a_sidecar_that_is_not_there_is_no_error():
    client = metlog.configure(endpoint="ipc:///nowhere/push.sock", delivery="push")
    client.incr("x")
    assert client.stats().accepted == 1


def test_a_table_may_be_a_dict_and_values_are_python_s(tmp_path):
    path = tmp_path / "m.json"
    client = metlog.configure(
        sender={"class": "file", "filepath": str(path)},
        filters={"type_blacklist": ["noise"], "type_rate": {"rare": 0.0}},
        logger="app",
        disabled_timers={"slow"},
    )
    for kind in ("noise", "rare", "kept"):
        client.metlog(kind)
    assert client.flush(10)
    assert [json.loads(line)["type"] for line in path.read_text().splitlines()] == ["kept"]


def test_senders_and_filters_of_python_are_used():
    client = metlog.configure(sender=DebugCaptureSender(), filters=[lambda msg: msg["type"] != "noise"])
    client.metlog("noise")
    client.metlog("kept")
    assert len(client.sender.msgs) == 1


def test_the_default_client_is_that_of_the_holder():
    client = metlog.configure(logger="shop")
    assert CLIENT_HOLDER.default_client is client
    assert CLIENT_HOLDER.get_client("shop") is client
    CLIENT_HOLDER.__init__()
    held = CLIENT_HOLDER.get_client("old")
    assert metlog.get_client() is held
    assert metlog.configure(logger="new") is held
    assert held.is_active


def test_bounds_of_the_hand_off_are_those_configured(tmp_path):
    client = metlog.configure(queue_bytes="64KiB", endpoint="ipc:///nowhere/push.sock")
    for _ in range(100):
        client.metlog("x", payload="p" * 10_000)
    assert client.stats().refused["full"] > 0


def test_the_first_use_configures_by_the_environment(tmp_path):
    path = tmp_path / "m.json"
    code = "import metlog; metlog.get_client().info('x'); metlog.get_client().close()"
    run = [sys.executable, "-c", code]
    variables = {"METLOG_SENDER_CLASS": "file", "METLOG_SENDER_FILEPATH": str(path), "METLOG_LOGGER": "env"}
    subprocess.run(run, env=variables, check=True)
    assert [json.loads(line)["logger"] for line in path.read_text().splitlines()] == ["env"]


def test_an_environment_that_is_wrong_is_said_and_no_handle_raises():
    code = (
        "import metlog\nmetlog.counter('x').incr()\nprint(metlog.get_client().is_active)\n"
        "metlog.configure(severity=3)\nprint(metlog.get_client().is_active)"
    )
    variables = {"METLOG_SEVERITY": "9"}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    assert done.stderr.startswith("metlog: environment: METLOG_SEVERITY is")
    # The variable is still wrong when code configures.
    assert "ConfigError" in done.stderr
    assert done.stdout == "False\n"


def test_a_sum_leaves_at_the_interval_configured(tmp_path):
    path = tmp_path / "m.json"
    client = metlog.configure(sender=JsonLinesSender(path), aggregate=True, aggregate_interval="20ms")
    client.incr("a")
    client.incr("a", 2)
    client.incr("a", fields={"b": 1})
    client.logger = "other"
    client.incr("a")
    client.close()
    found = [json.loads(line) for line in path.read_text().splitlines()]
    # What says more than its name and value, or has another logger than the sums, is a message of its own.
    assert sorted((message["payload"], message["logger"]) for message in found) == [
        ("1", ""),
        ("1", "other"),
        ("3", ""),
    ]


def test_threads_that_come_first_together_get_one_client():
    for _ in range(50):
        CLIENT_HOLDER.__init__()
        begin = threading.Barrier(4)
        clients = []

        def ask(begin=begin, clients=clients):
            begin.wait()
            clients.append(metlog.get_client())

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(client) for client in clients}) == 1
