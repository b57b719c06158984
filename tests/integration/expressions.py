"""An application that is asked Python expressions: what its confinement does to it is looked at from inside."""

import urllib.parse

import clade

# Answers each request with what the Python expression in its target gives, or with the name of the error.
SCRIPT = """
import errno, os, resource, socket, sys, time, urllib.parse

def call(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]

def write(path):
    try:
        with open(path, "w") as file:
            file.write("1")
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]

def put(path, text):
    try:
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, text.encode())
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]

def tcp(what, port):
    with socket.socket() as one:
        try:
            getattr(one, what)(("127.0.0.1", port))
            return "ok"
        except OSError as error:
            return errno.errorcode[error.errno]

def echo():
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
        client.sendall(b"to oneself")
        return server.accept()[0].recv(100).decode()

server = socket.socket(fileno=3)
while True:
    client, _ = server.accept()
    target = client.recv(65536).split()[1].decode()
    try:
        answer = repr(eval(urllib.parse.unquote(target[1:])))
    except Exception as error:
        answer = repr(error)
    client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + answer.encode())
    client.close()
"""


def starter(place, functions=""):
    """What starts an application that also knows the functions in a text; it gives what asks it. Its listener is
    a unix socket."""
    script = place.write("script.py", functions + SCRIPT)

    def start(isolation=None, **more):
        path = place.path / "run" / f"socket{len(place.clades)}"
        server = place.run({"app": clade.python(script, isolation=isolation, **more)},
                           {f"unix:{path}": "app"})
        server.wait_ready("app")

        def ask(expression):
            return eval(clade.get(str(path), "/" + urllib.parse.quote(expression)))  # our own repr
        ask.server = server
        return ask
    return start
