"""waitress has no processes of its own: as many as are wanted, on one listening socket.

    serve_waitress.py PORT PROCESSES THREADS MODULE
"""

import importlib
import os
import signal
import socket
import sys

import waitress


def main(port, processes, threads, module):
    app = importlib.import_module(module).app
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    children = []
    for _ in range(processes):
        pid = os.fork()
        if pid == 0:
            waitress.serve(app, sockets=[listener], threads=threads)
            os._exit(0)
        children.append(pid)

    def end(_number, _frame):
        for child in children:
            os.kill(child, signal.SIGKILL)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    for _ in children:
        os.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
