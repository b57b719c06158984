"""WSGI without anything else. What stands out here runs once, before there is any worker; all workers share it."""

import os
import time

LOADED = time.strftime("%H:%M:%S")
PROTOTYPE = os.getpid()

served = 0


def app(environ, start_response):
    global served
    served += 1
    body = (f"Hello, {environ.get('REMOTE_ADDR') or 'whoever you are'}\n"
            f"worker: {os.getpid()}\n"
            f"answers of this worker: {served}\n"
            f"loaded: at {LOADED}, in process {PROTOTYPE}\n").encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
