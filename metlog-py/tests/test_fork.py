"""Processes and their children: every message of each arrives, under its own pid, and none hangs at its end.

Each program is run METLOG_TEST_ROUNDS times; a race shows in some of a hundred.
"""

import json
import os
import subprocess
import sys
import textwrap
from collections import Counter

import pytest
from conftest import read_messages

ROUNDS = int(os.environ.get("METLOG_TEST_ROUNDS", "1"))
PATIENCE = 60

# A program sends by `send(n)` and says by `expect(pid, n)` what is to arrive of whom.
BEGIN = """
import json, multiprocessing, os, sys, threading, time
from metlog.client import MetlogClient
from metlog.senders import JsonLinesSender

client = MetlogClient(JsonLinesSender(sys.argv[1]), "app")
context = multiprocessing.get_context(sys.argv[2] if len(sys.argv) > 2 else None)

def send(count):
    for number in range(count):
        client.metlog("services", fields={"number": number, "pid": os.getpid()})

def expect(pid, count):
    # In one piece: several threads and processes say so.
    os.write(1, json.dumps([pid, count]).encode() + b"\\n")

def forked(child):
    pid = os.fork()
    if pid == 0:
        child()
        client.close(10.0)
        os._exit(0)
    return pid

def ended(pid):
    assert os.waitpid(pid, 0)[1] == 0
"""

PROGRAMS = {
    "a child, and its parent before and after": """
        send(100)
        pid = forked(lambda: send(50))
        send(10)
        ended(pid)
        expect(pid, 50)
        expect(os.getpid(), 110)
    """,
    "a child that returns from the program": """
        send(100)
        pid = os.fork()
        send(10)
        if pid:
            ended(pid)
            expect(pid, 10)
            expect(os.getpid(), 110)
    """,
    "a child of a child": """
        def child():
            send(20)
            expect(os.getpid(), 20)
            def grandchild():
                send(30)
                expect(os.getpid(), 30)
            ended(forked(grandchild))
        send(10)
        ended(forked(child))
        expect(os.getpid(), 10)
    """,
    "a fork in a thread": """
        def work():
            pid = forked(lambda: send(50))
            ended(pid)
            expect(pid, 50)
        send(10)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(os.getpid(), 10)
    """,
    "forks while other threads send": """
        stop = threading.Event()
        sent = [0] * 3
        def work(place):
            while not stop.is_set():
                send(10)
                sent[place] += 10
                time.sleep(0.001)
        threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(8):
            pid = forked(lambda: send(25))
            ended(pid)
            expect(pid, 25)
        stop.set()
        for thread in threads:
            thread.join()
        expect(os.getpid(), sum(sent))
    """,
    "children that never send": """
        send(100)
        for _ in range(10):
            ended(forked(lambda: None))
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        ended(pid)
        pid = os.fork()
        if pid == 0:
            sys.exit(0)
        ended(pid)
        expect(os.getpid(), 100)
    """,
    "a client that was never used before the fork": """
        pid = forked(lambda: send(50))
        ended(pid)
        send(10)
        expect(pid, 50)
        expect(os.getpid(), 10)
    """,
    "a client made in the child": """
        def child():
            other = MetlogClient(JsonLinesSender(sys.argv[1]), "other")
            for _ in range(5):
                other.incr("n")
            assert other.close(10.0).sent == 5
        send(10)
        pid = forked(child)
        ended(pid)
        expect(pid, 5)
        expect(os.getpid(), 10)
    """,
    "a fork with a full hand-off": """
        send(20_000)
        pid = forked(lambda: send(50))
        ended(pid)
        expect(pid, 50)
        expect(os.getpid(), 20_000)
    """,
}

# The same module is imported by children that are spawned: what is sent is sent by them alone.
MULTIPROCESSING = {
    "processes": """
        if __name__ == "__main__":
            send(10)
            children = [context.Process(target=send, args=(40,)) for _ in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
                assert child.exitcode == 0
                expect(child.pid, 40)
            expect(os.getpid(), 10)
    """,
    "a pool": """
        def work(count):
            send(count)
            return os.getpid()
        if __name__ == "__main__":
            send(10)
            with context.Pool(2) as pool:
                pids = pool.map(work, [5] * 10)
                pool.close()
                pool.join()
            for pid in set(pids):
                expect(pid, 5 * pids.count(pid))
            expect(os.getpid(), 10)
    """,
    "an executor": """
        from concurrent.futures import ProcessPoolExecutor
        def work(count):
            send(count)
            return os.getpid()
        if __name__ == "__main__":
            send(10)
            with ProcessPoolExecutor(2, mp_context=context) as executor:
                pids = list(executor.map(work, [5] * 10))
            for pid in set(pids):
                expect(pid, 5 * pids.count(pid))
            expect(os.getpid(), 10)
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_message_of_every_child_arrives_under_its_own_pid(tmp_path, name):
    check(tmp_path, PROGRAMS[name])


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("name", MULTIPROCESSING)
def test_every_message_of_multiprocessing_arrives_under_its_own_pid(tmp_path, name, start):
    check(tmp_path, MULTIPROCESSING[name], start)


def check(folder, body, *arguments):
    program = folder / "program.py"
    program.write_text(BEGIN + textwrap.dedent(body))
    for number in range(ROUNDS):
        path = folder / f"messages-{number}.json"
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", program, path, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert (done.returncode, done.stderr) == (0, "")
        expected = dict(json.loads(line) for line in done.stdout.splitlines())
        messages = read_messages(path)
        assert Counter(message["metlog_pid"] for message in messages) == Counter(expected)
        # A child never sends what its parent had.
        for message in messages:
            assert message["fields"].get("pid", message["metlog_pid"]) == message["metlog_pid"]
