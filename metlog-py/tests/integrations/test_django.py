"""Django under gunicorn and under uvicorn."""

import pytest

from .harness import pids, start_gunicorn, start_uvicorn

# By path the route, the status, and whether the view raises.
ROUTES = [
    ("/shop/items/7/", "shop/items/<int:number>/", 200, False),
    ("/shop/years/2012/", "shop/years/(?P<year>[0-9]{4})/$", 200, False),
    ("/crash", "crash", 500, True),
    ("/async/crash", "async/crash", 500, True),
    ("/download", "download", 200, False),
    ("/nothing", None, 404, False),
]


def start(service, server, *options):
    if server == "wsgi":
        return start_gunicorn(service, "--preload", *options, "django_app:application")
    return start_uvicorn(service, *options, "django_app:asgi")


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_routes_statuses_and_exceptions(service, server):
    start(service, server)
    service.get("/livez")
    for path, _, status, _ in ROUTES:
        assert service.get(path)[0] == status
    timers = {
        timer["fields"]["path"]: timer["fields"] for timer in service.wait_for("http.server.request", 6)
    }
    for path, route, status, _ in ROUTES:
        assert (timers[path]["route"], timers[path]["status"]) == (route, status), path
    raised = {path for path, _, _, raises in ROUTES if raises}
    told = service.wait_for("http.server.exception", len(raised))
    assert sorted(message["fields"]["path"] for message in told) == sorted(raised)
    assert {message["fields"]["path"] for message in service.wait_for_type("sentry", 2)} == raised
    service.wait_for("http.server.route.shop.items.number.GET")
    service.wait_for("http.server.route.shop.years.year.GET")
    assert len(service.wait_for_type("services", 6)) == 6
    assert "/livez" not in timers


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_logs_and_streams_are_bound_to_their_request(service, server):
    start(service, server)
    service.get("/shop/items/7/", headers={"X-Request-ID": "r-1"})
    streams = ["/stream", "/async/stream"] if server == "asgi" else ["/stream"]
    for path in streams:
        assert service.get(path, headers={"X-Request-ID": "r-2"}) == (200, "x" * 3000)
    (line,) = service.wait_for_type("oldstyle")
    assert (line["payload"], line["fields"]["request_id"]) == ("item 7 shown", "r-1")
    chunks = service.wait_for_type("chunk", 3 * len(streams))
    assert {chunk["fields"].get("request_id") for chunk in chunks} == {"r-2"}
    # The settings' own severity.
    assert {chunk["severity"] for chunk in chunks} == {5}
    timers = service.wait_for("http.server.request", 1 + len(streams))
    assert all(int(timer["payload"]) >= 150 for timer in timers[1:])
    assert not service.metrics("http.server.disconnect")


@pytest.mark.parametrize(("server", "path"), [("wsgi", "/"), ("asgi", "/"), ("asgi", "/async/")])
def test_every_message_of_two_workers_arrives(service, server, path):
    program = start(service, server, "--workers", "2")
    answered = service.load(path, 60)
    program.end()
    assert pids(service.wait_for("http.server.request", 60)) == answered
