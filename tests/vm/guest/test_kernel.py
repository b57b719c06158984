"""What clade makes of this kernel: 6.1, Landlock without ports and scopes (ABI 2)."""

import json

import pytest

import clade
import groups

LEVELS = {"root": "full", "user": "user", "subuid": "full"}


@pytest.mark.users("root", "user", "subuid")
def test_doctor(place):
    done = place.command("doctor", "--json")
    found = json.loads(done.stdout)
    assert found["level"] == LEVELS[place.who.kind], done.stdout
    assert found["landlock_abi"] == 2
    # Nothing was delegated: we are at the top of the hierarchy.
    assert found["limits"]["missing"]["cause"] == "no-delegation"
    assert "Delegate=yes" in found["limits"]["missing"]["remedy"]


@pytest.mark.users("root")
def test_the_plan_has_the_control_group(place):
    group = groups.make("planned")
    limits = {"memory": "64M", "cpu": 0.25, "tasks": 30}
    file = place.configuration({"a": clade.native("greedy", symbol="takes", limits=limits)},
                               settings={"cgroup": str(group)})
    plan = json.loads(place.command("plan", file, "a").stdout)
    assert plan["cgroup"] == {"memory": 64 << 20, "swap": 0, "oom_group": False, "cpu_us": 25000,
                              "tasks": 30, "io": []}
    calls = [(call["call"], call["arguments"]) for step in plan["steps"] for call in step["calls"]]
    assert ("unshare", "CLONE_NEWCGROUP") in calls
    assert any(call == "clone3" and arguments.endswith("|CLONE_INTO_CGROUP")
               and "NEWCGROUP" not in arguments for call, arguments in calls), calls
    # It changes nothing.
    assert not groups.below(group)
    groups.remove(group)
