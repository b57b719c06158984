"""The demo's server, as a visitor's tools meet it."""

import socket
import time

import pytest

import clade


@pytest.fixture(name="port")
def demo_port(place):
    port = clade.free_port()
    application = {"type": "native", "library": str(clade.BUILD / "examples/demo/demo.so")}
    server = place.run({"demo": application}, {f"127.0.0.1:{port}": "demo"})
    server.wait_ready("demo")
    return port


def exchange(port, request):
    """All that comes back, and how long it took until the end."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return answer, time.monotonic() - begin


def test_head_is_get_without_its_body(port):
    for target, status in (("/", b"200"), ("/nowhere", b"404")):
        (got, _), (head, _) = (exchange(port, f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                               for method in ("GET", "HEAD"))
        fields, _, body = got.partition(b"\r\n\r\n")
        assert fields.split()[1] == status and body
        assert head.endswith(b"\r\n\r\n") and head.split()[1] == status
        names = [line.split(b":")[0] for line in fields.split(b"\r\n")[1:]]
        assert [line.split(b":")[0] for line in head.strip().split(b"\r\n")[1:]] == names
        assert b"Content-Length: 0" not in head


def test_other_methods_are_told_which_there_are(port):
    answer, _ = exchange(port, b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.split()[1] == b"405" and b"\r\nAllow: GET, HEAD\r\n" in answer


def test_tls_is_refused_at_once(port):
    """A ClientHello has no empty line that could be waited for; the server's patience is 5 s."""
    answer, seconds = exchange(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64))
    assert answer.startswith(b"HTTP/1.1 400 ") and seconds < 3
