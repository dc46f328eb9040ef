"""A WSGI application: each answer is the process's pid."""

import os
import time

import metlog
from metlog.integrations.uwsgi import release
from metlog.integrations.wsgi import MetlogMiddleware


def answer(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/crash":
        raise LookupError("the page has a bug")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/stream":
        return stream()
    metlog.get_client().metlog("page", fields={"path": path})
    return [str(os.getpid()).encode()]


def stream():
    for _ in range(3):
        time.sleep(0.05)
        yield b"x" * 1000


# Said before a server forks, where it loads the application first.
metlog.get_client().metlog("loaded")
application = MetlogMiddleware(answer)
release()
