"""start-step: where the time of a start goes."""

import json
import os
import signal

import clade

# Of the supervisor's, in the order in which they are told.
FIRST = ["probe", "compile", "descriptors", "clone", "relay"]
# Of the prototype's, beside those of the plan.
BEFORE, BEHIND = ["plan", "module", "setup"], ["working-directory", "preload"]


def steps(server, since=0):
    return {event["step"]: event["us"] for event in server.find("start-step", "app", since=since)}


def test_each_step_is_told_once(place):
    configuration = place.configuration({"app": clade.native("probe")})
    plan = json.loads(place.command("plan", configuration, "app").stdout)
    # The first of the plan's steps are the clone's; the parts that follow its exec are the prototype's.
    names = [step["step"] for step in plan["steps"]]
    planned = names[names.index("exec") + 1:]
    server = place.start(configuration, options=["--log-level", "debug"])
    ready = server.wait_event("application-ready", "app")
    told = [event["step"] for event in server.find("start-step", "app")]
    assert told == [*FIRST, "exec", *BEFORE, *planned, *BEHIND]

    # They are parts of the whole. The relay starts while the clone goes its way.
    taken = steps(server)
    parts = sum(us for step, us in taken.items() if step not in ("probe", "compile", "relay"))
    assert 0 < parts <= ready["start_us"]
    assert taken["seccomp"] > 0 and taken["entries"] > 0

    # Once there is a plan nothing is compiled any more, no filter above all: a start is calls only.
    mark = server.mark()
    os.kill(ready["pid"], signal.SIGKILL)
    server.wait_event("application-ready", "app", since=mark)
    again = steps(server, since=mark)
    assert list(again) == [step for step in taken if step not in ("probe", "compile")]
    assert server.stop() == 0


def test_nobody_who_does_not_ask_is_told(place):
    server = place.run({"app": clade.native("probe")})
    server.wait_ready("app")
    assert server.stop() == 0
    assert not server.find("start-step")
