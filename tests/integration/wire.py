"""A pedantic client of HTTP/1.1: it sends exactly the bytes that it is given, and believes no answer that RFC 9112
does not allow."""

import email.utils
import io
import os
import re
import socket
import threading
import time
import zlib

import clade

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)\r\n")
FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*"
                        rb"[\x21-\x7e\x80-\xff])?)?)[ \t]*\r\n")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")


class Malformed(AssertionError):
    """An answer that is none."""


class Cut(Malformed):
    """It ended too early."""


class Response:
    """One answer. `fields` has lower-case names; `interim` the statuses that came before."""

    def __init__(self, status, reason, fields, body, close, interim):
        self.status, self.reason, self.fields, self.body = status, reason, fields, body
        self.close, self.interim = close, interim

    def get(self, name):
        return dict(self.fields).get(name)

    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.fields} {self.body[:80]!r}{' close' * self.close}>"


PATTERN = bytes(97 + (i % 26 + i // 8192) % 26 for i in range(26 * 8192))


def pattern(size, start=0):
    """What the handler's long bodies consist of."""
    first = start % len(PATTERN)
    return (PATTERN * ((first + size) // len(PATTERN) + 1))[first:first + size]


def read_line(stream):
    line = stream.readline(65536)
    if not line.endswith(b"\n"):
        raise Cut(f"ends in a line: {line!r}")
    return line


def read_exactly(stream, size):
    data = stream.read(size)
    if len(data) != size:
        raise Cut(f"{len(data)} bytes of {size}")
    return data


def read_chunked(stream):
    body = []
    while True:
        line = read_line(stream)
        match = CHUNK_LINE.fullmatch(line)
        if not match:
            raise Malformed(f"no chunk: {line!r}")
        size = int(match[1], 16)
        if size == 0:
            break
        body.append(read_exactly(stream, size))
        if read_exactly(stream, 2) != b"\r\n":
            raise Malformed("no line end behind a chunk")
    if read_line(stream) != b"\r\n":
        raise Malformed("a trailer that nobody asked for")
    return b"".join(body)


def read_head(stream):
    line = read_line(stream)
    match = STATUS_LINE.fullmatch(line)
    if not match:
        raise Malformed(f"no status line: {line!r}")
    fields = []
    while (line := read_line(stream)) != b"\r\n":
        field = FIELD_LINE.fullmatch(line)
        if not field:
            raise Malformed(f"no field: {line!r}")
        fields.append((field[1].decode().lower(), field[2].decode("latin-1")))
    return int(match[1]), match[2].decode("latin-1"), fields


def check_head(status, fields):
    """What holds of every final answer. Returns its length, None for chunked, -1 for up to the end."""
    names = [name for name, _ in fields]
    values = dict(fields)
    for name in ("content-length", "transfer-encoding", "date", "connection", "keep-alive"):
        if names.count(name) > 1:
            raise Malformed(f"{names.count(name)} times {name}")
    if not DATE.fullmatch(values.get("date", "")):
        raise Malformed(f"Date: {values.get('date')}")
    if abs(email.utils.parsedate_to_datetime(values["date"]).timestamp() - time.time()) > 5 * clade.SLOW:
        raise Malformed(f"a clock of its own: {values['date']}")
    coded, length = values.get("transfer-encoding"), values.get("content-length")
    if coded is not None and length is not None:
        raise Malformed("both Transfer-Encoding and Content-Length")
    if status == 204 and (coded is not None or length is not None):
        raise Malformed("a 204 that speaks of a body")
    if coded is not None:
        if coded != "chunked":
            raise Malformed(f"Transfer-Encoding: {coded}")
        return None
    if length is None:
        return -1
    if not re.fullmatch("0|[1-9][0-9]*", length):
        raise Malformed(f"Content-Length: {length}")
    return int(length)


def read_response(stream, method="GET"):
    """The next answer, or None at the end of the stream."""
    interim = []
    while True:
        if not stream.peek(1):
            if interim:
                raise Cut(f"nothing behind {interim}")
            return None
        status, reason, fields = read_head(stream)
        if status >= 200:
            break
        if fields:
            raise Malformed(f"an interim answer with fields: {fields}")
        interim.append(status)
    length = check_head(status, fields)
    close = dict(fields).get("connection", "").lower() == "close"
    if method == "HEAD" or status in (204, 304):
        body = b""
    elif length is None:
        body = read_chunked(stream)
    elif length >= 0:
        body = read_exactly(stream, length)
    elif close:
        body = stream.read()
    else:
        raise Malformed(f"a body without an end: {status} {fields}")
    return Response(status, reason, fields, body, close, interim)


def address(where):
    """A port of 127.0.0.1, a path, "@" and an abstract name, or what connect() takes."""
    if isinstance(where, int):
        return socket.AF_INET, ("127.0.0.1", where)
    if isinstance(where, str):
        return socket.AF_UNIX, "\0" + where[1:] if where.startswith("@") else where
    return (socket.AF_INET6 if ":" in where[0] else socket.AF_INET), where


class Connection:
    def __init__(self, where, timeout=10.0, receive_buffer=None):
        family, name = address(where)
        self.socket = socket.socket(family)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout * clade.SLOW)
        self.socket.connect(name)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def response(self, method="GET"):
        return read_response(self.stream, method)

    def request(self, target="/", method="GET", body=None, **fields):
        """One exchange; the answer."""
        self.send(message(target, method, body, **fields))
        answer = self.response(method)
        if answer is None:
            raise Cut(f"no answer to {method} {target}")
        return answer

    def ended(self, timeout=5.0):
        """Whether the other side closes, properly and without another byte."""
        self.socket.settimeout(timeout * clade.SLOW)
        try:
            return self.stream.peek(1) == b""
        except (TimeoutError, ConnectionResetError):
            return False


def message(target="/", method="GET", body=None, **fields):
    """A request as most clients write it; field names with _ for -."""
    fields = {"Host": "localhost", **{name.replace("_", "-"): value for name, value in fields.items()}}
    if body is not None and "Transfer-Encoding" not in fields:
        fields["Content-Length"] = len(body)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + (body or b"")


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def fetch(where, target="/", method="GET", body=None, timeout=10.0, **fields):
    """One request on a connection of its own."""
    with Connection(where, timeout) as connection:
        return connection.request(target, method, body, Connection="close", **fields)


def talk(where, data, timeout=5.0, pieces=None, shut=False):
    """Sends bytes and reads to the end: what came, and how it ended ("end", "reset" or "silence")."""
    with Connection(where, timeout) as connection:
        def send():
            try:
                for piece in pieces or [data]:
                    connection.send(piece)
                if shut:
                    connection.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused before all was said; what matters is the answer

        sender = threading.Thread(target=send, daemon=True) if len(data) > 65536 else None
        if sender:
            sender.start()
        else:
            send()
        received = []
        try:
            while piece := connection.socket.recv(65536):
                received.append(piece)
            end = "end"
        except ConnectionResetError:
            end = "reset"
        except TimeoutError:
            end = "silence"
        if sender:
            if end == "silence":
                connection.socket.shutdown(socket.SHUT_RDWR)
            sender.join(timeout)
        return b"".join(received), end


def responses(data, *methods):
    """All answers in what was received; `methods` are those of the requests, GET when there are more answers."""
    stream = io.BufferedReader(io.BytesIO(data))
    methods = list(methods)
    found = []
    while (answer := read_response(stream, methods.pop(0) if methods else "GET")) is not None:
        found.append(answer)
    return found


def told(where):
    """{"calls": of the handler, "running": that have not returned, "error": name of the last failed write}"""
    calls, running, error = fetch(where, "/tell").text().split()
    return {"calls": int(calls), "running": int(running), "error": error}


def summed(data):
    """What /sum answers to such a body."""
    return f"{len(data)} {zlib.adler32(data):08x}\n"


def serve(place, processes=1, port=None, settings=None, **more):
    """The handler in a clade of its own: the clade, and where it listens."""
    port = port or clade.free_port()
    server = place.run({"app": clade.native("handler", processes=processes, **more)},
                       {f"127.0.0.1:{port}": "app"}, settings)
    server.wait_ready("app")
    return server, port


def descriptors(pid):
    """How many it has. Of a process that has an id of its own only root can tell; for all others it is always the same."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        return 1
