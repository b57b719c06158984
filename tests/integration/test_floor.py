"""What the benchmarks measure against does what a start does: no call less, and none more."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

import clade
from test_plan_strace import CALLS, HELPERS, OF_THE_PARENT, Seen, planned, trace

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import bench  # pylint: disable=wrong-import-position


def test_the_floor_makes_the_calls_of_the_plan(place, refuse):
    if clade.sanitized():
        pytest.skip("the floor is not built where sanitizers would be measured")
    if not (bench.TOOLS / "floor").exists() or not shutil.which("strace"):
        refuse("no static libc or no strace: ./dev deps")
    # Below strace newuidmap has no privilege: an ordinary user maps the one id that needs none.
    own = {} if place.root else {"isolation": {
        kind: [{"container": 1000, "host": number, "size": 1}]
        for kind, number in (("uidmap", place.who.uid), ("gidmap", place.who.gid))}}
    configuration = place.configuration({"app": bench.ready_application(**own)})
    plan = json.loads(place.command("plan", configuration, "app").stdout)
    image, output = place.path / "run" / "plan", place.path / "run" / "trace"
    assert place.popen([bench.TOOLS / "plan-image", clade.CLADE, configuration, "app", image]).wait(30) == 0
    floor = place.popen(["strace", "-f", "-qq", "-s", "256", "-o", output, "-e", "signal=none",
                         "-e", "trace=" + ",".join(CALLS + HELPERS), bench.TOOLS / "floor", "start", image,
                         bench.TOOLS / "ready"], stdout=subprocess.PIPE, text=True)
    out, _ = floor.communicate(timeout=60)
    assert floor.returncode == 0 and int(out) > 0

    lines = list(trace(output.read_text()))
    parent = lines[0][0]
    child = next(int(result) for pid, call, _, result in lines if pid == parent and call == "clone3")
    # Until the worker is cloned, which begins with a session of its own.
    worker = next(pid for pid, *_ in lines if pid not in (parent, child))
    seen = Seen(plan, [(call, arguments, result) for pid, call, arguments, result in lines
                       if pid == child or (pid == parent and call in OF_THE_PARENT)])
    parents = OF_THE_PARENT - ({"open_tree"} if plan["privilege"] == "none" else set())
    expected = list(planned(plan["steps"]))
    for ours in (True, False):
        mine = [entry for entry in seen.list if (entry[0] in parents) == ours]
        theirs = [entry for entry in expected if (entry[0] in parents) == ours]
        assert len(theirs) >= 3
        assert mine == theirs
    mine = Seen(plan, [(call, arguments, result) for pid, call, arguments, result in lines
                       if pid == worker and call.startswith(("landlock", "seccomp"))]).list
    assert mine == list(planned(plan["worker_steps"]))
