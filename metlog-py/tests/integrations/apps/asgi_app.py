"""A Starlette and a FastAPI application with what ASGI can do; each answer is the process's pid."""

import asyncio
import os
from pathlib import Path

from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

import metlog
from metlog.integrations.fastapi import MetlogMiddleware

client = metlog.get_client()


async def show(request):
    client.metlog("page")
    return PlainTextResponse(str(os.getpid()))


async def crash(request):
    raise LookupError("the page has a bug")


async def stream(request):
    async def chunks():
        for _ in range(int(request.query_params.get("chunks", 3))):
            await asyncio.sleep(0.05)
            yield b"x" * 1000

    return StreamingResponse(chunks())


async def later(request):
    async def work():
        await asyncio.sleep(0.2)
        client.metlog("background")
        raise ValueError("the background has a bug")

    return PlainTextResponse("ok", background=BackgroundTask(work))


async def echo(websocket: WebSocket):
    await websocket.accept()
    client.metlog("socket")
    text = await websocket.receive_text()
    if text == "crash":
        raise LookupError("the socket has a bug")
    await websocket.send_text(text)
    await websocket.close(4001)


async def refuse(websocket: WebSocket):
    await websocket.close()


# Two requests that overlap in one thread, each bound to its own.
async def overlap(request):
    with client.bind(number=request.path_params["number"]):
        await asyncio.sleep(0.1)
        client.metlog("overlap")
    return PlainTextResponse("ok")


routes = [
    Route("/", show),
    Route("/items/{item_id:int}", show),
    Route("/crash", crash),
    Route("/stream", stream),
    Route("/later", later),
    Route("/overlap/{number}", overlap),
    WebSocketRoute("/echo/{name}", echo),
    WebSocketRoute("/refuse", refuse),
    Mount("/files", StaticFiles(directory=Path(__file__).parent)),
    Mount("/tenants/{tenant}", routes=[Route("/items/{item_id}", show)]),
]
starlette = Starlette(routes=routes, middleware=[Middleware(MetlogMiddleware)])

fastapi = FastAPI()
fastapi.add_middleware(MetlogMiddleware)
router = APIRouter(prefix="/things")


@router.get("/{thing_id}")
async def thing(thing_id: int):
    return os.getpid()


@router.get("/{thing_id}/crash")
def thing_crash(thing_id: int):
    raise LookupError("the page has a bug")


@fastapi.get("/")
def root():
    # In a thread of the pool: what the request has bound is there too.
    client.metlog("page")
    return os.getpid()


fastapi.include_router(router, prefix="/v1")
inner = FastAPI()
inner.include_router(router)
fastapi.mount("/inner", inner)


async def plain(scope, receive, send):
    """Knows no lifespan."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})


plain = MetlogMiddleware(plain)
