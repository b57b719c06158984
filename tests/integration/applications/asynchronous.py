"""An ASGI application without a framework: HTTP, websockets, lifespan, and ways to go wrong."""

import asyncio
import json
import os
import time

STATE = {"lifespan": [], "requests": 0}


async def answer(send, body, status=200):
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


async def lifespan(receive, send):
    while True:
        message = await receive()
        STATE["lifespan"].append(message["type"])
        print(message["type"], flush=True)
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": "echo " + message["text"]})


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["type"] == "websocket":
        return await websocket(receive, send)
    STATE["requests"] += 1
    path = scope["path"]
    if path == "/body":
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        return await answer(send, str(len(body)).encode())
    if path == "/wait":
        await asyncio.sleep(float(scope["query_string"]))
    if path == "/block":
        time.sleep(float(scope["query_string"]))
    if path == "/raise":
        raise RuntimeError("an application's own")
    return await answer(send, json.dumps({
        "pid": os.getpid(), "root": scope.get("root_path"), "path": path, "client": scope["client"],
        **STATE}).encode())


class Instance:
    """Found out to be ASGI by its __call__."""

    async def __call__(self, scope, receive, send):
        await application(scope, receive, send)


instance = Instance()


def plain(scope, receive, send):
    """Found out by the names of what it is called with."""
    return application(scope, receive, send)
