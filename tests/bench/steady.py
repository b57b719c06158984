"""Clients that keep their connections and look at what becomes of each request."""

import asyncio
import collections
import time


class Steady:
    """`connections` that ask for "/" again and again. What fails is counted by how it fails, with its time."""

    def __init__(self, port, connections=32):
        self.port, self.connections = port, connections
        self.answered = 0
        self.failures = []  # (when, how)

    async def one(self, end):
        reader = writer = None
        fresh = True
        while time.monotonic() < end:
            try:
                if writer is None:
                    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.port), 10)
                    fresh = True
                writer.write(b"GET / HTTP/1.1\r\nHost: steady\r\n\r\n")
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                if not head.startswith(b"HTTP/1.1 200 "):
                    raise ValueError(head.split(b"\r\n")[0].decode(errors="replace"))
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await asyncio.wait_for(reader.readexactly(length), 10)
                self.answered += 1
                fresh = False
                if b"connection: close" in head.lower():
                    writer.close()
                    writer = None
            except (asyncio.IncompleteReadError, ConnectionResetError, BrokenPipeError):
                self.failures.append((time.monotonic(), "closed, first request" if fresh else "closed"))
                if writer:
                    writer.close()
                writer = None
            except (OSError, asyncio.TimeoutError, ValueError, IndexError) as error:
                self.failures.append((time.monotonic(), f"{type(error).__name__}: {error}"))
                if writer:
                    writer.close()
                writer = None
        if writer:
            writer.close()

    async def run(self, seconds, besides):
        end = time.monotonic() + seconds
        await asyncio.gather(*(self.one(end) for _ in range(self.connections)), besides(end))

    def kinds(self):
        return dict(collections.Counter(how for _, how in self.failures))
