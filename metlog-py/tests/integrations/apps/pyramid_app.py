"""A Pyramid application."""

import os

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPConflict
from pyramid.response import FileResponse, Response

import metlog


def show(request):
    metlog.get_client().metlog("page")
    return Response(str(os.getpid()))


def crash(request):
    raise LookupError("the page has a bug")


def handled(request):
    raise KeyError


def on_key_error(error, request):
    return Response("sorry", status=503)


def conflict(request):
    raise HTTPConflict


def stream(request):
    def chunks():
        for _ in range(3):
            metlog.get_client().metlog("chunk")
            yield b"x" * 1000

    return Response(app_iter=chunks(), content_length=3000)


def download(request):
    return FileResponse(__file__, request=request)


settings = {
    "metlog.severity": "5",
    "metlog.http.ignored_paths": "/livez /readyz",
    "metlog.http.exceptions": "true",
}
with Configurator(settings=settings) as config:
    config.include("metlog.integrations.pyramid")
    for name, pattern, view in (
        ("root", "/", show),
        ("livez", "/livez", show),
        ("item", r"/items/{number:\d+}", show),
        ("crash", "/crash", crash),
        ("handled", "/handled", handled),
        ("conflict", "/conflict", conflict),
        ("stream", "/stream", stream),
        ("download", "/download", download),
    ):
        config.add_route(name, pattern)
        config.add_view(view, route_name=name)
    config.add_exception_view(on_key_error, context=KeyError)
    application = config.make_wsgi_app()
