"""Threads, forks and the end of a process."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import read_messages

import metlog


def pids(path):
    return [message["metlog_pid"] for message in read_messages(path)]


def test_four_threads_lose_nothing(client, sent):
    threads = [
        threading.Thread(target=lambda: [client.incr("n", fields={"k": "v"}) for _ in range(2_500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent()) == 10_000


def test_a_forked_child_sends_under_its_own_pid(client, path):
    client.incr("before")
    child = os.fork()
    if child == 0:
        client.incr("child")
        os._exit(0 if client.close(10.0).sent == 1 else 1)
    client.incr("parent")
    assert os.waitpid(child, 0)[1] == 0
    assert client.flush(10.0)
    assert sorted(pids(path)) == sorted([os.getpid(), os.getpid(), child])


def test_a_forked_child_reports_exceptions(client, path):
    error = ValueError("x")
    client.send_exception(error, msg="parent")
    child = os.fork()
    if child == 0:
        client.send_exception(error, msg="child")
        os._exit(0 if client.close(10.0).sent == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert client.flush(10.0)
    told = [(message["fields"]["msg"], message["metlog_pid"]) for message in read_messages(path)]
    assert sorted(told) == [("child", child), ("parent", os.getpid())]


@pytest.mark.parametrize("end", ["pass", "sys.exit(3)", "raise SystemExit", "raise ValueError", "del client"])
def test_what_was_sent_right_before_the_end_arrives(tmp_path, end):
    path = tmp_path / "messages.json"
    program = f"""
import sys
from metlog.client import MetlogClient
from metlog.senders import JsonLinesSender
client = MetlogClient(JsonLinesSender({str(path)!r}), "app")
for n in range(1000):
    client.incr("n")
{end}
"""
    subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=60)
    assert len(read_messages(path)) == 1000


def test_importing_starts_no_thread_and_opens_no_socket():
    program = """
import os, json, threading
before = set(os.listdir("/proc/self/fd"))
import metlog, metlog.config, metlog.senders.zmq, metlog.holder
client = metlog.MetlogClient(metlog.senders.zmq.ZmqPushSender())
print(json.dumps([len(os.listdir("/proc/self/task")), len(set(os.listdir("/proc/self/fd")) - before)]))
"""
    out = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)
    assert json.loads(out.stdout) == [1, 0]


def test_a_wait_lets_other_threads_run(client):
    # A receiver that is not there: the sender stays busy, so that close waits its whole time.
    from metlog.senders.zmq import ZmqPushSender

    client.sender = ZmqPushSender("ipc:///nonexistent/metlog")
    client.incr("n")
    ran = threading.Event()
    thread = threading.Timer(0.05, ran.set)
    thread.start()
    assert not client.flush(0.5)
    assert ran.is_set()
    client.close(0.0)


def test_there_is_one_version():
    cargo = workspace_version(Path(__file__).parents[2] / "Cargo.toml")
    assert metlog.__version__ == importlib.metadata.version("metlog") == cargo


def workspace_version(path):
    return re.search(r'^version = "(.*)"', path.read_text(), re.MULTILINE).group(1)
