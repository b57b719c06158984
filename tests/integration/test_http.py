"""HTTP as the unit of modules/http speaks it, seen by a pedantic client and by curl."""

import json
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

import clade
import wire

KB, MB = 1024, 1024 * 1024
GOOD = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(name="served")
def served_fixture(place):
    """A single worker, so that whatever one request leaves behind meets the next one."""
    server, port = wire.serve(place)
    yield server, port
    assert not server.find("worker-exited"), server.story()


# --- connections ----------------------------------------------------------------------------------


def test_a_connection_is_kept(served):
    _, port = served
    with wire.Connection(port) as connection:
        for number in range(100):
            answer = connection.request(f"/echo?{number}", "POST" if number % 2 else "GET",
                                        b"x" * number if number % 2 else None)
            assert answer.status == 200 and not answer.close
            assert f"query {number}\n" in answer.text()
        assert connection.request("/", Connection="close").close
        assert connection.ended()


def test_pipelined_requests_are_answered_in_order(served):
    _, port = served
    with wire.Connection(port) as connection:
        kinds = [("/echo?{}", "GET", None), ("/sized?size=70000&n={}", "GET", None), ("/nap?ms=2&n={}", "GET", None),
                 ("/echo?{}", "POST", b"body"), ("/unsized?size=3000&n={}", "GET", None), ("/file?size=5000&n={}", "GET", None),
                 ("/sized?size=10&n={}", "HEAD", None), ("/empty?status=204&n={}", "GET", None)]
        requests = [(target.format(number), method, body) for number in range(20) for target, method, body in kinds]
        connection.send(b"".join(wire.message(*request) for request in requests))
        for target, method, body in requests:
            answer = connection.response(method)
            assert answer.status == (204 if "204" in target else 200)
            if target.startswith("/echo"):
                assert f"target {target}\n" in answer.text()
                assert answer.text().endswith("body" if body else "\n\n")
            elif method == "GET" and "size=" in target:
                assert answer.body == wire.pattern(int(re.search(r"size=(\d+)", target)[1]))
        assert wire.told(port)["calls"] == len(requests)


def test_pipelined_chunked_bodies(served):
    _, port = served
    with wire.Connection(port) as connection:
        bodies = [[bytes([97 + i % 26]) * (i * 7 % 50 + 1) for i in range(n)] for n in range(30)]
        connection.send(b"".join(wire.message("/echo", "POST", wire.chunked(*body), Transfer_Encoding="chunked")
                                 for body in bodies))
        for body in bodies:
            answer = connection.response()
            assert answer.body.endswith(b"\n\n" + b"".join(body))
            assert f"size {sum(map(len, body))}\n" in answer.text()


def test_http_1_0(served):
    _, port = served
    answers, end = wire.talk(port, b"GET /unsized?size=1000 HTTP/1.0\r\n\r\n")
    assert end == "end"
    (answer,) = wire.responses(answers)
    # Such a client knows no chunks, and the connection's end is the body's.
    assert answer.close and answer.get("transfer-encoding") is None
    assert answer.body == wire.pattern(1000)
    answers, end = wire.talk(port, b"GET /unsized?size=300000&flush=1&piece=65536 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    (answer,) = wire.responses(answers)
    assert end == "end" and answer.close and answer.get("transfer-encoding") is None
    assert answer.body == wire.pattern(300000)
    with wire.Connection(port) as connection:
        for _ in range(3):
            connection.send(b"GET /sized?size=5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            answer = connection.response()
            assert answer.body == wire.pattern(5) and answer.get("connection").lower() == "keep-alive"


def test_the_other_side_is_known(place):
    """Over IPv4, IPv6, and unix sockets with and without a name in the file system."""
    port = clade.free_port()
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port6 = probe.getsockname()[1]
    path, name = str(place.path / "run" / "http"), f"@clade-test-{os.getpid()}-{port}"
    addresses = [f"127.0.0.1:{port}", f"[::1]:{port6}", f"unix:{path}", f"unix:{name}"]
    server = place.run({"app": clade.native("handler")}, {address: "app" for address in addresses})
    server.wait_ready("app")
    found = set()
    for where, local in ((port, f"127.0.0.1 {port}"), (("::1", port6), f"::1 {port6}"), (path, f"{path} 0"),
                         (name, f"{name} 0")):
        with wire.Connection(where) as connection:
            text = connection.request("/echo").text()
            mine = connection.socket.getsockname()
        assert f"local {local}\n" in text
        assert f"remote {mine[0]} {mine[1]}\n" in text if isinstance(mine, tuple) else "remote  0\n" in text
        found.add(re.search(r"listener (\d+)", text)[1])
    assert found == {"0", "1", "2", "3"}


# --- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 3 * MB])
def test_bodies_arrive_whole(served, size):
    """Those that memory holds and those that are spilled, sized and chunked, in pieces of any size."""
    _, port = served
    body = wire.pattern(size)
    with wire.Connection(port) as connection:
        for piece in (1 << 20, 1000):
            request = wire.message("/sum", "POST", body)
            for at in range(0, len(request), piece):
                connection.send(request[at:at + piece])
            assert connection.response().text() == wire.summed(body)
            pieces = [body[at:at + piece] for at in range(0, size, piece)]
            connection.send(wire.message("/sum", "POST", wire.chunked(*pieces), Transfer_Encoding="chunked"))
            assert connection.response().text() == wire.summed(body)
        # The next one is not mixed up with them.
        assert connection.request("/sum", "POST", b"small").text() == wire.summed(b"small")


def test_a_body_that_nobody_reads_is_no_request(served):
    _, port = served
    with wire.Connection(port) as connection:
        for size in (10, 200 * KB):
            connection.send(wire.message("/sized?size=3", "POST", GOOD * (size // len(GOOD) + 1)))
            assert connection.response().body == wire.pattern(3)
        assert connection.request("/echo?next").text().startswith("method GET\ntarget /echo?next\n")
    assert wire.told(port)["calls"] == 3


def test_bodies_are_bounded(place):
    server, port = wire.serve(place, settings={"http": {"max_body_size": 100000}})
    assert wire.fetch(port, "/sum", "POST", b"x" * 100000).text() == wire.summed(b"x" * 100000)
    for request in (
            wire.message("/sum", "POST", b"x" * 100001),
            wire.message("/sum", "POST", b"x" * 5 * MB),
            b"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
            b"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n",
            wire.message("/sum", "POST", wire.chunked(b"x" * 100001), Transfer_Encoding="chunked"),
            wire.message("/sum", "POST", wire.chunked(*[b"x" * 1000] * 101), Transfer_Encoding="chunked"),
            wire.message("/sum", "POST", wire.chunked(*[b"x" * 1000] * 5000), Transfer_Encoding="chunked")):
        data, end = wire.talk(port, request + GOOD)
        (answer,) = wire.responses(data)
        # The answer is there to be read, however much the client goes on to say.
        assert (answer.status, answer.close, answer.interim, end) == (413, True, [], "end"), (answer, end)
    assert wire.told(port)["calls"] == 1
    assert not server.find("worker-exited")


def test_expect(served):
    _, port = served
    with wire.Connection(port) as connection:
        head = wire.message("/echo", "POST", b"", Expect="100-continue").replace(b"Length: 0", b"Length: 5")
        connection.send(head)
        assert connection.stream.peek(1).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.send(b"hello")
        answer = connection.response()
        assert answer.interim == [100] and answer.text().endswith("\n\nhello")
        # A client that does not wait may be spared it.
        connection.send(head + b"hello")
        answer = connection.response()
        assert answer.interim in ([], [100]) and answer.text().endswith("\n\nhello")
        # No body, no interim answer.
        assert connection.request("/echo", Expect="100-continue").interim == []
        # In any case of letters.
        connection.send(head.replace(b"100-c", b"100-C"))
        assert connection.stream.peek(1)
        connection.send(b"hello")
        assert connection.response().interim == [100]
        connection.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert connection.stream.peek(1)
        connection.send(wire.chunked(b"hello"))
        answer = connection.response()
        assert answer.interim == [100] and answer.text().endswith("\n\nhello")
    # HTTP/1.0 has no interim answers.
    data, _ = wire.talk(port, b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
    (answer,) = wire.responses(data)
    assert answer.interim == [] and answer.status == 200


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1000, 65536, 5 * MB])
def test_answers_of_every_size(served, size):
    _, port = served
    expected = wire.pattern(size)
    with wire.Connection(port, 30) as connection:
        for target, sized in ((f"/sized?size={size}", True), (f"/unsized?size={size}", None),
                              (f"/unsized?size={size}&flush=1", False), (f"/file?size={size}", True),
                              (f"/file?size={size}&chunked=1", None)):
            answer = connection.request(target)
            assert answer.status == 200 and answer.body == expected, target
            if sized is not None and size:
                assert (answer.get("content-length") is not None) == sized, target
            # The same without the body, and nothing of it left in the way.
            head = connection.request(target, "HEAD")
            assert head.status == 200 and head.body == b""
            if sized:
                assert head.get("content-length") == str(size)


def test_files(served):
    _, port = served
    with wire.Connection(port) as connection:
        for size, offset, length, before in ((10, 0, 10, 0), (100, 10, 50, 0), (100, 100, 0, 0), (70000, 1, 69999, 3),
                                             (3 * MB, 12345, 2 * MB, 70000), (5000, 0, 0, 10)):
            for chunked in (0, 1):
                target = f"/file?size={size}&offset={offset}&length={length}&before={before}&chunked={chunked}"
                answer = connection.request(target)
                assert answer.body == wire.pattern(before) + wire.pattern(length, offset), target
    # A file that is shorter than it was said to be: the client must see that something is missing.
    for chunked in (0, 1):
        with pytest.raises(wire.Malformed):
            wire.fetch(port, f"/file?size=100&length=200000&chunked={chunked}")
    # No descriptor stays.
    first = wire.fetch(port, "/descriptors").text()
    for _ in range(20):
        wire.fetch(port, "/file?size=1000")
        wire.fetch(port, "/sum", "POST", b"x" * 100000)
    assert wire.fetch(port, "/descriptors").text() == first


def test_streaming_is_not_held_back(served):
    """What is flushed is there before the handler goes on."""
    _, port = served
    with wire.Connection(port) as connection:
        connection.send(wire.message("/unsized?size=30&piece=10&flush=1&pause=300"))
        arrivals, received = [], b""
        while not received.endswith(b"0\r\n\r\n"):
            piece = connection.socket.recv(65536)
            assert piece
            received += piece
            arrivals.append(time.monotonic())
    assert arrivals[-1] - arrivals[0] > 0.4
    assert wire.responses(received)[0].body == wire.pattern(30)


def test_statuses_without_a_body(served):
    _, port = served
    with wire.Connection(port) as connection:
        for status in (204, 304):
            answer = connection.request(f"/empty?status={status}")
            assert answer.status == status and not answer.close
            # Even when the handler writes one.
            connection.send(wire.message(f"/unsized?status={status}&size=10"))
            answer = connection.response()
            assert answer.status == status
        for status in (200, 201, 400, 404, 500, 503, 599):
            answer = connection.request(f"/empty?status={status}")
            assert answer.status == status and answer.body == b"" and answer.get("content-length") == "0"
            assert connection.request(f"/sized?status={status}&size=7").body == wire.pattern(7)
            assert connection.request(f"/empty?status={status}", "HEAD").status == status


def test_answers_that_do_not_keep_their_word(served):
    _, port = served
    # Less than was declared, and nothing has been sent yet: a failure like any other.
    for target in ("/declared?size=10&written=5", "/declared?size=10&written=0"):
        assert wire.fetch(port, target).status == 500
    # The end of the connection tells the client, and nothing else takes its place.
    data, end = wire.talk(port, wire.message("/declared?size=3000000&written=2999999") + wire.message("/"))
    assert end in ("end", "reset")
    with pytest.raises(wire.Cut):
        wire.responses(data)
    assert data.count(b"HTTP/1.1") == 1
    # More: what is too much is never sent, and the handler is told.
    with wire.Connection(port) as connection:
        answer = connection.request("/declared?size=10&written=20&piece=10")
        assert answer.body == wire.pattern(10)
    assert wire.told(port)["error"] == "EMSGSIZE"


def test_handlers_that_do_not_answer(served):
    _, port = served
    for target in ("/nothing", "/nothing?value=1", "/nothing?value=-5", "/nothing?value=-2147483648"):
        answer = wire.fetch(port, target)
        assert answer.status == 500, target
    # It failed when an answer had begun, of which nothing was sent.
    answer = wire.fetch(port, "/nothing?value=-5&respond=1")
    assert answer.status == 500
    # Part of it was sent: it cannot be taken back, and must not look complete.
    with pytest.raises(wire.Malformed):
        wire.fetch(port, "/nothing?value=-5&respond=1&write=100&flush=1")
    with wire.Connection(port) as connection:
        answer = connection.request("/nothing")
        assert answer.status == 500
        assert connection.ended() if answer.close else connection.request("/").status == 200


def test_answers_that_cannot_be_sent(served):
    _, port = served
    answer = wire.fetch(port, "/impossible")
    assert answer.text() == "taken: \n"
    assert answer.get("x-bad") is None and answer.get("injected") is None


def test_a_worker_that_dies_takes_only_its_own_requests_along(place):
    server, port = wire.serve(place, processes=2)
    for target in ("/exit?code=0", "/exit?code=3", "/crash?signal=11", "/crash?signal=9"):
        data, end = wire.talk(port, wire.message(target))
        assert data == b"" and end in ("end", "reset"), target
        for _ in range(20):
            assert wire.fetch(port).status == 200
    server.wait_event("worker-exited", count=4)


# --- others' clients ------------------------------------------------------------------------------


def curl(port, *arguments, refuse=None):
    if not shutil.which("curl"):
        refuse("curl is not installed: ./dev deps")
    result = subprocess.run(["curl", "-sS", "--http1.1", "--max-time", str(20 * clade.SLOW), *arguments],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 0, (arguments, result.stderr, port)
    return result.stdout


def test_curl(place, served, refuse):
    _, port = served
    url = f"http://127.0.0.1:{port}"
    big = place.path / "files" / "big"
    big.write_bytes(wire.pattern(3 * MB))

    def ask(*arguments):
        return curl(port, *arguments, refuse=refuse)

    assert ask(f"{url}/sized?size=100000") == wire.pattern(100000)
    assert ask(f"{url}/unsized?size=2000000") == wire.pattern(2000000)
    assert ask("--http1.0", f"{url}/unsized?size=2000000") == wire.pattern(2000000)
    assert ask("-d", "a=b", f"{url}/echo").endswith(b"\n\na=b")
    # -T says Expect for large files, and chunks what it reads from a pipe.
    summed = wire.summed(big.read_bytes()).encode()
    assert ask("-T", str(big), f"{url}/sum") == summed
    assert ask("-T", str(big), "-H", "Transfer-Encoding: chunked", f"{url}/sum") == summed
    assert ask("-H", "Expect: 100-continue", "--data-binary", f"@{big}", f"{url}/sum") == summed
    head = ask("-I", f"{url}/sized?size=12345").decode()
    assert "HTTP/1.1 200" in head and "Content-Length: 12345" in head
    # Two transfers, one connection.
    counted = ask("-w", "%{num_connects} ", "-o", "/dev/null", f"{url}/sized?size=10", "-o", "/dev/null",
                  f"{url}/unsized?size=10")
    assert counted == b"1 0 "
    # Upgrades are declined in HTTP/1.1.
    assert ask("--http2", f"{url}/sized?size=10") == wire.pattern(10)


# --- the access log -------------------------------------------------------------------------------


COMMON = re.compile(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "([^"\\]|\\.)*" \d{3} (\d+|-)')

REQUESTS = (
    (b"GET /sized?size=5 HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /sized?size=5 HTTP/1.1"),
    (b"POST /empty?status=404 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 404, "POST /empty?status=404 HTTP/1.1"),
    (b"GET /sized?size=1&a=\"%0a%22\\x HTTP/1.1\r\nHost: a\r\nUser-Agent: \"x\\\r\nReferer: <'\">\r\n\r\n", 200, None),
    (b"GET /empty?status=200\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, None),
    (b"GET /empty\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n", 400, None),
    (b"GET /empty\n127.0.0.1 - - forged\n HTTP/1.1\r\nHost: a\r\n\r\n", 400, None),
)


@pytest.mark.parametrize("kind", ["common", "json"])
def test_access_log(place, kind):
    server, port = wire.serve(place, access_log=kind)
    for number, (request, status, line) in enumerate(REQUESTS):
        mark = server.mark()
        data, _ = wire.talk(port, request.replace(b"Host: a", b"Host: a\r\nConnection: close"))
        assert wire.responses(data)[0].status == status
        event = server.wait_event("output", "app", since=mark, stream="stdout")
        text = event["text"]
        assert text.isprintable() and "\\ud" not in text, text
        if kind == "common":
            assert COMMON.match(text), text
            assert f'" {status} ' in text
            assert line is None or f'"{line}" {status} ' in text
        else:
            entry = json.loads(text)
            assert entry["status"] == status, entry
            if line is not None:
                assert (entry["method"], entry["target"]) == tuple(line.split()[:2])
        time.sleep(0.05)
        assert len(server.find("output", "app", since=mark)) == 1, number


def test_the_access_log_is_off(served):
    server, port = served
    for _ in range(5):
        wire.fetch(port)
    wire.talk(port, b"\0")
    time.sleep(0.2)
    assert not server.find("output", "app")
