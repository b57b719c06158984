"""How connections, workers and requests end: by clocks, by signals, by clients that go, by limits."""

import contextlib
import signal
import socket
import struct
import threading
import time

import pytest

import clade
import wire

# It is the same code whoever runs it; test_http.py is for both.
pytestmark = pytest.mark.users("user")

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


def run_all(*functions):
    """Runs them at once; the first failure is ours."""
    failures = []

    def one(function):
        try:
            function()
        except BaseException as error:  # pylint: disable=broad-except
            failures.append((function.__name__, error))

    threads = [threading.Thread(target=one, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60 * clade.SLOW)
    for name, error in failures:
        raise AssertionError(f"{name}: {error!r}") from error
    assert not any(thread.is_alive() for thread in threads)


# --- clocks ---------------------------------------------------------------------------------------


def ends(port, pieces, every=0.0, least=0.9, most=3.0):
    """Sends pieces and waits: what came back until the end, which must lie within these seconds."""
    with wire.Connection(port, 20) as connection:
        start = time.monotonic()
        received = b""
        connection.socket.settimeout(max(every, 0.01))
        pieces = list(pieces)
        while time.monotonic() < start + 20 * clade.SLOW:
            if pieces:
                with contextlib.suppress(OSError):
                    connection.send(pieces.pop(0))
            with contextlib.suppress(TimeoutError):
                piece = connection.socket.recv(65536)
                if not piece:
                    took = time.monotonic() - start
                    assert least <= took <= most * clade.SLOW, f"{took} s; {received!r}"
                    return received
                received += piece
    raise AssertionError(f"never ended; {received!r}")


def test_clients_are_waited_for_as_long_as_configured(place):
    server, port = wire.serve(place, settings={"http": {
        "header_read_timeout": 1, "body_read_timeout": 1, "send_timeout": 1, "idle_timeout": 1}})
    body = b"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
    coded = b"POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

    def silent_from_the_beginning():
        assert ends(port, []) == b""

    def part_of_a_head():
        assert_408(ends(port, [HEAD]))

    def a_head_in_drops():  # each byte comes soon; the whole does not
        assert_408(ends(port, [HEAD[i:i + 1] for i in range(len(HEAD))] + [b"X"] * 100, 0.1))

    def no_body():
        assert_408(ends(port, [body]))

    def part_of_a_body():
        assert_408(ends(port, [body + b"12345"]))

    def part_of_a_chunk():
        assert_408(ends(port, [coded + b"a\r\n12345"]))

    def a_trailer_that_does_not_end():
        assert_408(ends(port, [coded + b"0\r\nX: "]))

    def idle():
        (answer,) = wire.responses(ends(port, [HEAD + b"\r\n"]))
        assert answer.status == 200 and not answer.close

    def a_second_head():
        data = ends(port, [HEAD + b"\r\n" + HEAD])
        assert [answer.status for answer in wire.responses(data)] == [200, 408]

    def busy_enough():
        with wire.Connection(port) as connection:
            for _ in range(5):
                assert connection.request("/").status == 200
                time.sleep(0.5)

    def a_body_in_time():  # longer than any of the limits, never silent for one
        with wire.Connection(port) as connection:
            connection.send(body)
            for i in range(10):
                time.sleep(0.2)
                connection.send(b"%d" % i)
            assert connection.response().text() == wire.summed(b"0123456789")

    run_all(silent_from_the_beginning, part_of_a_head, a_head_in_drops, no_body, part_of_a_body, part_of_a_chunk,
            a_trailer_that_does_not_end, idle, a_second_head, busy_enough, a_body_in_time)
    # What a handler takes is nobody's fault.
    assert wire.fetch(port, "/nap?ms=1300").status == 200
    assert not server.find("worker-exited")


def assert_408(data):
    """Told so, or just closed: nothing else."""
    if data:
        (answer,) = wire.responses(data)
        assert answer.status == 408 and answer.close, answer


def test_clients_that_do_not_read(place):
    server, port = wire.serve(place, processes=3, settings={"http": {"send_timeout": 1}})
    before = {pid: wire.descriptors(pid) for pid in server.workers("app")}
    connections = []
    for target in ("/sized?size=8000000", "/unsized?size=8000000", "/file?size=8000000") * 3:
        connection = wire.Connection(port, receive_buffer=4096)
        connection.send(wire.message(target))
        connections.append(connection)
    # It streams more than anybody buffers, and is told in the end.
    endless = wire.Connection(port, receive_buffer=4096)
    endless.send(wire.message("/endless"))
    connections.append(endless)
    assert wire.fetch(port).status == 200
    clade.wait_until(lambda: wire.told(port)["running"] == 0, 15, "the handlers return")
    assert wire.told(port)["error"] in ("ETIMEDOUT", "EPIPE")
    clade.wait_until(lambda: {pid: wire.descriptors(pid) for pid in before} == before, 10, "all are closed")
    for connection in connections:
        connection.close()
    # Slow is not dead: who takes some all the time gets all.
    with wire.Connection(port, 30, receive_buffer=65536) as connection:
        connection.send(wire.message("/sized?size=6000000"))
        received = []
        while sum(map(len, received)) < 6000000:
            received.append(connection.socket.recv(100000 if len(received) < 14 else 1 << 20))
            assert received[-1]
            time.sleep(0.1 if len(received) < 14 else 0)
        assert wire.responses(b"".join(received))[0].body == wire.pattern(6000000)
    assert not server.find("worker-exited")


# --- clients that go ------------------------------------------------------------------------------


def test_clients_close_at_every_point(place):
    server, port = wire.serve(place)
    request = wire.message("/sum", "POST", wire.chunked(b"hello", b"x" * 20), Transfer_Encoding="chunked")
    requests = [request, wire.message("/sum", "POST", b"hello world", Expect="100-continue"),
                wire.message() + wire.message("/sized?size=100000"), wire.message("/file?size=500000")]
    (pid,) = server.workers("app")
    wire.told(port)
    before = clade.wait_until(lambda: wire.descriptors(pid), 1)
    for hard in (False, True):
        for data in requests:
            for at in range(0, len(data) + 1, 1 if hard else 3):
                with wire.Connection(port) as connection:
                    if hard:
                        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.send(data[:at])
        # In the midst of answers of every kind.
        for target in ("/sized?size=3000000", "/unsized?size=3000000&flush=1", "/file?size=3000000", "/endless"):
            for size in (0, 1, 17, 200, 5000, 100000, 1000000):
                with wire.Connection(port) as connection:
                    if hard:
                        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.send(wire.message(target))
                    connection.stream.read(size)
    clade.wait_until(lambda: wire.told(port)["running"] == 0, 10, "no handler is left")
    clade.wait_until(lambda: wire.descriptors(pid) <= before, 10, "no descriptor is left")
    assert not server.find("worker-exited"), server.story()
    assert list(server.workers("app")) == [pid]


def test_half_closed_clients_are_answered(place):
    _, port = wire.serve(place)
    for request, count in ((wire.message("/sized?size=3000000"), 1), (wire.message("/sum", "POST", b"hello"), 1),
                           (wire.message("/nap?ms=200") + wire.message("/file?size=100000"), 2)):
        data, end = wire.talk(port, request, shut=True)
        assert end == "end" and [answer.status for answer in wire.responses(data)] == [200] * count
    # Half a request, and no more to come, is none.
    calls = wire.told(port)["calls"]
    for request in (wire.message()[:-2], wire.message("/sum", "POST", b"hello")[:-1]):
        data, end = wire.talk(port, request, shut=True)
        assert end == "end"
        assert all(answer.status >= 400 for answer in wire.responses(data))
    assert wire.told(port)["calls"] == calls


# --- SIGTERM --------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 4])
def test_what_was_begun_is_finished(place, processes):
    server, port = wire.serve(place, processes=processes, settings={"stop_timeout": 20})
    with contextlib.ExitStack() as stack:
        def connect():
            return stack.enter_context(wire.Connection(port, 20))

        idle, asked, reading, sending, untouched = connect(), connect(), connect(), connect(), connect()
        assert idle.request("/").status == 200
        reading.send(wire.message("/sized?size=6000000"))  # more than the kernel takes
        reading.stream.peek(1)
        sending.send(wire.message("/sum", "POST", b"hello world")[:-5])
        asked.send(wire.message("/nap?ms=700"))
        clade.wait_until(lambda: processes == 1 or wire.told(port)["running"] == 1, 5, "a handler runs")
        time.sleep(0.2)
        server.send(signal.SIGTERM)
        time.sleep(0.2)
        sending.send(b"world")
        answer = asked.response()
        assert answer.status == 200 and answer.close and asked.ended()
        answer = sending.response()
        assert answer.text() == wire.summed(b"hello world") and answer.close and sending.ended()
        assert reading.response().body == wire.pattern(6000000)
        assert idle.ended() and reading.ended()
        assert untouched.ended()
    assert server.wait() == 0
    assert all(event["code"] == 0 for event in server.find("worker-exited")), server.story()


class Clients:
    """Threads that ask without end, each on one connection for as long as that is kept; what fails is counted.
    A connection may be closed between two requests; then the next one is made on another, as every client does."""

    def __init__(self, port, count, targets=("/",), fresh=False):
        self.port, self.targets, self.fresh = port, targets, fresh
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.answers, self.closed, self.failures = 0, 0, []
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self):
        connection, number = None, 0
        while not self.over.is_set():
            target = self.targets[number % len(self.targets)]
            number += 1
            try:
                connection = connection or wire.Connection(self.port)
                answer = connection.request(target, **({"Connection": "close"} if self.fresh else {}))
                if answer.status != 200:
                    raise wire.Malformed(repr(answer))
            except (OSError, wire.Malformed) as error:
                with self.lock:
                    self.failures.append(f"{target}: {error!r}")
                connection = None
                continue
            with self.lock:
                self.answers += 1
                self.closed += answer.close
            if answer.close:
                connection.close()
                connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(30 * clade.SLOW)


def test_sigterm_under_load_loses_nothing(place):
    """Whoever has been taken on is answered; those who come later find the door closed and nothing half done."""
    server, port = wire.serve(place, processes=3)
    with Clients(port, 4, ("/nap?ms=20", "/sized?size=100000")) as kept, \
            Clients(port, 4, ("/nap?ms=10", "/unsized?size=100000&flush=1"), fresh=True) as fresh:
        time.sleep(1)
        assert not kept.failures and not fresh.failures
        server.send(signal.SIGTERM)
        assert server.wait() == 0
    assert kept.answers > 50 and fresh.answers > 50
    for failure in kept.failures + fresh.failures:
        # Refused, or closed before a byte of an answer: it may be sent again elsewhere. Never half an answer.
        assert "ConnectionRefused" in failure or "ConnectionReset" in failure or "BrokenPipe" in failure \
            or "no answer to" in failure, failure
    assert all(event.get("code") == 0 for event in server.find("worker-exited")), server.story()


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [False, True])
def test_renewed_workers_lose_no_request(place, fresh):
    server, port = wire.serve(place, processes=3, limits={"requests": 40})
    with Clients(port, 6, ("/", "/sized?size=50000", "/nap?ms=5"), fresh) as clients:
        server.wait_event("worker-exited", count=12, timeout=30)
    assert not clients.failures, clients.failures[:5]
    assert clients.answers >= 12 * 30
    assert clients.closed < clients.answers or fresh
    assert all(event.get("code") == 0 for event in server.find("worker-exited")), server.story()
    assert not [event for event in server.events if event["level"] in ("warning", "error")], server.story()


def test_no_worker_serves_more_than_its_limit(place):
    server, port = wire.serve(place, processes=2, limits={"requests": 10})
    served = {}
    for number in range(100):
        if number % 2:
            answers = [wire.fetch(port)]
        else:
            data, _ = wire.talk(port, wire.message() * 3 + wire.message("/", Connection="close"))
            answers = wire.responses(data)
        for answer in answers:
            served[answer.text()] = served.get(answer.text(), 0) + 1
    assert max(served.values()) <= 10, served
    assert len(served) >= 20
    assert not server.find("worker-exited", signal=9)


def test_a_pipeline_longer_than_the_limit(place):
    """The client learns which requests were not served: the last answer says close, and it asks again."""
    _, port = wire.serve(place, processes=2, limits={"requests": 5})
    left, answers = 30, 0
    while left > 0:
        data, end = wire.talk(port, wire.message() * left)
        got = wire.responses(data)
        assert got and end in ("end", "reset") and got[-1].close and len(got) <= 5, (got, end)
        assert not any(answer.close for answer in got[:-1])
        answers += len(got)
        left -= len(got)
    assert answers == 30


def test_a_hung_handler_is_ended_and_its_client_told(place):
    server, port = wire.serve(place, processes=2, limits={"timeout": 1})
    start = time.monotonic()
    with wire.Connection(port, 15) as connection, Clients(port, 3, ("/nap?ms=3",)) as others:
        connection.send(wire.message("/hang"))
        try:
            answer = connection.response()
        except ConnectionResetError:
            answer = None
        took = time.monotonic() - start
        time.sleep(0.5)
    assert answer is None or (answer.status == 503 and answer.close), answer
    assert 0.9 <= took < 8 * clade.SLOW, took
    assert len(others.failures) == 0, others.failures[:5]
    assert others.answers > 50
    server.wait_event("worker-exited", "app", timeout=20)
    assert wire.fetch(port).status == 200


def test_who_waits_behind_a_hung_handler_is_served_by_others(place):
    """All connections of that worker, with a request on each, sent while the handler hangs."""
    server, port = wire.serve(place, processes=2, limits={"timeout": 2})
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(wire.Connection(port, 15)) for _ in range(16)]
        by_worker = {}
        for connection in connections:
            by_worker.setdefault(connection.request("/").text(), []).append(connection)
        hung = max(by_worker.values(), key=len)
        assert len(hung) >= 3
        hung[0].send(wire.message("/hang"))
        clade.wait_until(lambda: wire.told(port)["running"] == 1, 5, "it hangs")
        start = time.monotonic()
        for connection in connections:
            if connection is not hung[0]:
                connection.send(wire.message("/"))
        for connection in connections:
            if connection is not hung[0]:
                assert connection.response().status == 200
        took = time.monotonic() - start
    # Long before the hung one was ended.
    assert took < 1.5, took
    server.wait_event("worker-exited", "app", timeout=20)


@pytest.mark.parametrize("spare", [0, 2])
def test_one_request_for_each_worker(place, spare):
    server, port = wire.serve(place, processes={"max": 4, "spare": spare, "idle_timeout": 2}, limits={"requests": 1})
    seen = set()
    with wire.Connection(port) as connection:
        connection.send(wire.message() * 3)
        answer = connection.response()
        assert answer.status == 200 and answer.close
        seen.add(answer.text())
    for _ in range(40):
        text = wire.fetch(port).text()
        assert text not in seen
        seen.add(text)
    with Clients(port, 4) as clients:
        time.sleep(1)
    assert not clients.failures, clients.failures[:5]
    assert clients.answers >= 10
    assert all(event.get("code") == 0 for event in server.find("worker-exited")), server.story()


def test_readers_that_never_read_do_not_stall_others(place):
    """Together they ask for more than is held for all; then it is they who have to go."""
    server, port = wire.serve(place, processes=2)
    with contextlib.ExitStack() as stack:
        for _ in range(80):
            connection = stack.enter_context(wire.Connection(port, 20, receive_buffer=4096))
            connection.send(wire.message("/sized?size=8000000"))
        for _ in range(20):
            start = time.monotonic()
            assert wire.fetch(port).status == 200
            assert time.monotonic() - start < 5 * clade.SLOW
    assert wire.fetch(port, "/sized?size=8000000", timeout=20).body == wire.pattern(8000000)
    assert not server.find("worker-exited")
