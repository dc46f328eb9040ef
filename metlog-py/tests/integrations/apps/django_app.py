"""A Django project in one file, for WSGI and ASGI; each answer is the process's pid."""

import asyncio
import logging
import os
import time
from pathlib import Path

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests",
    INSTALLED_APPS=["metlog.integrations.django.MetlogConfig"],
    MIDDLEWARE=["metlog.integrations.django.MetlogMiddleware"],
    METLOG={"severity": 5, "http": {"ignored_paths": ["/livez"], "request_message": "services"}},
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"metlog": {"class": "metlog.logging.MetlogHandler"}},
        "loggers": {"shop": {"handlers": ["metlog"], "level": "INFO"}},
    },
)
django.setup()

import metlog  # noqa: E402 - Django comes first

client = metlog.get_client()


def show(request, number=0):
    logging.getLogger("shop").info("item %d shown", number)
    return HttpResponse(str(os.getpid()))


def crash(request):
    raise LookupError("the page has a bug")


def stream(request):
    def chunks():
        for _ in range(3):
            time.sleep(0.05)
            client.metlog("chunk")
            yield b"x" * 1000

    return StreamingHttpResponse(chunks())


async def async_show(request):
    await asyncio.sleep(0)
    client.metlog("page")
    return HttpResponse(str(os.getpid()))


async def async_crash(request):
    raise LookupError("the page has a bug")


async def async_stream(request):
    async def chunks():
        for _ in range(3):
            await asyncio.sleep(0.05)
            client.metlog("chunk")
            yield b"x" * 1000

    return StreamingHttpResponse(chunks())


def download(request):
    return FileResponse(Path(__file__).open("rb"))


shop = [
    path("items/<int:number>/", show),
    re_path(r"^years/(?P<year>[0-9]{4})/$", lambda request, year: show(request)),
]
urlpatterns = [
    path("", show),
    path("livez", show),
    path("crash", crash),
    path("stream", stream),
    path("async/", async_show),
    path("async/crash", async_crash),
    path("async/stream", async_stream),
    path("download", download),
    path("shop/", include(shop)),
]

application = get_wsgi_application()
asgi = get_asgi_application()
