"""Applications that cannot be loaded: each is named, with what to do about it, and others go on."""

import pytest

import clade
from python_application import Served, python_version

FINE = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"

# source, options, words of the event, words of the log
CASES = {
    "module": (FINE, {"module": "nosuch"}, ["module \"nosuch\" is not found", "nosuch.py"], []),
    "package": (FINE, {"module": "nosuch.wsgi"}, ["module \"nosuch.wsgi\" is not found"], []),
    "callable": (FINE, {"callable": "nosuch"}, ["has no \"nosuch\"", "application"], []),
    "not callable": ("application = 7\n", {}, ["cannot be called", "int"], []),
    "needs": ("import nosuch_parcel\n" + FINE, {}, ["nosuch_parcel", "install it"], ["Traceback"]),
    "raises": ("1 / 0\n", {}, ["ZeroDivisionError"], ["Traceback", "1 / 0"]),
    "syntax": ("def (:\n", {}, ["SyntaxError"], ["def (:"]),
    "exits": ("import sys\nsys.exit(3)\n", {}, ["sys.exit(3)", "__main__"], []),
    "threads": ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), "
                "name='ticker', daemon=True).start()\n" + FINE, {}, ["threads", "ticker"], []),
    "unnamed thread": ("import _thread, time\n_thread.start_new_thread(time.sleep, (60,))\n"
                       "time.sleep(0.1)\n" + FINE, {}, ["threads"], []),
    "forks": ("import os, time\nif os.fork() == 0:\n    time.sleep(60)\n" + FINE, {},
              ["left processes running"], []),
    "factory": ("def application():\n    raise KeyError('colour')\n", {"factory": True},
                ["KeyError", "colour"], ["Traceback"]),
    "venv": (FINE, {"home": True}, ["Python 2.7", "make it anew"], []),
    "no venv": (FINE, {"home": "app"}, ["no virtual environment", "-m venv"], []),
    "prefix": (FINE, {"prefix": "shop/"}, ["prefix \"shop/\""], []),
    "no module": (FINE, {"module": None}, ["\"module\" is missing"], []),
    "both": (FINE, {"targets": {"a": {"module": "app"}}}, ["\"module\" and \"targets\""], []),
    "asgi server": ("async def application(scope, receive, send): pass\n", {"home": "empty"},
                    ["neither uvicorn nor hypercorn"], []),
    "asgi threads": ("async def application(scope, receive, send): pass\n", {"threads": 4},
                     ["\"threads\" is for WSGI"], []),
    "asgi requests": ("async def application(scope, receive, send): pass\n",
                      {"limits": {"requests": 1}}, ["limits.requests 1 is not possible"], []),
}


def options_of(place, options):
    options = dict(options)
    if options.get("home") is True:
        options["home"] = str(place.path / "files" / "venv")
        place.write("venv/pyvenv.cfg", "home = /usr/bin\nversion = 2.7.18\n")
    elif options.get("home") == "empty":
        version = python_version()
        options["home"] = str(place.path / "files" / "venv")
        place.write("venv/pyvenv.cfg", f"home = /usr/bin\nversion = {version}.1\n")
        place.write(f"venv/lib/python{version}/site-packages/README", "")
    elif options.get("home"):
        options["home"] = str(place.path / "files" / options["home"])
    if options.get("targets"):
        options["passes"] = ["a"]
    return options


@pytest.mark.users("root")
@pytest.mark.parametrize("name", CASES)
def test_it_is_named(place, name):
    source, options, words, log = CASES[name]
    place.write("app/app.py", source)
    served = Served(place, source, wait=False, **options_of(place, options))
    served.wait_failed(*words, log=log)


def test_others_are_undisturbed(place):
    """Two that cannot be loaded beside one that serves, as root and as somebody."""
    for name, source in (("fine", FINE), ("broken", "1 / 0\n"), ("exits", "import os\nos._exit(7)\n")):
        place.write(f"{name}/app.py", source)
    ports = {name: clade.free_port() for name in ("fine", "broken", "exits")}
    server = place.run({name: {"type": "python", "path": str(place.path / "files" / name),
                               "module": "app", "isolation": {"rootfs": "minimal"}}
                        for name in ports},
                       {f"127.0.0.1:{port}": name for name, port in ports.items()})
    server.wait_ready("fine")
    for name in ("broken", "exits"):
        server.wait_event("application-failed", name, count=2)
        server.wait_event("application-backoff", name, count=2)
    assert clade.get(ports["fine"]) == "ok"
    assert len(server.find("worker-started", "fine")) == 1
    assert "7" in str(server.find("application-failed", "exits")[0])


@pytest.mark.users("root")
def test_an_import_that_hangs_is_ended(place):
    served = Served(place, "import time\ntime.sleep(600)\n", wait=False, settings={"start_timeout": 1})
    served.wait_failed("start_timeout")


@pytest.mark.users("root")
def test_a_version_that_is_not_there(place):
    file = place.configuration({"app": {"type": "python 2.7", "module": "app"}})
    found = place.command("check", file)
    assert found.returncode != 0
    assert "python has no version 2.7" in found.stdout + found.stderr
    assert python_version() in found.stdout + found.stderr
