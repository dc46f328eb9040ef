"""gunicorn: workers that are forked, reloaded and replaced under load."""

import signal
import threading

import pytest

from .harness import LATE, ROUNDS, pids, start_gunicorn


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize(
    "options",
    [("--preload",), (), ("--preload", "--threads", "4"), ("--preload", "-k", "gevent")],
    ids=["preload", "lazy", "preload_threads", "preload_gevent"],
)
def test_every_message_of_four_workers_arrives_with_its_own_pid(service, options, round_):
    server = start_gunicorn(service, "--workers", "4", *options, "wsgi_app:application", **LATE)
    answered = service.load("/", 200)
    assert server.pid not in answered
    assert server.end() == 0
    assert pids(service.wait_for("http.server.request", 200)) == answered
    assert pids(service.wait_for("http.server.status.200", 200)) == answered
    assert pids(service.wait_for_type("page", 200)) == answered
    loaded = pids(service.wait_for_type("loaded"))
    assert (server.pid in loaded) == ("--preload" in options)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_reload_under_load_loses_nothing(service, round_):
    server = start_gunicorn(service, "--workers", "2", "wsgi_app:application")
    answered = []
    load = threading.Thread(target=lambda: answered.append(service.load("/", 300)))
    load.start()
    service.wait_for("http.server.request", 20)
    server.send(signal.SIGHUP)
    server.wait_for("Worker ready", 4)
    load.join()
    after = service.load("/", 20)
    assert server.end() == 0
    assert pids(service.wait_for("http.server.request", 320)) == answered[0] + after
    assert len(answered[0] + after) > 2


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_workers_that_end_after_some_requests_lose_nothing(service, round_):
    server = start_gunicorn(
        service, "--workers", "2", "--max-requests", "25", "--preload", "wsgi_app:application", **LATE
    )
    answered = service.load("/", 150, threads=4)
    assert server.end() == 0
    assert pids(service.wait_for("http.server.request", 150)) == answered
    assert len(answered) > 3


def test_a_stream_is_timed_to_its_end_and_a_crash_is_captured(service):
    server = start_gunicorn(service, "--workers", "1", "wsgi_app:application")
    assert service.get("/stream") == (200, "x" * 3000)
    assert service.get("/crash")[0] == 500
    server.end()
    stream, crash = service.wait_for("http.server.request", 2)
    assert int(stream["payload"]) >= 150
    assert (stream["fields"]["status"], crash["fields"]["status"]) == (200, 500)
    (told,) = service.wait_for_type("sentry")
    assert told["fields"]["path"] == "/crash"
    assert len(service.metrics("http.server.exception")) == 1


def test_the_logger_class_tells_of_requests_and_of_gunicorn_itself(service):
    server = start_gunicorn(
        service,
        *("--workers", "2", "--logger-class", "metlog.integrations.gunicorn.MetlogLogger"),
        "wsgi_app:application",
    )
    answered = service.load("/", 20)
    assert server.end() == 0
    assert pids(service.wait_for("gunicorn.request", 20)) == answered
    assert len(service.wait_for("gunicorn.status.2xx", 20)) == 20
    assert service.wait_for("gunicorn.workers")[-1]["metlog_pid"] == server.pid
    lines = [message["payload"] for message in service.wait_for_type("oldstyle")]
    assert any("Booting worker" in line for line in lines)
