"""Servers as Debian ships them, each in a sandbox without a network, all three in one configuration."""

import os
import shutil
import time

import pytest

import clade

APPLICATION = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"gunicorn {os.getpid()} {environ['PATH_INFO']}\\n".encode()]
"""

NODE = """
const http = require("node:http");
http.createServer((request, response) => {
    response.end(`node ${process.pid} ${request.url}\\n`);
}).listen({fd: 3});
"""


def nginx_configuration(port, workers):
    return f"""
daemon off;
worker_processes {workers};
pid /tmp/nginx.pid;
error_log stderr notice;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "nginx $pid $uri\\n"; }}
    }}
}}
"""


def node():
    """Where the program is, and whatever of it does not lie where the template `host` looks."""
    return os.path.realpath(shutil.which("node") or "/usr/bin/node")


def bind(path, where):
    return {"destination": where, "type": "bind", "source": path, "options": ["ro"]}


@pytest.fixture(name="servers")
def servers_fixture(place, refuse):
    for program in ("/usr/bin/gunicorn", "/usr/sbin/nginx", node()):
        if not os.access(program, os.X_OK):
            refuse(f"{program} is not installed: ./dev deps")
    ports = {name: clade.free_port() for name in ("gunicorn", "nginx", "node")}
    place.write("site/hello.py", APPLICATION)
    applications = {
        "gunicorn": {
            "type": "external", "executable": "/usr/bin/gunicorn",
            "arguments": ["--workers", "1", "--worker-tmp-dir", "/dev/shm", "hello:app"],
            "working_directory": "/srv",
            "isolation": {"rootfs": "host", "network": "none",
                          "mounts": [bind(str(place.path / "files" / "site"), "/srv")]},
        },
        "nginx": {
            "type": "external", "executable": "/usr/sbin/nginx",
            "arguments": ["-c", "/srv/nginx.conf", "-e", "stderr"],
            "environment": {"NGINX": "3;"},
            "isolation": {"rootfs": "host", "network": "none", "mounts": [
                bind(place.write("nginx.conf", nginx_configuration(ports["nginx"], 1)),
                     "/srv/nginx.conf")]},
        },
        "node": {
            "type": "external", "executable": node(), "arguments": ["/srv/server.js"],
            "isolation": {"rootfs": "host", "network": "none",
                          "mounts": [bind(place.write("server.js", NODE), "/srv/server.js")]},
        },
    }
    return applications, ports


@pytest.mark.users("root", "user", "subuid")
def test_gunicorn_nginx_and_node_serve_side_by_side(place, servers):
    applications, ports = servers
    server = place.run(applications, {f"127.0.0.1:{port}": name for name, port in ports.items()},
                       {"stop_timeout": 10})
    server.wait_ready(*ports, timeout=30)
    for name, port in ports.items():
        # The program has been exec'd; it takes its time until it serves.
        clade.wait_until(lambda port=port: clade.get(port, "/first", timeout=20), 30, name)
        for number in range(20):
            answer = clade.get(port, f"/page/{number}").split()
            assert answer[0] == name and answer[2] == f"/page/{number}"
    for name in ports:
        for pid in clade.descendants(server.prototypes()[name]):
            status = clade.status(pid)
            assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", (name, pid)
            assert int(status["CapEff"], 16) == 0
            assert len(clade.nspid(pid)) > 1
            if place.root:
                assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    assert not server.find("worker-exited")
    assert not server.find("listener-stalled")
    # All of them understand SIGTERM.
    start = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start < 9
    ended = {event["application"]: event.get("code", event.get("signal"))
             for event in server.find("worker-exited")}
    assert set(ended) == set(ports)


def test_servers_come_back_when_they_are_killed(place, servers):
    applications, ports = servers
    server = place.run(applications, {f"127.0.0.1:{port}": name for name, port in ports.items()})
    server.wait_ready(*ports, timeout=30)
    for name, port in ports.items():
        clade.wait_until(lambda port=port: clade.get(port, timeout=20), 30, name)
        (pid,) = server.workers(name)
        orphans = clade.children(pid)
        mark = server.mark()
        os.kill(pid, 9)
        server.wait_event("worker-exited", name, since=mark, pid=pid, signal=9)
        server.wait_event("worker-ready", name, since=mark)
        assert clade.get(port, timeout=20).split()[0] == name
        # Its own children, if it had any, are orphans that the prototype has to live with; here they
        # notice by themselves.
        clade.wait_until(lambda orphans=orphans: not [pid for pid in orphans if clade.running(pid)],
                         20, f"the children of {name}")
    assert server.stop(clade.signal.SIGQUIT) == 0


def test_a_program_that_never_accepts_is_named(place):
    ports = clade.free_port(), clade.free_port()
    server = place.run({"asleep": clade.native("fates", symbol="never_accepts"),
                        "awake": clade.native("probe")},
                       {f"127.0.0.1:{ports[0]}": "asleep", f"127.0.0.1:{ports[1]}": "awake"})
    server.wait_ready("asleep", "awake")
    waiting = [clade.socket.create_connection(("127.0.0.1", ports[0])) for _ in range(3)]
    with clade.Load([ports[1]], clients=1, rate=20):
        event = server.wait_event("listener-stalled", "asleep", timeout=10)
    assert event["listener"] == f"127.0.0.1:{ports[0]}"
    assert event["waiting"] == len(waiting)
    assert event["seconds"] >= 5
    assert event["level"] == "warning" and event["remedy"]
    # Said once, and of nobody else.
    time.sleep(1.5)
    assert len(server.find("listener-stalled")) == 1
    for connection in waiting:
        connection.close()
    assert server.stop() == 0


def test_many_workers_of_a_program_share_a_listener(place):
    """Several processes accept from one socket; each is LISTEN_PID in its own words."""
    port = clade.free_port()
    script = place.write("pid.py", """
import os, socket
assert os.environ["LISTEN_FDS"] == "1" and os.environ["LISTEN_PID"] == str(os.getpid())
server = socket.socket(fileno=3)
while True:
    client, _ = server.accept()
    client.recv(4096)
    client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n%d" % os.getpid())
    client.close()
""")
    server = place.run({"program": clade.python(script, processes=4)}, {f"127.0.0.1:{port}": "program"})
    server.wait_ready("program")
    isolated = {str(number) for number in server.workers("program").values()}
    answered = set()

    def answers():
        answered.add(clade.get(port))
        return answered == isolated

    clade.wait_until(answers, 20, "each of them answers")
    assert server.stop() == 0
