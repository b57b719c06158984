"""A Flask application that looks around."""

import errno
import os
import pathlib
import socket

import flask
import markupsafe

app = flask.Flask(__name__)


def attempt(what):
    """What became of it, in the kernel's words."""
    try:
        return what() or "done"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def interfaces():
    """The network as this process has it: {name: whether anything was ever received}."""
    lines = pathlib.Path("/proc/net/dev").read_text().splitlines()[2:]
    return {name.strip(): counters.split()[0] != "0" for name, counters in (line.split(":") for line in lines)}


def facts():
    return {
        "worker": os.getpid(),
        "uid": os.getuid(),
        "root": sorted(os.listdir("/")),
        "interfaces": interfaces(),
        "a connection to the outside": attempt(lambda: socket.create_connection(("192.0.2.1", 80), 1).close()),
        "a shell": attempt(lambda: os.stat("/bin/sh") and None),
        "a file beside app.py": attempt(lambda: pathlib.Path(__file__).with_name("new").write_text("?")),
        "a file in /tmp": attempt(lambda: pathlib.Path("/tmp/new").write_text("?") and None),
    }


@app.route("/")
def page():
    return flask.render_template("page.html", facts=facts())


@app.route("/facts")
def as_json():
    return facts()


@app.route("/hello/<name>")
def hello(name):
    return f"Hello, {markupsafe.escape(name)}\n"


@app.route("/length", methods=["POST"])
def length():
    """Of what was sent."""
    return {"bytes": len(flask.request.get_data())}
