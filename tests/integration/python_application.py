"""What the tests of type "python" share: applications in the root `minimal` without a network, and clients."""

import contextlib
import http.client
import json
import socket
import subprocess

import clade

APPLICATIONS = clade.SOURCE / "tests" / "integration" / "applications"


def python_version():
    """Of the python that `clade modules` found: "3.11"."""
    found = subprocess.run([clade.CLADE, "modules", "--json"], capture_output=True, text=True, check=False)
    versions = [entry["version"] for entry in json.loads(found.stdout)["modules"]
                if entry["type"] == "python"]
    assert versions, f"no module for python: {found.stdout} {found.stderr}"
    return ".".join(versions[0].split(".")[:2])


class Served:
    """One python application with its supervisor; `source` is a module's text, or None for everything.py."""

    def __init__(self, place, source=None, wait=True, listeners=1, rootfs="minimal", **options):
        self.place, self.ports = place, [clade.free_port() for _ in range(listeners)]
        self.port = self.ports[0]
        if source is None:
            source = (APPLICATIONS / "everything.py").read_text()
        place.write("app/app.py", source)
        self.path = str(place.path / "files" / "app")
        settings = options.pop("settings", None)
        targets = options.pop("passes", [None] * listeners)
        application = {"type": "python 3", "path": self.path, "module": "app",
                       **options, "isolation": {"rootfs": rootfs, "network": "none",
                                                **options.pop("isolation", {})}}
        application = {key: value for key, value in application.items() if value is not None}
        self.server = place.run({"app": application},
                                {f"127.0.0.1:{port}": "app" + (f"/{target}" if target else "")
                                 for port, target in zip(self.ports, targets)}, settings)
        if wait:
            self.server.wait_ready("app", timeout=30)

    def ask(self, target, method="GET", body=None, fields=(), port=None):
        """(status, fields, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port,
                                                timeout=20 * clade.SLOW)
        with contextlib.closing(connection):
            connection.request(method, target, body, {"Connection": "close", **dict(fields)})
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def raw(self, data, port=None):
        """All that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", port or self.port), 20 * clade.SLOW) as client:
            client.sendall(data)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while more := client.recv(65536):
                    answer += more
            return answer

    def log(self):
        return [event["text"] for event in self.server.find("output", "app")]

    def wait_log(self, words, count=1):
        clade.wait_until(lambda: sum(words in line for line in self.log()) >= count, 10,
                         f"{words!r} in {self.log()}")

    def wait_failed(self, *words, log=()):
        """The event of a start that failed says all of these; so does the application's log."""
        event = self.server.wait_event("application-failed", "app", timeout=30)
        said = f"{event.get('message', '')} | {event.get('remedy', '')} {event}"
        for word in words:
            assert word in said, f"{word!r} is not in {said}"
        for word in log:
            self.wait_log(word)
        return event
