"""The examples as they are shipped: each in the root `minimal`, without a network, with few workers and with many."""

import concurrent.futures
import http.client
import importlib.util
import json
import sys

import pytest

import clade

EXAMPLES = clade.SOURCE / "examples"
NEEDS = {"wsgi": (), "flask": ("flask",), "django": ("django",), "starlette": ("starlette", "uvicorn")}

sys.path.insert(0, str(EXAMPLES))

import run  # pylint: disable=wrong-import-position


def ask(port, target, method="GET", body=None, **fields):
    """(status, header fields, body)"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * clade.SLOW)
    try:
        connection.request(method, target, body, {"Connection": "close", **fields})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def get_json(port, target, *arguments, **fields):
    status, _, body = ask(port, target, *arguments, **fields)
    assert status == 200, body
    return json.loads(body)


class Example:
    def __init__(self, place, name, workers):
        self.name, self.count, self.port, self.kind = name, workers, clade.free_port(), place.who.kind
        found = run.configuration(name, self.port, workers)
        self.application = found["applications"][name]
        if place.root:
            found["settings"] = {"state_directory": str(place.path / "state" / "ids")}
        self.server = place.start(place.write(f"{name}.json", json.dumps(found)))
        self.server.wait_ready(name, timeout=60)

    def workers(self):
        """By their pids inside, which are all that they know."""
        return set(self.server.workers(self.name).values())

    def meet(self, worker_of, least=None):
        """Asks, several at once, until each worker has answered, or `least` of them: what each answer was."""
        answers, met = [], set()

        def some():
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                for answer in pool.map(lambda _: worker_of(), range(16)):
                    answers.append(answer)
                    met.add(answer[0])
            assert met <= self.workers(), f"answered by somebody who is no worker:\n{self.server.story(200)}"
            return len(met) >= (least or self.count)

        clade.wait_until(some, 30, f"{least or self.count} of {self.count} workers answer")
        return [answer for _, answer in answers]

    def look(self):
        """From outside: locked down, and with nothing but what the configuration says."""
        isolation = self.application["isolation"]
        assert isolation["rootfs"] == "minimal" and isolation["network"] == "none"
        [ready] = self.server.find("application-ready", self.name)
        # Who has only one id has no other for the application.
        assert ready["isolation"] == "full" or (self.kind == "user" and ready["isolation"] == "user")
        for pid in self.server.workers(self.name):
            status = clade.status(pid)
            assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" and int(status["CapEff"], 16) == 0
        assert not self.server.find("worker-exited"), self.server.story(200)
        assert not self.server.find("output", level="error")

    def end(self):
        assert self.server.stop(timeout=20) == 0
        assert not self.server.left()


@pytest.fixture(name="example", params=[2, 8])
def example_fixture(request, place, refuse):
    """A function that starts one."""
    def start(name):
        missing = [module for module in NEEDS[name] if not importlib.util.find_spec(module)]
        if missing:
            refuse(f"python3-{' python3-'.join(missing)} is not installed: ./dev deps")
        if not (clade.BUILD / "modules" / "python" / "python.clade.so").exists():
            refuse("the python module was not built: ./dev deps")
        return Example(place, name, request.param)
    return start


@pytest.mark.users("root", "user", "subuid")
def test_wsgi(example):
    wsgi = example("wsgi")

    def lines():
        status, _, body = ask(wsgi.port, "/")
        assert status == 200 and body.startswith("Hello, 127.0.0.1\n")
        fields = dict(line.split(": ", 1) for line in body.splitlines()[1:])
        return int(fields["worker"]), fields

    # It is answered so fast that the same workers are always free.
    answers = wsgi.meet(lines, least=2)
    assert len({answer["loaded"] for answer in answers}) == 1
    assert answers[0]["loaded"].endswith("in process 1")
    # Each counts its own.
    numbers = sorted((answer["worker"], int(answer["answers of this worker"])) for answer in answers)
    assert numbers == sorted(set(numbers))
    wsgi.look()
    wsgi.end()


@pytest.mark.users("root", "user", "subuid")
def test_flask(example):
    flask = example("flask")

    def facts():
        found = get_json(flask.port, "/facts")
        return found["worker"], found

    for found in flask.meet(facts):
        assert set(found["interfaces"]) == {"lo"} and not any(found["interfaces"].values())
        assert found["a connection to the outside"] in ("EPERM", "EACCES", "ENETUNREACH")
        assert found["a shell"] == "ENOENT"
        assert found["a file beside app.py"] == "EROFS"
        assert found["a file in /tmp"] == "done"
        assert "home" not in found["root"] and "tmp" in found["root"]
    status, fields, body = ask(flask.port, "/")
    assert status == 200 and fields["Content-Type"].startswith("text/html") and "<td>EROFS" in body
    assert ask(flask.port, "/hello/%3Cyou%3E")[2] == "Hello, &lt;you&gt;\n"
    assert get_json(flask.port, "/length", "POST", b"x" * 300000) == {"bytes": 300000}
    assert ask(flask.port, "/nowhere")[0] == 404
    flask.look()
    flask.end()


@pytest.mark.users("root", "user", "subuid")
def test_django(example):
    django = example("django")

    def visit():
        found = get_json(django.port, "/visit")
        return found["worker"], found

    answers = django.meet(visit)
    # One database: no visit is lost or counted twice, whoever wrote it.
    assert sorted(answer["visit"] for answer in answers) == list(range(1, len(answers) + 1))
    last = max(answers, key=lambda answer: answer["visit"])
    assert set(map(int, last["workers"])) <= django.workers()
    # The form of one is accepted by the others: they have the same key.
    for number in range(4):
        status, fields, page = ask(django.port, "/")
        assert status == 200
        token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        cookie = fields["Set-Cookie"].split(";")[0]
        status, fields, page = ask(django.port, "/", "POST", f"csrfmiddlewaretoken={token}&name=visitor{number}",
                                   Cookie=cookie, **{"Content-Type": "application/x-www-form-urlencoded"})
        assert status == 302 and fields["Location"] == "/", page
    assert ask(django.port, "/", "POST", "name=x")[0] == 403
    page = ask(django.port, "/")[2]
    assert all(f"visitor{number} " in page for number in range(4))
    django.look()
    django.end()


@pytest.mark.users("root", "user", "subuid")
def test_starlette(example):
    starlette = example("starlette")

    def hello():
        found = get_json(starlette.port, "/?name=you")
        assert found["hello"] == "you"
        return found["worker"], found

    starlette.meet(hello)
    assert get_json(starlette.port, "/echo", "POST", json.dumps({"a": [1, 2]})) == {"you sent": {"a": [1, 2]}}
    assert ask(starlette.port, "/count/3")[2] == "1\n2\n3\n"
    # Waiting is no work: one event loop does a lot of it at once.
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        waited = list(pool.map(lambda _: get_json(starlette.port, "/wait"), range(20)))
    assert max(waited.count(answer) for answer in waited) > 1
    starlette.look()
    starlette.end()
