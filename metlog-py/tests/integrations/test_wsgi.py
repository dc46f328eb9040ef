"""The WSGI middleware, in the process; `test_gunicorn.py` and `test_uwsgi.py` have it under servers."""

import io
import subprocess
import sys
import threading
import time
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

from metlog import integrations
from metlog.config import client_from_dict_config
from metlog.exceptions import ConfigError
from metlog.integrations._names import route_name
from metlog.integrations.wsgi import MetlogMiddleware

DEVICE = {"cef.version": "0", "cef.vendor": "m", "cef.product": "p", "cef.device_version": "1"}
START = ("200 OK", [("Content-Type", "text/plain")])


def named(messages):
    """Give back counters and timers by name."""
    return {
        message["fields"]["name"]: message for message in messages if message["type"] in ("timer", "counter")
    }


def of_type(messages, kind):
    return [message for message in messages if message["type"] == kind]


def ask(app, path="/page", method="GET", **environ):
    """Do what a server does with a request: all chunks, then `close`."""
    given = {"PATH_INFO": path, "REQUEST_METHOD": method, **environ}
    setup_testing_defaults(given)
    body = app(given, lambda status, headers, exc_info=None: io.BytesIO().write)
    try:
        return b"".join(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def plain(environ, start_response):
    start_response(*START)
    return [b"plain"]


def test_a_request_is_timed_and_its_status_counted(client, sent):
    ask(MetlogMiddleware(plain, client))
    messages = sent()
    found = named(messages)
    assert sorted(found) == ["http.server.request", "http.server.status.200", "http.server.status.2xx"]
    for message in found.values():
        fields = {key: message["fields"][key] for key in ("method", "route", "status", "path")}
        assert fields == {"method": "GET", "route": None, "status": 200, "path": "/page"}
    assert messages[0]["type"] == "timer"


def test_what_clients_invent_makes_no_names(client, sent):
    app = MetlogMiddleware(plain, client)
    for number in range(5):
        ask(app, f"/page/{number}", f"INVENTED{number}")
    names = {name for name in named(sent()) if str(name)}
    assert names == {"http.server.request", "http.server.status.200", "http.server.status.2xx"}


@pytest.mark.parametrize(
    ("route", "name"),
    [
        ("/items/{id}/tags", "items.id.tags"),
        ("/items/<int:item_id>", "items.item_id"),
        ("/", "root"),
        ("", "root"),
        ("^articles/(?P<year>[0-9]{4})/$", "articles.year"),
        (r"/items/{id:\d{1,3}}", "items.id"),
        ("/static/{path:path}", "static.path"),
        ("/tree/*traverse", "tree.traverse"),
        ("/a b/ü", "a_b"),
        ("/v1.2/x", "v1_2.x"),
    ],
)
def test_the_name_of_a_route(route, name):
    assert route_name(route) == name


def test_a_route_that_the_application_tells_is_a_name(client, sent):
    def app(environ, start_response):
        environ["metlog.route"] = "/items/{id}"
        return plain(environ, start_response)

    ask(MetlogMiddleware(app, client), "/items/7")
    found = named(sent())
    assert "http.server.route.items.id.GET" in found
    assert found["http.server.request"]["fields"]["route"] == "/items/{id}"
    ask(MetlogMiddleware(app, client, route_timers=False, prefix="p"), "/items/7")
    assert {name for name in named(sent()) if name.startswith("p.")} == {
        "p.request",
        "p.status.200",
        "p.status.2xx",
    }


def test_a_stream_is_timed_until_it_is_closed(client, sent):
    def app(environ, start_response):
        start_response(*START)
        for _ in range(3):
            time.sleep(0.02)
            client.metlog("chunk")
            yield b"x"

    assert ask(MetlogMiddleware(app, client), HTTP_X_REQUEST_ID="r-1") == b"xxx"
    messages = sent()
    assert [message["fields"]["request_id"] for message in of_type(messages, "chunk")] == ["r-1"] * 3
    assert int(named(messages)["http.server.request"]["payload"]) >= 60
    assert "http.server.disconnect" not in named(messages)


def test_a_client_that_goes_away_is_counted(client, sent):
    def app(environ, start_response):
        start_response(*START)
        yield b"x"
        yield b"y"

    environ = {}
    setup_testing_defaults(environ)
    body = MetlogMiddleware(app, client)(environ, lambda *_: None)
    assert next(body) == b"x"
    body.close()
    assert named(sent())["http.server.disconnect"]["fields"]["status"] == 200


class BugError(Exception):
    pass


def raises_at_once(environ, start_response):
    raise BugError


def raises_later(environ, start_response):
    start_response(*START)
    yield b"x"
    raise BugError


@pytest.mark.parametrize(("app", "status"), [(raises_at_once, 500), (raises_later, 200)])
def test_an_exception_passes_unchanged_and_is_captured_once(client, sent, app, status):
    # Two of them around each other, as happens.
    with pytest.raises(BugError) as caught:
        ask(MetlogMiddleware(MetlogMiddleware(app, client, exceptions=False), client))
    assert caught.value.__cause__ is None
    messages = sent()
    (told,) = of_type(messages, "sentry")
    assert told["fields"]["msg"] == "GET /page"
    assert named(messages)["http.server.exception"]["fields"]["exception"] == "BugError"
    assert named(messages)["http.server.request"]["fields"]["status"] == status


def test_the_end_of_a_process_is_no_exception_of_the_application(client, sent):
    def app(environ, start_response):
        raise SystemExit

    with pytest.raises(SystemExit):
        ask(MetlogMiddleware(app, client))
    assert "http.server.exception" not in named(sent())


def test_what_a_request_binds_ends_with_it(client, sent):
    def app(environ, start_response):
        client.bind(user="jane").__enter__()
        client.metlog("inside")
        return plain(environ, start_response)

    ask(MetlogMiddleware(app, client), HTTP_X_REQUEST_ID="r-1")
    client.metlog("outside")
    messages = sent()
    (inside,), (outside,) = of_type(messages, "inside"), of_type(messages, "outside")
    assert inside["fields"] == {"request_id": "r-1", "method": "GET", "path": "/page", "user": "jane"}
    assert outside["fields"] == {}


@pytest.mark.parametrize("given", ["x" * 200, "a\nb", ""])
def test_a_request_id_that_is_none_is_replaced(client, sent, given):
    def app(environ, start_response):
        client.metlog("inside")
        return plain(environ, start_response)

    ask(MetlogMiddleware(app, client), HTTP_X_REQUEST_ID=given)
    assert len(of_type(sent(), "inside")[0]["fields"]["request_id"]) == 32


def test_the_message_of_the_originals_applications_is_sent_when_asked_for(client, sent):
    app = MetlogMiddleware(plain, client, request_message="wsgi", ignored_paths=["/livez"])
    ask(app, "/livez")
    secret = dict.fromkeys(("HTTP_AUTHORIZATION", "HTTP_X_CSRF_TOKEN", "HTTP_X_AUTH_TOKEN"), "secret")
    ask(app, HTTP_USER_AGENT="curl", **secret)
    (message,) = of_type(sent(), "wsgi")
    assert message["fields"]["headers"]["user-agent"] == "curl"
    assert "secret" not in message["fields"]["headers"].values()
    assert message["fields"]["threadlocal"] == {}


def test_cef_finds_the_request(sent, path):
    config = {
        "sender": {"class": "metlog.senders.JsonLinesSender", "filepath": str(path)},
        "plugins": {"cef": ("metlog_cef:config_plugin", {})},
    }
    client = client_from_dict_config(config)

    def app(environ, start_response):
        client.cef("Login failed", 5, None, DEVICE)
        return plain(environ, start_response)

    ask(MetlogMiddleware(app, client), "/login", "POST", REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="curl")
    client.flush(10.0)
    line = of_type(sent(), "cef")[0]["payload"]
    assert "cs1=curl requestMethod=POST request=/login src=192.0.2.7" in line
    assert "request=/login" not in client.cef("x", 5, None, DEVICE)


@pytest.mark.parametrize("kind", ["list", "file"])
def test_a_body_that_servers_look_into_stays_what_it_is(client, sent, kind):
    body = [b"x"] if kind == "list" else FileWrapper(io.BytesIO(b"x"))

    def app(environ, start_response):
        start_response(*START)
        return body

    environ = {"wsgi.file_wrapper": FileWrapper}
    setup_testing_defaults(environ)
    assert MetlogMiddleware(app, client)(environ, lambda *_: None) is body
    assert "http.server.request" in named(sent())


def test_an_error_of_ours_is_counted_and_the_application_goes_on(capsys):
    class Broken:
        def __getattr__(self, name):
            raise RuntimeError("broken client")

    before = integrations.errors()
    assert ask(MetlogMiddleware(plain, Broken())) == b"plain"
    with pytest.raises(BugError):
        ask(MetlogMiddleware(raises_at_once, Broken()))
    assert integrations.errors() - before >= 4
    assert capsys.readouterr().err.count("an integration failed") == 1


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("metlog", ("metlog.integrations", "metlog._request", "contextvars")),
        (
            "metlog.integrations.wsgi",
            ("django", "flask", "celery", "pyramid", "asyncio", "metlog.integrations.asgi"),
        ),
        ("metlog.integrations.asgi", ("starlette", "asyncio", "metlog.integrations.wsgi")),
    ],
)
def test_an_integration_imports_no_more_than_it_needs(module, absent):
    program = f"import sys, {module}; sys.exit(' '.join(name for name in {absent!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "\n")


def test_an_option_that_is_wrong_is_refused():
    with pytest.raises(ConfigError, match="ignored_paths"):
        MetlogMiddleware(plain, ignored_paths="/livez")
    with pytest.raises(ConfigError, match="unknown_option"):
        MetlogMiddleware(plain, unknown_option=1)


def test_it_keeps_to_the_protocol_under_a_server(client, sent):
    class Quiet(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    checked = validator(MetlogMiddleware(validator(plain), client))
    with make_server("127.0.0.1", 0, checked, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/page") as response:
            assert response.read() == b"plain"
        thread.join()
    assert "http.server.request" in named(sent())
