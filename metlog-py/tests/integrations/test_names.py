"""Names of metrics: what a client asks for makes none; and the options of middlewares."""

import asyncio
import uuid
from types import SimpleNamespace

import pytest

from metlog.exceptions import ConfigError
from metlog.integrations import asgi, wsgi
from metlog.integrations._names import status_name
from metlog.testing import capture_logs


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (200, "200"),
        (599, "599"),
        (1000, "1000"),
        (1015, "1015"),
        (1016, "other"),
        (3000, "3xxx"),
        (4999, "4xxx"),
        (5000, "other"),
        (0, "other"),
    ],
)
def test_a_status_has_one_of_few_names(status, name):
    assert status_name(status) == name


def counters(messages):
    return [message["fields"]["name"] for message in messages if message["type"] == "counter"]


def test_close_codes_that_clients_choose_make_no_names():
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        await receive()

    async def close(code):
        async def receive():
            return {"type": "websocket.disconnect", "code": code}

        async def send(event):
            pass

        scope = {"type": "websocket", "path": "/", "headers": []}
        await asgi.MetlogMiddleware(app)(scope, receive, send)

    with capture_logs() as messages:
        for code in range(4000, 4100):
            asyncio.run(close(code))
    assert set(counters(messages)) == {
        "http.server.websocket.status.other",
        "http.server.websocket.status.4xxx",
    }
    statuses = {message["fields"]["status"] for message in messages if message["type"] == "timer"}
    assert statuses == set(range(4000, 4100))


def test_a_status_that_is_none_is_counted_once():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 999, "headers": []})
        await send({"type": "http.response.body"})

    async def send(event):
        pass

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with capture_logs() as messages:
        asyncio.run(asgi.MetlogMiddleware(app)(scope, None, send))
    assert counters(messages) == ["http.server.status.other"]


UUID = "0aF00000-0000-0000-0000-000000000001"


# The path of a route itself, what was asked for, what the routers made of it, and the template.
@pytest.mark.parametrize(
    ("own", "path", "params", "template"),
    [
        ("/t/{n}", "/t/007", {"n": 7}, "/t/{n}"),
        ("/t/{n}", "/v1/t/007", {"n": 7}, "/v1/t/{n}"),
        ("/t/{id}", f"/v1/t/{UUID}", {"id": uuid.UUID(UUID)}, "/v1/t/{id}"),
        ("/t/{n}", "/o/007/t/1", {"o": 7, "n": 1}, "/o/{o}/t/{n}"),
        ("/t", f"/o/{UUID}/t", {"o": uuid.UUID(UUID)}, "/o/{o}/t"),
        ("/t/{n}", "/x/x/t/x", {"a": "x", "b": "x", "n": "x"}, "/{a}/{b}/t/{n}"),
        ("/f/{rest}", "/v1/f/a/b/c", {"rest": "a/b/c"}, "/v1/f/{rest}"),
        ("", "/v1", {}, "/v1"),
        # What may be the client's own words is no prefix.
        ("/t", "/a/b/c/t", {"rest": "a/b/c"}, "/t"),
        ("/t", "/x/t", {"o": object()}, "/t"),
        ("/t/{n}", "/x/t/1", {}, "/t/{n}"),
    ],
)
def test_no_word_of_a_client_is_in_a_template(own, path, params, template):
    starlette = pytest.importorskip("metlog.integrations.starlette")
    route = SimpleNamespace(path_format=own)
    scope = {"route": route, "endpoint": None, "path": f"/root{path}", "app_root_path": "/root"}
    assert starlette.MetlogMiddleware(None).route_of({**scope, "path_params": params}) == template


@pytest.mark.parametrize("middleware", [asgi.MetlogMiddleware, wsgi.MetlogMiddleware])
def test_an_option_that_is_none_is_a_configuration_error(middleware):
    with pytest.raises(ConfigError, match=r"unknown.*typo.*expected.*prefix"):
        middleware(None, typo=1)


@pytest.mark.parametrize(("error", "is_gone"), [(ValueError, False), (asyncio.CancelledError, True)])
def test_a_view_of_django_that_raises_is_no_client_that_went_away(error, is_gone, monkeypatch):
    django = pytest.importorskip("metlog.integrations.django")
    from metlog.integrations._http import Options

    monkeypatch.setattr(django, "configured_options", Options)

    async def view(request):
        raise error

    request = SimpleNamespace(path="/", method="GET", META={})
    with capture_logs() as messages, pytest.raises(error):
        asyncio.run(django.MetlogMiddleware(view)(request))
    assert ("http.server.disconnect" in counters(messages)) is is_gone
