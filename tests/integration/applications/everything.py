"""A WSGI application with a path for each thing that the python module's tests want to see."""

import hashlib
import json
import os
import random
import sys
import threading
import time
from wsgiref.validate import validator

LOADED_BY = os.getpid()
FORKED = []
os.register_at_fork(before=lambda: FORKED.append("before"),
                    after_in_parent=lambda: FORKED.append("parent"),
                    after_in_child=lambda: FORKED.append("child"))
KEPT = {}


def text(start_response, body, status="200 OK"):
    body = body if isinstance(body, bytes) else str(body).encode()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def show_environ(environ, start_response):
    return text(start_response, json.dumps({key: value if isinstance(value, (str, bool, list, tuple, int))
                                            else repr(value) for key, value in environ.items()}))


def show_state(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"] or 0))
    return text(start_response, json.dumps({
        "pid": os.getpid(), "loaded_by": LOADED_BY, "forked": FORKED, "random": random.random(),
        "hook": threading._after_fork.__code__.co_name,
        "threads": [thread.name for thread in threading.enumerate()], "uid": os.getuid()}))


def read_body(environ, start_response):
    source, how = environ["wsgi.input"], environ["QUERY_STRING"]
    if how == "lines":
        lines = [source.readline(), source.readline(3), *source.readlines()]
        return text(start_response, json.dumps([line.decode() for line in lines]))
    if how == "iterate":
        return text(start_response, json.dumps([line.decode() for line in source]))
    if how == "pieces":
        digest, total = hashlib.sha256(), 0
        while piece := source.read(10007):
            digest.update(piece)
            total += len(piece)
        return text(start_response, f"{total} {digest.hexdigest()}")
    if how == "none":
        return text(start_response, "not read")
    body = source.read()
    return text(start_response, f"{len(body)} {hashlib.sha256(body).hexdigest()} {source.read()!r}")


class Closing:
    """An iterable that says when it was closed."""

    def __init__(self, blocks, fails=False):
        self.blocks, self.fails = iter(blocks), fails

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.blocks)

    def close(self):
        print("closed", file=sys.stderr)
        if self.fails:
            raise RuntimeError("close failed")


def closing(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["QUERY_STRING"] == "midway":
        def blocks():
            yield b"first"
            raise RuntimeError("midway")
        return Closing(blocks())
    if environ["QUERY_STRING"] == "fails":
        return Closing([b"all of it"], fails=True)
    return Closing([b"one ", b"", b"two ", b"three"])


def generated(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for number in range(3):
        yield f"{number}\n".encode()
        time.sleep(0.2)


def written(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written ")
    write(b"twice ")
    return [b"and returned"]


def late(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise ValueError("found out late")
    except ValueError:
        start_response("400 Bad", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"replaced"]


def too_late(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"begun"
    try:
        raise ValueError("found out too late")
    except ValueError:
        start_response("500 Oops", [], sys.exc_info())
    yield b"never"


def file(environ, start_response):
    path = environ["QUERY_STRING"]
    source = open(path, "rb")  # closed by the server
    source.read(5)
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return environ["wsgi.file_wrapper"](source, 4096)


class Counting:
    """A file without a descriptor."""

    def __init__(self):
        self.left = 3

    def read(self, size):
        self.left -= 1
        return b"x" * size if self.left >= 0 else b""

    def close(self):
        print("counting closed", file=sys.stderr)


def unreal_file(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](Counting(), 1000)


def keep(environ, start_response):
    KEPT.update(input=environ["wsgi.input"], start=start_response)
    return text(start_response, "kept")


def use_kept(environ, start_response):
    found = []
    for what in (lambda: KEPT["input"].read(), lambda: KEPT["start"]("200 OK", [])):
        try:
            what()
        except Exception as error:  # pylint: disable=broad-except
            found.append(f"{type(error).__name__}: {error}")
    return text(start_response, json.dumps(found))


def imports(environ, start_response):
    import ctypes
    import lzma
    import sqlite3
    import ssl
    import zoneinfo
    import numpy
    context = ssl.create_default_context()
    when = zoneinfo.ZoneInfo("Pacific/Auckland").key
    with sqlite3.connect(":memory:") as base:
        (version,) = base.execute("select sqlite_version()").fetchone()
    import grp, pwd, socket  # pylint: disable=multiple-imports
    me = pwd.getpwuid(os.getuid())
    return text(start_response, json.dumps({
        "ca": len(context.get_ca_certs()) or context.cert_store_stats()["x509_ca"], "zone": when,
        "sqlite": version, "lzma": lzma.decompress(lzma.compress(b"ok")).decode(),
        "etc": sorted(os.listdir("/etc")), "bin": os.listdir("/usr/bin") if os.path.exists("/usr/bin") else [],
        "libc": ctypes.CDLL(None).getpid() == os.getpid(),
        "numpy": float(numpy.linalg.det(numpy.eye(3) * 2)), "user": me.pw_name,
        "group": grp.getgrgid(os.getgid()).gr_name, "localhost": socket.gethostbyname("localhost")}))


def status(environ, start_response):
    code = environ["QUERY_STRING"]
    start_response(f"{code} Whatever", [("X-Test", "yes")])
    return []


def bad(environ, start_response):
    kind = environ["QUERY_STRING"]
    answers = {
        "str": lambda: (start_response("200 OK", []), ["text"])[1],
        "bare": lambda: (start_response("200 OK", []), b"bytes")[1],
        "none": lambda: start_response("200 OK", []) and None,
        "number": lambda: (start_response("200 OK", []), 7)[1],
        "silent": lambda: [b"no start_response"],
        "status": lambda: (start_response(200, []), [b""])[1],
        "reason": lambda: (start_response("200", []), [b""])[1],
        "control": lambda: (start_response("200 OK", [("X", "a\r\nSet-Cookie: b")]), [b""])[1],
        "name": lambda: (start_response("200 OK", [("X Y", "a")]), [b""])[1],
        "bytes": lambda: (start_response("200 OK", [(b"X", b"a")]), [b""])[1],
        "wide": lambda: (start_response("200 OK", [("X", "\u20ac")]), [b""])[1],
        "hop": lambda: (start_response("200 OK", [("Connection", "close")]), [b""])[1],
        "tuple": lambda: (start_response("200 OK", ()), [b""])[1],
        "twice": lambda: (start_response("200 OK", []), start_response("200 OK", []), [b""])[2],
        "length": lambda: (start_response("200 OK", [("Content-Length", "-1")]), [b""])[1],
        "long": lambda: (start_response("200 OK", [("Content-Length", "3")]), [b"more than that"])[1],
        "short": lambda: (start_response("200 OK", [("Content-Length", "30")]), [b"less"])[1],
        "raises": lambda: 1 / 0,
        "exits": lambda: sys.exit(5),
    }
    return answers[kind]()


def endless(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    while True:
        yield b"x" * 65536


def say(environ, start_response):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    environ["wsgi.errors"].write("to wsgi.errors\n")
    return text(start_response, "said")


def background(environ, start_response):
    ticks = []

    def tick():
        for _ in range(20):
            ticks.append(time.monotonic())
            time.sleep(0.01)
    if environ["QUERY_STRING"] == "start":
        KEPT["ticks"] = ticks
        threading.Thread(target=tick, daemon=True).start()
    return text(start_response, len(KEPT["ticks"]))


def sleep(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"]))
    return text(start_response, f"{os.getpid()} {threading.get_ident()}")


PATHS = {"/environ": show_environ, "/state": show_state, "/body": read_body, "/closing": closing,
         "/generated": generated, "/written": written, "/late": late, "/too-late": too_late,
         "/file": file, "/unreal-file": unreal_file, "/keep": keep, "/use-kept": use_kept,
         "/imports": imports, "/status": status, "/bad": bad, "/endless": endless, "/say": say,
         "/background": background, "/sleep": sleep}


def application(environ, start_response):
    handler = PATHS.get(environ["PATH_INFO"], show_environ)
    return handler(environ, start_response)


def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"valid"]


validated = validator(plain)
