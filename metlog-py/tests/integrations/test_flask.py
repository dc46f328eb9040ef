"""Flask under gunicorn."""

from .harness import pids, start_gunicorn

# By path the route and the status.
ROUTES = [
    ("/shop/items/7", "/shop/items/<int:number>", 200),
    ("/crash", "/crash", 500),
    ("/handled", "/handled", 409),
    ("/gone", "/gone", 410),
    ("/static/nothing", "/static/<path:filename>", 404),
    ("/nothing", None, 404),
]


def test_routes_statuses_and_exceptions(service):
    start_gunicorn(service, "--preload", "flask_app:app")
    service.get("/livez")
    for path, _, status in ROUTES:
        assert service.get(path)[0] == status
    timers = {
        timer["fields"]["path"]: timer["fields"] for timer in service.wait_for("http.server.request", 6)
    }
    for path, route, status in ROUTES:
        assert (timers[path]["route"], timers[path]["status"]) == (route, status), path
    # What the application has a handler for is no fault.
    (told,) = service.wait_for("http.server.exception")
    assert (told["fields"]["path"], told["fields"]["exception"]) == ("/crash", "LookupError")
    assert len(service.wait_for_type("sentry")) == 1
    service.wait_for("http.server.route.shop.items.number.GET")
    assert "/livez" not in timers


def test_a_stream_is_bound_to_its_request(service):
    start_gunicorn(service, "flask_app:app")
    assert service.get("/stream", headers={"X-Request-ID": "r-1"}) == (200, "x" * 3000)
    chunks = service.wait_for_type("chunk", 3)
    assert {(chunk["fields"]["request_id"], chunk["severity"]) for chunk in chunks} == {("r-1", 5)}
    service.wait_for("http.server.request")
    assert not service.metrics("http.server.disconnect")


def test_every_message_of_two_workers_arrives(service):
    server = start_gunicorn(service, "--preload", "--workers", "2", "flask_app:app")
    answered = service.load("/", 60)
    assert server.end() == 0
    assert pids(service.wait_for("http.server.request", 60)) == answered
    assert pids(service.wait_for_type("page", 60)) == answered
