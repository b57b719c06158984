"""Runs an example from where it lies: examples/run.py NAME [--port N] [--workers N].

Each example's clade.json is written for a copy in /srv: `cp -r examples/flask /srv/`, `clade run /srv/flask/clade.json`.
From a checkout it is the same file with the checkout's path in place of /srv, another port if you like, and, for
root, ids that are remembered in a temporary directory rather than in /var/lib/clade.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
NAMES = sorted(path.parent.name for path in HERE.glob("*/clade.json"))
PORT = 8080


def moved(value, old, new):
    """The same with all paths below `old` moved to below `new`."""
    if isinstance(value, dict):
        return {key: moved(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [moved(item, old, new) for item in value]
    if isinstance(value, str) and (value == old or value.startswith(old + "/")):
        return new + value[len(old):]
    return value


def configuration(name, port=PORT, workers=None):
    """An example's configuration as an object, for where the example lies now."""
    found = json.loads((HERE / name / "clade.json").read_text())
    found = moved(found, f"/srv/{name}", str(HERE / name))
    found["listeners"] = {f"127.0.0.1:{port}": where for where in found["listeners"].values()}
    if workers is not None:
        found["applications"][name]["processes"] = workers
    return found


def run(clade, name, port, workers, state):
    found = configuration(name, port, workers)
    if os.geteuid() == 0:
        found["settings"] = {"state_directory": str(state / "ids")}
    file = state / f"{name}.json"
    file.write_text(json.dumps(found, indent=2))
    print(f"\n  http://127.0.0.1:{port}/   {HERE / name / 'README.md'} says what to look at; Ctrl-C ends it\n"
          f"  the configuration: {file}\n", flush=True)
    process = subprocess.Popen([clade, "run", file], stdin=subprocess.DEVNULL, start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: process.send_signal(signal.SIGTERM))
    return process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--workers", type=int, help="as many as that, rather than what clade.json says")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build", help="where clade was built")
    options = parser.parse_args()
    clade = options.build.resolve() / "runtime" / "cli" / "clade"
    if not os.access(clade, os.X_OK):
        sys.exit(f"{clade} is not there: ./dev build")
    state = pathlib.Path(tempfile.mkdtemp(prefix="clade-example-"))
    state.chmod(0o755)
    try:
        return run(clade, options.name, options.port, options.workers, state)
    finally:
        shutil.rmtree(state)


if __name__ == "__main__":
    sys.exit(main())
