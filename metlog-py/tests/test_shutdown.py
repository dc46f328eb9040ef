"""Every way a process ends, against a real sidecar: what was accepted is on its disk, or its books say so."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest
from sidecar import Sidecar, wait_until

import metlog
from metlog.exceptions import ConfigError

SENT = 1_000

BEGIN = """
import atexit, os, signal, sys, threading, time
{before}
import metlog
client = metlog.MetlogClient(metlog.senders.zmq.ZmqPushSender(sys.argv[1]), sys.argv[2])
def send():
    client.metlog("services", fields={{"path": "/"}})
for _ in range({sent}):
    send()
"""


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    sidecar = Sidecar(tmp_path_factory.mktemp("sidecar"))
    sidecar.start()
    yield sidecar
    sidecar.kill()


def run(end, endpoint, logger, before="", sent=SENT):
    program = BEGIN.format(before=before, sent=sent) + textwrap.dedent(end)
    program = program.replace("import metlog\n", "import metlog, metlog.senders.zmq\n", 1)
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", program, endpoint, logger],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


# What ends the process, its code, and what is sent besides what was sent before.
ENDS = {
    "the end of the program": ("", 0, 0),
    "sys.exit": ("sys.exit(3)", 3, 0),
    "an exception": ("raise ValueError", 1, 0),
    "an interrupt": ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT, 0),
    "SIGTERM, handled by metlog": (
        "assert metlog.handle_sigterm(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)",
        -signal.SIGTERM,
        0,
    ),
    "SIGTERM, handled by a configuration": (
        """
        from metlog.config import client_from_text_config
        ini = "[m]\\nsender_class = metlog.senders.NoSendSender\\nhandle_sigterm = true"
        client_from_text_config(ini, "m")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
        """,
        -signal.SIGTERM,
        0,
    ),
    "SIGTERM, handled by the application": (
        """
        def end(*_):
            send()
            sys.exit(7)
        signal.signal(signal.SIGTERM, end)
        assert not metlog.handle_sigterm()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
        """,
        7,
        1,
    ),
    "SIGTERM, ignored by the application": (
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert not metlog.handle_sigterm()
        os.kill(os.getpid(), signal.SIGTERM)
        send()
        """,
        0,
        1,
    ),
    "os._exit after close": ("assert client.close().dropped == 0; os._exit(5)", 5, 0),
    "a thread that goes on": ("threading.Thread(target=lambda: (time.sleep(0.2), send())).start()", 0, 1),
    "an atexit handler that sends": ("atexit.register(send)", 0, 1),
    "a client that is gone": ("del client, send", 0, 0),
    "__del__ of a thing in a cycle": (
        """
        class Sends:
            def __del__(self):
                try:
                    send()
                except BaseException as error:
                    os.write(2, repr(error).encode())
        it = Sends()
        it.it = it
        """,
        0,
        0,
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_was_sent_before_the_end_is_on_the_sidecars_disk(sidecar, name):
    end, code, besides = ENDS[name]
    done = run(end, sidecar.endpoint, name)
    assert done.returncode == code, done.stderr
    wait_until("the sidecar knows the end", lambda: all(o["closed"] for o in sidecar.origins_of(name)))
    assert sidecar.known_of(name) == SENT + besides
    (origin,) = sidecar.origins_of(name)
    assert (origin["figures"]["unknown"], origin["missing"]) == (0, [])
    assert "Error" not in done.stderr.replace("ValueError", "") or code == 1, done.stderr


def test_what_is_sent_after_the_end_is_refused_and_counted(sidecar):
    # `atexit` calls the first registered last: after metlog's.
    before = "atexit.register(lambda: (send(), print(client.stats().refused)))"
    done = run("", sidecar.endpoint, "late", before)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{'closed': 1}\n", "")
    wait_until("the sidecar knows the end", lambda: sidecar.known_of("late") == SENT)


@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="CPython 3.10 itself dies there now and then: once in 60 runs of such threads without metlog",
)
def test_daemon_threads_that_send_to_the_last_do_not_hold_the_end_up(sidecar):
    end = """
        def forever():
            while True:
                send()
        for _ in range(4):
            threading.Thread(target=forever, daemon=True).start()
        time.sleep(0.2)
    """
    done = run(end, sidecar.endpoint, "daemon threads")
    assert done.returncode == 0, done.stderr
    wait_until("the sidecar knows the end", lambda: sidecar.origins_of("daemon threads")[0]["closed"])
    (origin,) = sidecar.origins_of("daemon threads")
    figures = origin["figures"]
    # What was refused while the process ended is in the books as well.
    assert figures["attempted"] > SENT
    assert (figures["unknown"], origin["missing"]) == (0, [])


def test_what_a_killed_process_had_not_sent_is_not_taken_for_sent(sidecar):
    # SIGTERM by default is a fatal signal: nothing runs any more.
    end = "os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)"
    done = run(end, sidecar.endpoint, "killed")
    assert done.returncode == -signal.SIGTERM
    known = sidecar.known_of("killed")
    assert known <= SENT
    assert not any(origin["closed"] for origin in sidecar.origins_of("killed"))


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("", 0),
        ("metlog.handle_sigterm(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)", -signal.SIGTERM),
    ],
    ids=["the end of the program", "SIGTERM"],
)
def test_without_a_sidecar_the_end_takes_two_seconds(tmp_path, end, code):
    started = time.monotonic()
    done = run(end, f"ipc://{tmp_path}/nobody.sock", "nobody")
    took = time.monotonic() - started
    assert done.returncode == code
    assert 2.0 <= took < 5.0


def test_without_a_message_the_end_takes_no_time(tmp_path):
    started = time.monotonic()
    run("", f"ipc://{tmp_path}/nobody.sock", "nobody", sent=0)
    assert time.monotonic() - started < 2.0


def test_sigterm_is_for_the_main_thread():
    import threading

    raised = []

    def handle():
        try:
            metlog.handle_sigterm()
        except ConfigError as error:
            raised.append(str(error))

    thread = threading.Thread(target=handle)
    thread.start()
    thread.join()
    assert raised[0].startswith("handle_sigterm is for the main thread: ")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_a_subinterpreter_is_refused_with_the_servers_setting(kind):
    program = f"""
import sys
try:
    import _interpreters as interpreters
    made = interpreters.create({kind!r})
except ImportError:
    import _xxsubinterpreters as interpreters
    made = interpreters.create(isolated={kind == "isolated"})
interpreters.run_string(made, '''
try:
    import metlog
except ImportError as error:
    print(type(error).__name__, error, flush=True)
''')
import metlog
metlog.MetlogClient(metlog.client.NoSendSender()).incr("n")
print("the main one works")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    refused, works = done.stdout.splitlines()
    assert refused.startswith("UnsupportedInterpreterError metlog cannot run in a subinterpreter")
    assert "WSGIApplicationGroup %{GLOBAL}" in refused
    assert "single-interpreter = true" in refused
    assert (works, done.returncode) == ("the main one works", 0)


def test_a_program_that_execs_takes_no_socket_along(sidecar):
    files = "glob.glob('/proc/self/fd/*') if os.path.islink(file)"
    shows = f"import glob, os; print([os.readlink(file) for file in {files}])"
    end = f"client.flush(); os.execv(sys.executable, [sys.executable, '-c', {shows!r}])"
    done = run(end, sidecar.endpoint, "execs")
    assert "pipe:" in done.stdout, done.stderr
    assert "socket:" not in done.stdout
    assert sidecar.known_of("execs") == SENT


def test_sigterm_off_the_main_thread_changes_nothing():
    """The client was set up when the error came, so that the caller's second try found half of the first."""
    program = """
    import threading, metlog, metlog.config
    client = metlog.configure(logger="before")
    told = []
    def attempt(call):
        try:
            call()
        except metlog.exceptions.ConfigError as error:
            told.append(str(error))
    table = {"logger": "after", "sender": {"class": "metlog.senders.NoSendSender"}, "handle_sigterm": True}
    for call in (
        lambda: metlog.configure(logger="after", handle_sigterm=True),
        lambda: metlog.config.client_from_dict_config(table, client),
    ):
        thread = threading.Thread(target=attempt, args=(call,))
        thread.start()
        thread.join()
    print(len(told), client.logger)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True, text=True
    )
    assert done.stdout == "2 before\n"


def test_sigterm_ends_the_first_process_of_a_container():
    """The kernel spares it the default action: it closed every client and lived on."""
    program = """
    import os, signal, time, metlog
    metlog.handle_sigterm()
    # What such a process sees and what its kernel does.
    os.getpid, os.kill = lambda: 1, lambda *_: None
    signal.raise_signal(signal.SIGTERM)
    time.sleep(1)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert done.returncode == 128 + signal.SIGTERM
