"""The ASGI middleware and Starlette's under uvicorn: http, websockets, lifespan, clients that go away."""

import contextlib
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi", reason="FastAPI and Starlette are only for Python 3.11 and newer")

from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from metlog.integrations.starlette import MetlogMiddleware

from .harness import LATE, ROUNDS, pids, start_uvicorn


@pytest.fixture
def server(service):
    return start_uvicorn(service, "asgi_app:starlette")


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize(
    ("app", "options"),
    [("starlette", ()), ("fastapi", ("--workers", "2")), ("plain", ())],
    ids=["starlette", "fastapi_workers", "plain"],
)
def test_every_message_arrives_with_its_own_pid_and_nothing_hangs(service, app, options, round_):
    # The plain application has no lifespan, at whose end the middleware would send what is left.
    server = start_uvicorn(service, f"asgi_app:{app}", *options, **({} if app == "plain" else LATE))
    answered = service.load("/", 100)
    # uvicorn ends by the signal it was sent.
    assert server.end() in (0, -signal.SIGTERM)
    assert pids(service.wait_for("http.server.request", 100)) == answered
    if app != "plain":
        pages = service.wait_for_type("page", 100)
        assert pids(pages) == answered
        assert len({page["fields"]["request_id"] for page in pages}) == 100


ROUTES = [
    ("/items/7", "/items/{item_id}", 200, "items.item_id"),
    ("/tenants/jane/items/7", "/tenants/{tenant}/items/{item_id}", 200, "tenants.tenant.items.item_id"),
    ("/files/asgi_app.py", "/files/{path}", 200, "files.path"),
    ("/nothing/here", None, 404, None),
]


def test_starlettes_routes(service, server):
    for path, _, status, _ in ROUTES:
        assert service.get(path)[0] == status
    timers = {
        timer["fields"]["path"]: timer["fields"] for timer in service.wait_for("http.server.request", 4)
    }
    for path, route, status, name in ROUTES:
        assert (timers[path]["route"], timers[path]["status"]) == (route, status), path
        if name:
            service.wait_for(f"http.server.route.{name}.GET")


async def page(request):
    pass


@pytest.mark.parametrize(("path", "route", "_status", "_name"), ROUTES)
def test_starlettes_that_do_not_say_which_route_it_was(path, route, _status, _name):
    files = StaticFiles(directory=".")
    routes = [
        Route("/items/{item_id:int}", page),
        Mount("/files", files),
        Mount("/tenants/{tenant}", routes=[Route("/items/{item_id}", page)]),
    ]
    scope = {"app": Starlette(routes=routes), "path": f"/root{path}", "app_root_path": "/root"}
    if route is not None:
        scope["endpoint"] = files if path.startswith("/files") else page
    assert MetlogMiddleware(None).route_of(scope) == route


def test_a_stream_is_timed_to_its_end_and_a_background_task_is_not_in_the_time(service, server):
    assert service.get("/stream") == (200, "x" * 3000)
    service.get("/later")
    (background,) = service.wait_for_type("background")
    stream, later = service.wait_for("http.server.request", 2)
    assert int(stream["payload"]) >= 150 > int(later["payload"])
    assert background["fields"]["path"] == "/later"
    # It is captured all the same.
    (told,) = service.wait_for_type("sentry")
    assert told["fields"]["msg"] == "GET /later"


def test_a_crash_is_captured_once(service, server):
    assert service.get("/crash")[0] == 500
    assert server.end() in (0, -signal.SIGTERM)
    (timer,) = service.wait_for("http.server.request")
    assert (timer["fields"]["route"], timer["fields"]["status"]) == ("/crash", 500)
    assert len(service.wait_for_type("sentry")) == 1
    assert service.metrics("http.server.exception")[0]["fields"]["exception"] == "LookupError"


def test_a_client_that_goes_away_is_counted_and_is_no_exception(service, server):
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(b"GET /stream?chunks=100 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100)
    (gone,) = service.wait_for("http.server.disconnect")
    assert gone["fields"]["route"] == "/stream"
    assert not service.metrics("http.server.exception")
    assert int(service.wait_for("http.server.request")[0]["payload"]) < 4000


def test_a_websocket_is_timed_and_its_close_code_counted(service, server):
    url = f"ws://127.0.0.1:{service.port}"
    with connect(f"{url}/echo/jane") as connection:
        time.sleep(0.05)
        connection.send("hello")
        assert connection.recv() == "hello"
        with pytest.raises(ConnectionClosed):
            connection.recv()
    (timer,) = service.wait_for("http.server.websocket.request")
    assert (timer["fields"]["route"], timer["fields"]["status"]) == ("/echo/{name}", 4001)
    assert int(timer["payload"]) >= 50
    service.wait_for("http.server.websocket.status.4xxx")
    assert service.wait_for_type("socket")[0]["fields"]["path"] == "/echo/jane"


# By path and text the statuses that servers make of it, and how many exceptions.
BAD_ENDS = [
    ("/refuse", None, {403}, 0),
    ("/echo/x", "crash", {1011}, 1),
    ("/echo/y", None, {1000, 1005}, 0),
]


def test_websockets_that_do_not_end_well(service, server):
    for path, text, _, _ in BAD_ENDS:
        url = f"ws://127.0.0.1:{service.port}{path}"
        with contextlib.suppress(ConnectionClosed, InvalidStatus), connect(url) as connection:
            if text is not None:
                connection.send(text)
                connection.recv()
    timers = service.wait_for("http.server.websocket.request", 3)
    statuses = {timer["fields"]["path"]: timer["fields"]["status"] for timer in timers}
    told = [message["fields"]["path"] for message in service.metrics("http.server.websocket.exception")]
    for path, _, expected, exceptions in BAD_ENDS:
        assert statuses[path] in expected, path
        assert told.count(path) == exceptions, path


def test_requests_that_overlap_keep_what_they_have_bound(service, server):
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda number: service.get(f"/overlap/{number}"), range(10)))
    told = service.wait_for_type("overlap", 10)
    assert {(message["fields"]["path"], message["fields"]["number"]) for message in told} == {
        (f"/overlap/{number}", str(number)) for number in range(10)
    }
