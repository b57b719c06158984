"""Waits 20 ms, as for a database."""

import time

BODY = b"Hello, at last\n"
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]


def app(_environ, start_response):
    time.sleep(0.02)
    start_response("200 OK", HEADERS)
    return [BODY]
