# SPDX-License-Identifier: GPL-2.0
"""The pictures in README are what the program prints. PICTURES=DIRECTORY makes them anew: see
scripts/pictures."""

import os

import picture
import senders
import world as w
from sandbox import Failure, until
from test_10_blocked import TERMINAL, call_it, labels, query
from test_4_tunnel import REAL, served

HERE = os.path.dirname(os.path.abspath(__file__))
PLACE = os.path.join(HERE, "../../scripts")
MOST = 30_000  # bytes of a picture
SSDP = "239.255.255.250"

# Who tries what: name, cgroup, user, and how often each of (address, port, name that is asked for).
PROGRAMS = (
    (b"firefox", "app-firefox.scope", 1000,
     {(w.ROUTER, 53, b"www"): 12, (w.ROUTER, 53, b"mail"): 5, (w.ROUTER, 443, None): 3}),
    (b"chronyd", "chrony.service", 990, {(w.ROUTER, 123, None): 4}),
    (b"telemetry", "telemetry.service", 0, {(SSDP, 1900, None): 2}),
    (b"updater", "updates.service", 0, {(w.ROUTER, 80, None): 1}),
)
USERS = "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/:/bin/sh\n_chrony:x:990:990::/:/bin/false\n"


def start(world, name, group, user, packets):
    """Gives a function that sends them."""
    agent = world.new_agent(world.client, world.cgroup.child(group))
    agent.call(call_it, name)
    agent.call(os.setuid, user)

    def send():
        for (address, port, host), count in packets.items():
            payload = query(labels(host, b"example", b"org")) if host else b"x"
            for _ in range(count):
                agent.call(senders.udp, address, port, payload)
    return send


def capture(world, *words):
    """Of a machine where these users are known, by one of them."""
    users = os.path.join(world.directory, "passwd")
    with open(users, "w") as file:
        file.write(USERS)
    known = ("unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', users)
    said = world.must(world.tunfence(*words, wrapper=known + TERMINAL,
                                     environment={"SUDO_USER": "ada"})).out
    return picture.screen("sudo tunfence " + " ".join(words), said)


def capture_all(world, programs):
    """Nothing when something came in meanwhile: the router looks for its neighbours now and then."""
    world.must(world.tunfence("blocked", "--clear"))
    for send in programs:
        send()
    lines = capture(world, "status"), capture(world, "blocked")
    return lines if "network" not in str(lines[1]) else None


def check(name, lines):
    """That the picture is alike; or makes it so."""
    drawn = picture.draw(lines)
    if picture.read(drawn) != lines or len(drawn.encode()) > MOST:
        raise Failure(f"'{name}' is not drawn well, or has {len(drawn)} bytes")
    if to := os.environ.get("PICTURES"):
        with open(os.path.join(to, name), "w") as file:
            file.write(drawn)
        return
    with open(os.path.join(PLACE, name)) as file:
        there = picture.alike(picture.read(file.read()))
    for number, (old, new) in enumerate(zip(there, picture.alike(lines))):
        if old != new:
            raise Failure(f"'{name}', line {number + 1} has {old}, and the program says {new}; make it "
                          "anew with scripts/pictures")
    if len(there) != len(lines):
        raise Failure(f"'{name}' has {len(there)} lines, the program {len(lines)}; make it anew with "
                      "scripts/pictures")


def test_pictures(world):
    served(world)
    world.ip(world.client, f"route add {SSDP} dev eth0")
    world.up(REAL)
    programs = [start(world, *program) for program in PROGRAMS]
    status, blocked = until(lambda: capture_all(world, programs), 60, "a moment of silence")
    check("status.svg", status)
    check("blocked.svg", blocked)
