"""`metlog_psutils`: a message for each figure."""

import json
import os
import re
import socket
import sys
import time
from types import SimpleNamespace as Values

import pytest

import metlog_psutils
from metlog.client import MetlogClient
from metlog.senders import DebugCaptureSender

FOUND = {
    "io": {"read_bytes": 10, "write_bytes": 20, "read_count": 1, "write_count": 2},
    "cpu": {"user": 1.5, "sys": 0.5},
    "mem": {"pcnt": 0.25, "rss": 4096, "vms": 8192},
    "threads": {"7.sys": 0.125, "7.user": 0.5},
    "net": {"127_0_0_1:80.LISTEN": 1, "10_0_0_9:443.ESTABLISHED": 2, "10_0_0_1:53.UDP": 1},
}
GROUPS = {"io": "io", "cpu": "cpu", "mem": "meminfo", "threads": "thread", "busy": "busy", "net": "net"}


class Process:
    """Stands for that of psutil, which is not installed here."""

    def __init__(self, pid):
        if pid == 0:
            raise ProcessLookupError(pid)

    io_counters = staticmethod(lambda: Values(read_bytes=10, write_bytes=20, read_count=1, write_count=2))
    cpu_times = staticmethod(lambda: Values(user=1.5, system=0.5))
    memory_info = staticmethod(lambda: Values(rss=4096, vms=8192))
    memory_percent = staticmethod(lambda: 0.25)
    threads = staticmethod(lambda: [Values(id=7, system_time=0.125, user_time=0.5)])
    # A day and more: the original counted from midnight.
    create_time = staticmethod(lambda: time.time() - 200_000)

    def net_connections(self):
        own = ("10.0.0.1", 40000)
        return [
            Values(status="LISTEN", laddr=("127.0.0.1", 80), raddr=()),
            Values(status="ESTABLISHED", laddr=own, raddr=("10.0.0.9", 443)),
            Values(status="ESTABLISHED", laddr=own, raddr=("10.0.0.9", 443)),
            Values(status="NONE", laddr=("10.0.0.1", 53), raddr=()),
        ]


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", Values(Process=Process))
    client = MetlogClient(DebugCaptureSender(), "app")
    client.add_method(metlog_psutils.config_plugin({}))
    return client


@pytest.mark.parametrize("asked", FOUND)
def test_each_figure_is_a_message(client, asked):
    client.procinfo(**{asked: True})
    messages = [json.loads(text) for text in client.sender.msgs]
    assert {message["fields"]["name"]: message["payload"] for message in messages} == FOUND[asked]
    host = socket.gethostname().replace(".", "_")
    for message in messages:
        assert message["type"] == "procinfo"
        assert message["fields"]["logger"] == f"psutil.{GROUPS[asked]}.{host}.{os.getpid()}"
        assert message["fields"]["rate"] == 1


def test_a_long_uptime_is_whole(client):
    client.procinfo(pid=7, busy=True)
    figures = {m["fields"]["name"]: m["payload"] for m in map(json.loads, client.sender.msgs)}
    assert figures["total_cpu"] == 2
    assert figures["uptime"] == pytest.approx(200_000, abs=100)
    assert figures["pcnt"] == pytest.approx(0.001, rel=0.01)


def test_a_server_of_this_side_is_counted_at_its_address(client):
    client.procinfo(net=True, server_addr="10.0.0.1:40000")
    names = [json.loads(text)["fields"]["name"] for text in client.sender.msgs]
    assert "10_0_0_1:40000.ESTABLISHED" in names
    assert "10_0_0_9:443.ESTABLISHED" not in names


def test_nothing_is_sent_when_nothing_is_asked_for(client):
    client.procinfo()
    assert not client.sender.msgs


def test_a_process_that_is_gone_is_counted_and_no_failure(client, capsys):
    client.procinfo(pid=0, cpu=True)
    assert client.stats().refused == {"encode": 1}
    assert "no figures of process 0" in capsys.readouterr().err


def test_settings_are_refused():
    with pytest.raises(SyntaxError, match=re.escape("Invalid arguments: {'net': True}")):
        metlog_psutils.config_plugin({"net": True})
