"""Says who answers. A process that answers twice says the same twice: the name is made when it is first asked."""

import os

NAME = None


def app(_environ, start_response):
    global NAME
    if NAME is None:
        NAME = f"{os.getpid()} {os.urandom(16).hex()}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(NAME)))])
    return [NAME]
