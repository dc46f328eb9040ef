"""A bookmarks service that says with metlog what it does.

    gunicorn --preload --workers 2 --threads 4 --bind 127.0.0.1:8000 app:application

The client is made once, before gunicorn forks: each worker sends on its own, and has bookmarks of its own in
memory. Where messages go is the client's default: METLOG_ENDPOINT, or else the sidecar of this host.
"""

import atexit
import hmac
import itertools
import json
import os
import threading
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import metlog
import metlog_cef
from metlog.config import client_from_dict_config

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Answer = tuple[str, Any]

NAME = "bookmarks-python"
OK, CREATED = "200 OK", "201 Created"
BAD_REQUEST, UNAUTHORIZED, NOT_FOUND = "400 Bad Request", "401 Unauthorized", "404 Not Found"
SERVER_ERROR = "500 Internal Server Error"

# Who may log in; a real service keeps no passwords.
USERS = {"jane": "correct horse"}

# The product that reports security events.
PRODUCT = {
    "cef.version": "0",
    "cef.vendor": "metlog",
    "cef.product": NAME,
    "cef.device_version": metlog.__version__,
}

METLOG = client_from_dict_config(
    {
        "sender": {"class": "metlog.senders.zmq.ZmqPushSender"},
        "logger": NAME,
        # Lines for debugging stay here.
        "filters": [("metlog.filters.severity_max_provider", {"severity": metlog.SEVERITY.INFORMATIONAL})],
        "plugins": {
            "cef": ("metlog_cef:config_plugin", {"syslog_facility": "LOCAL4"}),
            "raven": ("metlog_raven:config_plugin", {}),
        },
    }
)


class Bookmarks:
    """The newest bookmarks, by number."""

    MOST = 1000

    def __init__(self) -> None:
        self._urls: dict[int, str] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, url: str) -> int:
        """Keep `url`, and drop the oldest when there are too many."""
        with self._lock:
            number = next(self._numbers)
            self._urls[number] = url
            self._urls.pop(number - self.MOST, None)
            return number

    def find(self, number: str) -> str | None:
        """Give back the URL, if there is one of that number."""
        return self._urls.get(int(number)) if number.isdecimal() else None

    def newest(self, count: int = 10) -> dict[int, str]:
        """Give back the last ones by number."""
        with self._lock:
            return dict(itertools.islice(reversed(self._urls.items()), count))


BOOKMARKS = Bookmarks()
BOOKMARKS.add("https://www.python.org/")
METLOG.info("loaded with %d bookmark", len(BOOKMARKS.newest()))


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer a request, and measure how long that takes."""
    with METLOG.timer("request"):
        return answer_request(environ, start_response)


def answer_request(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
    """Answer a request, and tell how it ended."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    request_id = environ.get("HTTP_X_REQUEST_ID") or str(uuid.uuid4())
    length = int(environ.get("CONTENT_LENGTH") or 0)

    try:
        status, answer = route(environ, environ["wsgi.input"].read(length))
    except Exception:  # noqa: BLE001 - whatever a page raises, it is reported and the service goes on
        METLOG.raven(f"{method} {path} failed")
        status, answer = SERVER_ERROR, {"error": "this page has a bug"}

    code = int(status.split()[0])
    METLOG.incr(f"status.{code}")
    METLOG.metlog(
        "services",
        fields={"request_id": request_id, "method": method, "path": path, "status": code},
    )
    body = json.dumps(answer).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def route(environ: "WSGIEnvironment", body: bytes) -> Answer:
    """Find who answers."""
    match environ["REQUEST_METHOD"], environ["PATH_INFO"].strip("/").split("/"):
        case "GET", ["bookmarks"]:
            return OK, BOOKMARKS.newest()
        case "POST", ["bookmarks"]:
            return add(body)
        case "GET", ["bookmarks", number]:
            return show(number)
        case "GET", ["bookmarks", number, "preview"]:
            return preview(number)
        case "POST", ["login"]:
            return login(environ, body)
        case "GET", ["crash"]:
            return crash()
    return NOT_FOUND, {"error": "no such page"}


def add(body: bytes) -> Answer:
    """Keep the bookmark that the body names."""
    try:
        url = str(json.loads(body)["url"])
    except (ValueError, KeyError, TypeError):
        METLOG.error("a bookmark without url was refused")
        return BAD_REQUEST, {"error": 'expected {"url": ...}'}
    number = BOOKMARKS.add(url)
    METLOG.info("bookmark %d added", number)
    return CREATED, {"number": number}


def show(number: str) -> Answer:
    """Give back a bookmark."""
    url = BOOKMARKS.find(number)
    if url is None:
        METLOG.warning("no bookmark %s", number)
        return NOT_FOUND, {"error": "no such bookmark"}
    METLOG.debug("bookmark %s found", number)
    return OK, {"url": url}


def preview(number: str) -> Answer:
    """Stand for a page that takes its time: 5 to 45 ms, by the bookmark's number."""
    status, answer = show(number)
    if status == OK:
        time.sleep(0.005 * (1 + int(number) % 9))
    return status, answer


def login(environ: "WSGIEnvironment", body: bytes) -> Answer:
    """Tell whether the body names a user and the right password."""
    try:
        given = json.loads(body)
        user, password = str(given["user"]), str(given["password"])
    except (ValueError, KeyError, TypeError):
        return BAD_REQUEST, {"error": 'expected {"user": ..., "password": ...}'}
    if user in USERS and hmac.compare_digest(USERS[user].encode(), password.encode()):
        METLOG.info("%s logged in", user)
        return OK, {"user": user}
    METLOG.cef("Login failed", 5, environ, PRODUCT, username=user, signature=metlog_cef.AUTH_FAILURE)
    return UNAUTHORIZED, {"error": "wrong user or password"}


def crash() -> Answer:
    """Stand for a page with a bug: the counter it shows is no number."""
    return OK, {"visits": visits("12x")}


def visits(counter: str) -> int:
    """Read the counter of visits."""
    try:
        return int(counter)
    except ValueError as error:
        raise LookupError("cannot read the counter of visits") from error


@atexit.register
def report() -> None:
    """For the demo: write down what this process, gunicorn's first one or a worker, thinks it has sent."""
    METLOG.close()
    if path := os.environ.get("METLOG_DEMO_REPORT"):
        stats = METLOG.stats()
        books = {"logger": NAME, "pid": os.getpid(), "attempted": stats.attempted, "sent": stats.sent}
        with Path(path).open("a") as file:
            file.write(json.dumps(books) + "\n")
