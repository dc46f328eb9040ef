"""FastAPI under uvicorn: the routes of included routers and mounted applications.

`test_asgi.py` has the rest.
"""

import pytest

pytest.importorskip("fastapi", reason="FastAPI and Starlette are only for Python 3.11 and newer")


from .harness import start_uvicorn


@pytest.fixture
def server(service):
    return start_uvicorn(service, "asgi_app:fastapi")


ROUTES = [
    ("/v1/things/7", "/v1/things/{thing_id}", 200),
    ("/v1/things/7/crash", "/v1/things/{thing_id}/crash", 500),
    ("/v1/things/x", "/v1/things/{thing_id}", 422),
    ("/inner/things/7", "/inner/things/{thing_id}", 200),
    ("/nothing", None, 404),
]


def test_routes_of_routers_and_mounted_applications(service, server):
    for path, _, status in ROUTES:
        assert service.get(path)[0] == status
    timers = {
        timer["fields"]["path"]: timer["fields"] for timer in service.wait_for("http.server.request", 5)
    }
    for path, route, status in ROUTES:
        assert (timers[path]["route"], timers[path]["status"]) == (route, status), path
    (told,) = service.wait_for("http.server.exception")
    assert told["fields"]["path"] == "/v1/things/7/crash"


def test_a_view_in_a_thread_has_what_its_request_has_bound(service, server):
    service.get("/", headers={"X-Request-ID": "r-1"})
    (page,) = service.wait_for_type("page")
    assert page["fields"]["request_id"] == "r-1"
