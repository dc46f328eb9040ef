"""uWSGI: a master and its workers, loaded before and after the fork, reloaded and replaced."""

import http.client
import signal
import threading

import pytest

from .harness import LATE, ROUNDS, SCRIPTS, pids

pytestmark = pytest.mark.skipif(
    not (SCRIPTS / "uwsgi").exists(),
    reason="uWSGI is not installed: it takes a C compiler, and Python's headers and library",
)


def start(service, workers, *options, **env):
    server = service.start(
        *("uwsgi", "--http-socket", "127.0.0.1:0", "--master", "--die-on-term", "--need-app"),
        *("--hook-accepting", "print:worker accepts", "--home", str(SCRIPTS.parent)),
        *("--workers", str(workers), *options, "--module", "wsgi_app:application"),
        **env,
    )
    wait_until_ready(service, server, workers)
    return server


def wait_until_ready(service, server, workers, starts=1):
    """Wait for all: a worker that is told to end before it has set up its signals never does."""
    server.wait_for(r"(?m)^worker accepts", workers * starts)
    # Each start binds port 0 anew.
    service.port = int(server.wait_for(r"127\.0\.0\.1:(\d+) \(port auto-assigned\)", starts))


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--lazy-apps",),
        ("--enable-threads", "--threads", "4"),
        ("--enable-threads", "--single-interpreter", "--py-call-osafterfork"),
        ("--max-requests", "20"),
    ],
    ids=["preload", "lazy", "threads", "osafterfork", "max_requests"],
)
def test_every_message_of_four_workers_arrives_with_its_own_pid(service, options, round_):
    server = start(service, 4, *options, **LATE)
    answered = service.load("/", 150)
    assert server.end() == 0
    assert pids(service.wait_for("http.server.request", 150)) == answered
    assert pids(service.wait_for_type("page", 150)) == answered
    loaded = pids(service.wait_for_type("loaded"))
    assert (server.pid in loaded) == ("--lazy-apps" not in options)


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("options", [(), ("--lazy-apps",)], ids=["preload", "lazy"])
def test_a_reload_under_load_loses_nothing(service, options, round_):
    server = start(service, 2, *options)
    answered = []
    # While it starts anew uWSGI refuses and resets connections.
    load = threading.Thread(target=lambda: answered.append(service.load("/", 200, may_fail=True)))
    load.start()
    service.wait_for("http.server.request", 20)
    server.send(signal.SIGHUP)
    load.join()
    wait_until_ready(service, server, 2, starts=2)
    after = service.load("/", 20)
    assert server.end() == 0
    expected = answered[0] + after
    service.wait_for("http.server.request", expected.total())
    # Of some the answer was lost, not the message.
    assert pids(service.metrics("http.server.request")) >= expected
    assert len(expected) == 4


def test_a_stream_is_timed_to_its_end_and_a_crash_is_captured(service):
    server = start(service, 1)
    assert service.get("/stream") == (200, "x" * 3000)
    # uWSGI closes the connection without an answer.
    with pytest.raises(http.client.RemoteDisconnected):
        service.get("/crash")
    server.end()
    stream, crash = service.wait_for("http.server.request", 2)
    assert int(stream["payload"]) >= 150
    assert (stream["fields"]["status"], crash["fields"]["status"]) == (200, 500)
    assert service.wait_for_type("sentry")[0]["fields"]["path"] == "/crash"
