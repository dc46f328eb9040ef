"""Pyramid under gunicorn."""

from .harness import APPS, pids, start_gunicorn

# By path the route and the status.
ROUTES = [
    ("/items/7", r"/items/{number:\d+}", 200),
    ("/crash", "/crash", 500),
    ("/handled", "/handled", 503),
    ("/conflict", "/conflict", 409),
    ("/download", "/download", 200),
    ("/nothing", None, 404),
]


def test_routes_statuses_and_exceptions(service):
    start_gunicorn(service, "--preload", "pyramid_app:application")
    service.get("/livez")
    answers = {path: service.get(path) for path, _, _ in ROUTES}
    assert answers["/download"][1] == (APPS / "pyramid_app.py").read_text()
    timers = {
        timer["fields"]["path"]: timer["fields"] for timer in service.wait_for("http.server.request", 6)
    }
    for path, route, status in ROUTES:
        assert (timers[path]["route"], timers[path]["status"]) == (route, status), path
    # Also what an exception view has made an answer of 500 or more of.
    told = [message["fields"]["path"] for message in service.wait_for("http.server.exception", 2)]
    assert sorted(told) == ["/crash", "/handled"]
    assert len(service.wait_for_type("sentry", 2)) == 2
    service.wait_for("http.server.route.items.number.GET")
    assert "/livez" not in timers


def test_a_stream_is_bound_to_its_request_and_keeps_its_length(service):
    start_gunicorn(service, "pyramid_app:application")
    assert service.get("/stream", headers={"X-Request-ID": "r-1"}) == (200, "x" * 3000)
    chunks = service.wait_for_type("chunk", 3)
    assert {(chunk["fields"]["request_id"], chunk["severity"]) for chunk in chunks} == {("r-1", 5)}
    service.wait_for("http.server.request")
    assert not service.metrics("http.server.disconnect")


def test_every_message_of_two_workers_arrives(service):
    server = start_gunicorn(service, "--preload", "--workers", "2", "pyramid_app:application")
    answered = service.load("/", 60)
    assert server.end() == 0
    assert pids(service.wait_for("http.server.request", 60)) == answered
    assert pids(service.wait_for_type("page", 60)) == answered
