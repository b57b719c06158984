"""Serving ASGI: the application's own uvicorn or hypercorn, on sockets that listen already, in one event loop.

`clade` has what the worker's C side offers: ready(), begin() -> ticket, end(ticket), leave(), arm(seconds).
"""

import importlib
import os
import signal
import socket
import sys

SERVERS = ("uvicorn", "hypercorn")
LINGER = 0.1  # s


def choose(wanted):
    """Imports a server, in the prototype: workers share it. Its name and nothing else."""
    for name in (wanted,) if wanted else SERVERS:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            continue
        prepare = {"uvicorn": ("uvicorn.config", "uvicorn.lifespan.on",
                               "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto"),
                   "hypercorn": ("hypercorn.asyncio", "hypercorn.config",
                                 "hypercorn.asyncio.run")}[name]
        for part in ("asyncio", *prepare):
            importlib.import_module(part)
        return name
    return None


class Turns:
    """Between the server and the application: counts what is being worked on, for limits.requests and
    limits.timeout and for the supervisor, which wants to know who is busy."""

    def __init__(self, clade, limits):
        self.clade = clade
        self.limit, self.timeout = limits
        self.begun = 0
        self.busy = 0
        self.active = {}  # ticket: when it is overdue, by the loop's clock
        self.fds = []  # the listeners
        self.stop = None  # called when this worker has had its share, and done it

    def wrap(self, application):
        async def entered(scope, receive, send):
            if scope["type"] not in ("http", "websocket"):
                return await application(scope, receive, send)
            import asyncio
            loop = asyncio.get_running_loop()
            ticket = self.clade.begin()
            self.begun += 1
            self.busy += 1
            if self.limit and self.begun == self.limit:
                self.clade.leave()
                # The next connection is another worker's.
                for fd in self.fds:
                    loop.remove_reader(fd)
            alarm = None
            if self.timeout:
                self.active[ticket] = loop.time() + self.timeout
                self.watch(loop)
                alarm = loop.call_later(self.timeout, self.overdue, asyncio.current_task(), scope)
            try:
                return await application(scope, receive, send)
            finally:
                if alarm:
                    alarm.cancel()
                    self.active.pop(ticket, None)
                    self.watch(loop)
                self.clade.end(ticket)
                self.busy -= 1
                if self.limit and self.begun >= self.limit and not self.busy:
                    # What was accepted at the same time has a moment to say what it wants.
                    loop.call_later(LINGER, self.leave)
        return entered

    def leave(self):
        if not self.busy:
            self.stop()

    def watch(self, loop):
        """A loop that is stuck cannot say so by itself; a timer of the kernel's can, a little later."""
        first = next(iter(self.active.values()), None)
        self.clade.arm(max(0.05, first - loop.time() + 0.2) if first else 0)

    @staticmethod
    def overdue(task, scope):
        print(f"clade: {scope.get('method', 'WEBSOCKET')} {scope['path']} takes longer than "
              "limits.timeout; its task is here:", file=sys.stderr)
        for line in places(task.get_coro()):
            print(line, file=sys.stderr)
        sys.stderr.flush()


def places(waiting):
    """Where a coroutine is, as a traceback has it: what it waits for, and what that waits for."""
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame:
            code = frame.f_code
            yield f'  File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}'
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)


def started(application, ready):
    """Says when the server has heard that the application is up, or does not want to be asked."""
    said = []

    def once():
        if not said:
            said.append(True)
            ready()

    async def entered(scope, receive, send):
        if scope["type"] != "lifespan":
            return await application(scope, receive, send)

        async def heard(message):
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                once()
        try:
            return await application(scope, receive, heard)
        except BaseException:
            once()
            raise
        finally:
            once()
    return entered


def take(fds):
    sockets = []
    for fd in fds:
        taken = socket.socket(fileno=fd)
        taken.setblocking(False)
        sockets.append(taken)
    return sockets


async def uvicorn_all(parts, turns, settings):
    """parts: (application, prefix, descriptors); each has a server of its own, and a lifespan."""
    import asyncio
    import contextlib
    import uvicorn

    waiting = set(range(len(parts)))

    class Server(uvicorn.Server):
        """One of the worker's: signals are looked after once for all of them."""
        number = 0

        def install_signal_handlers(self):
            pass

        @contextlib.contextmanager
        def capture_signals(self):
            yield

        async def startup(self, sockets=None):
            await super().startup(sockets=sockets)
            if not self.should_exit:
                waiting.discard(self.number)
                if not waiting:
                    turns.clade.ready()

    servers, runs = [], []
    for number, (application, prefix, fds) in enumerate(parts):
        config = uvicorn.Config(
            turns.wrap(application), root_path=prefix or "", loop="asyncio", log_level="info",
            access_log=settings["access_log"], timeout_keep_alive=settings["idle_timeout"],
            proxy_headers="FORWARDED_ALLOW_IPS" in os.environ)
        server = Server(config)
        server.number = number
        servers.append(server)
        runs.append(server.serve(sockets=take(fds)))

    def stop():
        for server in servers:
            server.should_exit = True

    turns.stop = stop
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    await asyncio.gather(*runs)
    return 0 if all(getattr(server, "started", False) for server in servers) else 3


async def hypercorn_all(parts, turns, settings):
    import asyncio
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    over = asyncio.Event()
    turns.stop = over.set
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    waiting = set(range(len(parts)))

    def ready(number):
        waiting.discard(number)
        if not waiting:
            turns.clade.ready()

    runs = []
    for number, (application, prefix, fds) in enumerate(parts):
        config = Config()
        config.bind = [f"fd://{fd}" for fd in fds]
        config.root_path = prefix or ""
        config.accesslog = "-" if settings["access_log"] else None
        config.errorlog = "-"
        config.keep_alive_timeout = settings["idle_timeout"]
        for fd in fds:
            os.set_blocking(fd, False)
        wrapped = started(turns.wrap(application), lambda number=number: ready(number))
        runs.append(serve(wrapped, config, shutdown_trigger=over.wait))
    await asyncio.gather(*runs)
    return 0


def serve(clade, server, parts, limits, settings):
    """Until SIGTERM, or until limits.requests has been reached. The worker's exit status."""
    import asyncio
    turns = Turns(clade, limits)
    turns.fds = [fd for _, _, fds in parts for fd in fds]
    run = {"uvicorn": uvicorn_all, "hypercorn": hypercorn_all}[server]
    return asyncio.run(run(parts, turns, settings))
