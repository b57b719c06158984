"""ASGI: the application's own server, on the worker's listeners, in a sandbox without a network."""

import base64
import concurrent.futures
import importlib.util
import json
import os
import signal
import socket
import time

import pytest

import clade
from python_application import APPLICATIONS, Served

SOURCE = (APPLICATIONS / "asynchronous.py").read_text()


@pytest.fixture(name="server", params=["uvicorn", "hypercorn"])
def server_fixture(request, refuse):
    if not importlib.util.find_spec(request.param):
        refuse(f"{request.param} is not installed: ./dev deps")
    return request.param


@pytest.mark.users("root", "user")
def test_it_serves(place, server):
    served = Served(place, SOURCE, server=server, prefix="/api")
    status, _, body = served.ask("/api/x" if server == "hypercorn" else "/x")
    state = json.loads(body)
    assert status == 200 and state["root"] == "/api" and state["client"][0] == "127.0.0.1"
    assert state["lifespan"] == ["lifespan.startup"] and state["pid"] != 1
    large = os.urandom(2_000_000)
    assert served.ask("/body", "POST", large)[2] == b"2000000"
    # Many at once, in one worker.
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: served.ask("/wait?0.5")[0], range(8)))
    assert answers == [200] * 8 and time.monotonic() - start < 2 * clade.SLOW
    assert served.ask("/raise")[0] == 500
    served.wait_log("RuntimeError: an application's own")
    # What was begun is answered, then the application is told.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        late = pool.submit(served.ask, "/wait?1")
        time.sleep(0.4)
        served.server.send(signal.SIGTERM)
        assert late.result()[0] == 200
    assert served.server.wait() == 0
    assert "lifespan.shutdown" in served.log()
    assert served.server.find("worker-exited", "app", code=0)


@pytest.mark.users("root")
@pytest.mark.parametrize("name", ["instance", "plain"])
def test_it_is_found_out(place, name, refuse):
    if not importlib.util.find_spec("uvicorn"):
        refuse("uvicorn is not installed: ./dev deps")
    served = Served(place, SOURCE, callable=name)
    assert json.loads(served.ask("/x")[2])["path"] == "/x"


@pytest.mark.users("root")
def test_a_websocket(place, server, refuse):
    needs = "wsproto" if server == "hypercorn" else "websockets"
    if not any(importlib.util.find_spec(name) for name in (needs, "wsproto")):
        refuse(f"{needs} is not installed: ./dev deps")
    served = Served(place, SOURCE, server=server)
    key = base64.b64encode(os.urandom(16)).decode()
    with socket.create_connection(("127.0.0.1", served.port), 10) as client:
        client.sendall(f"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        answer = client.recv(4096)
        assert b" 101 " in answer, answer
        client.sendall(b"\x81\x85\0\0\0\0hello")
        frame = answer.partition(b"\r\n\r\n")[2]
        while len(frame) < 12:
            frame += client.recv(4096)
        assert frame == b"\x81\x0aecho hello"


@pytest.mark.users("root")
def test_targets(place, server):
    served = Served(place, SOURCE, server=server, listeners=2, module=None, passes=["one", "two"],
                    targets={"one": {"module": "app"},
                             "two": {"module": "app", "callable": "instance", "prefix": "/two"}})
    assert json.loads(served.ask("/x")[2])["root"] in ("", None)
    target = "/two/x" if server == "hypercorn" else "/x"
    assert json.loads(served.ask(target, port=served.ports[1])[2])["root"] == "/two"


@pytest.mark.users("root")
def test_workers_are_renewed(place, server):
    served = Served(place, SOURCE, server=server, limits={"requests": 4},
                    processes={"max": 2, "spare": 2})
    pids = set()
    for _ in range(30):
        status, _, body = served.ask("/x")
        assert status == 200
        pids.add(json.loads(body)["pid"])
    assert len(pids) >= 4
    assert not served.server.find("application-failed")
    assert not [event for event in served.server.find("worker-exited") if event.get("code") != 0]


@pytest.mark.users("root")
@pytest.mark.parametrize("how", ["wait", "block"])
def test_what_hangs_is_named(place, refuse, how):
    if not importlib.util.find_spec("uvicorn"):
        refuse("uvicorn is not installed: ./dev deps")
    served = Served(place, SOURCE, limits={"timeout": 1})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(served.ask, f"/{how}?60")
        served.wait_log("line" if how == "block" else "limits.timeout")
        served.wait_log("in application")
    clade.wait_until(lambda: served.ask("/x")[0] == 200, 20, "another worker")
