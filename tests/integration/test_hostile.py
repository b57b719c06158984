"""Applications that attack: their listeners, and from inside of their prototypes clade's own channels. Each
is stopped, reported and backed off; nobody else notices."""

import concurrent.futures
import http.client
import time

import pytest

import clade
from attacks import ATTACKS, LOOP, POINTLESS, Neighbour, longest_wait


@pytest.fixture(name="arena")
def arena_fixture(place):
    """Starts an attacker beside a neighbour; how the neighbour was beforehand, and a function to ask it."""

    def start(attack, more=None, settings=None):
        ports = {"neighbour": clade.free_port(), "attacker": clade.free_port()}
        attacker = clade.native("hostile", preload=attack, **(more or {}))
        server = place.run({"neighbour": clade.native("probe", processes=2), "attacker": attacker},
                           {f"127.0.0.1:{port}": name for name, port in ports.items()}, settings)
        server.wait_ready("neighbour")
        return server, ports

    return start


@pytest.mark.parametrize("attack, errno", ATTACKS)
def test_an_attack_ends_the_attacker(arena, attack, errno):
    server, ports = arena(attack)
    first = server.wait_event("prototype-started", "attacker")
    if errno:
        failed = server.wait_event("application-failed", "attacker")
        assert failed["errno"] == errno, failed
        assert len(failed["message"]) < 1000
    # The prototype and all it made is gone, and the next one waits longer each time.
    server.wait_event("prototype-exited", "attacker", pid=first["pid"])
    backoffs = [server.wait_event("application-backoff", "attacker", count=count)
                for count in (1, 2)]
    assert [event["delay_ms"] for event in backoffs] == [100, 200]
    server.wait_event("prototype-started", "attacker", count=3)
    # No word of its was believed.
    assert not server.find("worker-ready", "attacker")
    assert not server.find("application-ready", "attacker")
    assert clade.get(ports["neighbour"]).startswith("neighbour ")
    assert not server.find("worker-exited", "neighbour")
    assert not server.find("application-failed", "neighbour")


def test_the_loop_goes_on_under_attack(place):
    """All of them at once, and floods of output besides."""
    port = clade.free_port()
    applications = {"neighbour": clade.native("probe", processes=2)}
    alone = place.run(applications, {f"127.0.0.1:{port}": "neighbour"})
    alone.wait_ready("neighbour")
    # As much to do for the machine as will be, but not for the supervisor.
    quiet = Neighbour(alone, "neighbour", port)
    quiet.ask(2)
    assert alone.stop() == 0
    for attack, _ in ATTACKS:
        applications[attack] = clade.native("hostile", preload=attack)
    for number in range(2):
        applications[f"floods-{number}"] = clade.native("fates", symbol="floods")
    server = place.run(applications, {f"127.0.0.1:{port}": "neighbour"})
    server.unread.append(b'"event":"output","application":"floods-')
    server.wait_ready("neighbour")
    loud = Neighbour(server, "neighbour", port)
    loud.ask(6)
    for attack, _ in ATTACKS:
        assert server.find("application-backoff", attack), attack
    assert server.unread_lines > 1000
    loud.check(quiet)
    assert clade.cpu_seconds(server.pid) < 4 * clade.SLOW
    assert server.stop() == 0


def test_the_loop_goes_on_while_a_tenant_holds_its_pipes(place):  # row 63
    """A write holds a pipe's lock for as long as its memory takes to fault. Nobody waits for it but the relay."""
    port = clade.free_port()
    server = place.run({"neighbour": clade.native("probe", processes=2),
                        "attacker": clade.native("hostile", preload="holds_its_pipes")},
                       {f"127.0.0.1:{port}": "neighbour"})
    server.wait_ready("neighbour")
    server.wait_event("output", "attacker", stream="stderr", timeout=20)
    (relay,) = [pid for pid in server.relays() if "attacker" in clade.title(pid)]
    with clade.Load([port], clients=1) as load:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            ours, its = (pool.submit(longest_wait, pid, 5) for pid in (server.pid, relay))
    assert its.result() > LOOP, "the attack does nothing"
    assert ours.result() < LOOP
    assert load.failures == 0 and load.answers > 50
    assert not server.find("application-failed")
    assert server.stop() == 0


@pytest.mark.parametrize("attack", POINTLESS)
def test_a_pointless_attack_is_pointless(arena, attack):
    server, ports = arena(attack)
    server.wait_ready("attacker")
    assert clade.get(ports["attacker"]).startswith("attacker ")
    assert clade.get(ports["neighbour"]).startswith("neighbour ")
    # Everything works as ever: a worker of its is replaced, and the supervisor stops it in order.
    (pid,) = server.workers("attacker")
    mark = server.mark()
    clade.os.kill(pid, clade.signal.SIGKILL)
    server.wait_event("worker-exited", "attacker", since=mark, pid=pid, signal=9)
    server.wait_event("worker-ready", "attacker", since=mark)
    assert clade.get(ports["attacker"]).startswith("attacker ")
    start = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start < 5 * clade.SLOW


def test_a_flood_of_kicks_is_not_even_heard(arena):
    """They are looked at now and then, however many there are; and a prototype that does nothing else is late."""
    server, ports = arena("floods_kicks", settings={"start_timeout": 3})
    server.wait_event("prototype-started", "attacker")
    spent = clade.cpu_seconds(server.pid)
    with clade.Load([ports["neighbour"]], clients=1) as load:
        time.sleep(2)
    assert load.failures == 0 and load.answers > 20
    assert clade.cpu_seconds(server.pid) - spent < 0.5 * clade.SLOW
    failed = server.wait_event("application-failed", "attacker")
    assert failed["errno"] == "ETIMEDOUT"
    server.wait_event("application-backoff", "attacker")
    assert server.stop() == 0


def test_a_full_eventfd_is_the_attackers_own_trouble(arena):
    """Nobody of its own can be heard any more; which costs it alone its readiness."""
    server, ports = arena("fills_kick", settings={"start_timeout": 2})
    server.wait_event("worker-started", "attacker")
    with clade.Load([ports["neighbour"]], clients=1) as load:
        time.sleep(1)
    assert load.failures == 0 and load.answers > 20
    assert clade.cpu_seconds(server.pid) < 0.3 * clade.SLOW
    for pid in server.workers("attacker", "worker-started"):
        clade.os.kill(pid, clade.signal.SIGKILL)
    server.wait_event("worker-started", "attacker", count=2)
    assert server.stop() == 0


def test_a_prototype_that_does_not_clone_is_ended(arena):
    server, ports = arena("reads_no_orders")
    failed = server.wait_event("application-failed", "attacker", timeout=20)
    assert failed["errno"] == "ETIMEDOUT" and "clone" in failed["message"]
    server.wait_event("application-backoff", "attacker")
    assert clade.get(ports["neighbour"]).startswith("neighbour ")


def test_a_prototype_cannot_outlive_its_supervisor(arena):
    server, _ = arena("clings_to_life")
    prototype = server.wait_event("prototype-started", "attacker")["pid"]
    # Itself, its child and its grandchild, who is an orphan.
    family = clade.wait_until(lambda: [prototype, *found] if len(
        found := clade.descendants(prototype)) >= 2 else None, 5, "it has children")
    time.sleep(0.2)
    server.process.kill()
    server.wait()
    clade.wait_until(lambda: not [pid for pid in family if clade.running(pid)], 1 / clade.SLOW,
                     "a second later something of it lives")


# --- listeners ------------------------------------------------------------------------------------


def refused(port):
    """What a client meets in the moment without a listener."""
    try:
        return not clade.get(port, timeout=1)
    except (OSError, http.client.HTTPException):
        return True


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_listener_that_is_shut_down_is_back(place, kind):  # row 62
    ports = clade.free_port(), clade.free_port()
    path = str(place.path / "run" / "socket")
    where = ports[0] if kind == "tcp" else path
    address = f"127.0.0.1:{ports[0]}" if kind == "tcp" else f"unix:{path}"
    server = place.run({"hurt": clade.native("probe", processes=2), "other": clade.native("probe")},
                       {address: "hurt", f"127.0.0.1:{ports[1]}": "other"})
    server.wait_ready("hurt", "other")
    for turn in range(3):
        time.sleep(clade.EARLY + 0.3)  # old enough not to be held against it
        mark, start, spent = server.mark(), time.monotonic(), clade.cpu_seconds(server.pid)
        with clade.Load([ports[1]], clients=1) as load:
            try:
                assert clade.get(where, "/shutdown") == "shutdown: done\n"
            except (OSError, http.client.HTTPException):
                pass  # the supervisor was quicker: the culprit is gone before it could answer
            lost = server.wait_event("listener-lost", "hurt", since=mark)
            assert lost["listener"] == address
            server.wait_event("listener-reopened", "hurt", since=mark)
            clade.wait_until(lambda: not refused(where), 5, "it serves again")
            assert time.monotonic() - start < 1 * clade.SLOW
            time.sleep(0.5)
        assert load.failures == 0 and load.answers > 5
        assert clade.cpu_seconds(server.pid) - spent < 0.3 * clade.SLOW
        assert clade.get(where).startswith("hurt ")
        assert not server.find("worker-exited", "other")
        # Told once for each, not once for each worker or wake-up.
        assert len(server.find("listener-lost", "hurt")) == turn + 1
    assert server.stop() == 0


def test_a_listener_that_is_always_shut_down_makes_no_spin(place):  # row 62
    ports = clade.free_port(), clade.free_port()
    server = place.run({"hurt": clade.native("fates", symbol="shuts_down", processes=2),
                        "other": clade.native("probe")},
                       {f"127.0.0.1:{ports[0]}": "hurt", f"127.0.0.1:{ports[1]}": "other"})
    server.wait_ready("other")
    server.wait_event("listener-lost", "hurt")
    spent = clade.cpu_seconds(server.pid)
    with clade.Load([ports[1]], clients=1) as load:
        time.sleep(3)
    assert load.failures == 0 and load.answers > 50
    assert clade.cpu_seconds(server.pid) - spent < 0.5 * clade.SLOW
    # It backs off: far fewer starts than there was time for.
    assert len(server.find("prototype-started", "hurt")) <= 8
    assert len(server.find("listener-lost", "hurt")) <= 8
    assert server.stop() == 0
