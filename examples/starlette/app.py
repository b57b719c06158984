"""An ASGI application. uvicorn runs it, one event loop in each worker."""

import asyncio
import os

from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

requests = 0


async def hello(request):
    global requests
    requests += 1
    return JSONResponse({"hello": request.query_params.get("name", "world"), "worker": os.getpid(),
                         "requests": requests})


async def wait(_request):
    """Others are answered meanwhile, also by this worker."""
    await asyncio.sleep(0.5)
    return JSONResponse({"waited": 0.5, "worker": os.getpid()})


async def count(request):
    """Sends each number as soon as it is there."""
    async def numbers():
        for number in range(int(request.path_params["to"])):
            yield f"{number + 1}\n"
            await asyncio.sleep(0.1)
    return StreamingResponse(numbers(), media_type="text/plain")


async def echo(request):
    return JSONResponse({"you sent": await request.json()})


app = Starlette(routes=[
    Route("/", hello),
    Route("/wait", wait),
    Route("/count/{to:int}", count),
    Route("/echo", echo, methods=["POST"]),
])
