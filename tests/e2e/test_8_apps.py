# SPDX-License-Identifier: GPL-2.0
"""Apps in a fence of a cgroup: real clients whose tunnel dies, transfers that a fence is raised in,
rings of io_uring, and groups below that would undo it."""

import os
import signal
import subprocess
import threading

import hostile
import senders
import world as w
from hostile import Ring
from runs import OWN, run, start
from sandbox import Failure, until
from test_4_tunnel import REAL
from test_6_command import says
from test_8_groups import EVERY_WAY, STRANGER, apps, free, held, scoped
from wireguard import Tunnel
from world import Shot

CURL = ("curl", "--silent", "--show-error", "--max-time", "5")
PAGE = (*CURL, f"http://{w.WEB}/")


# ---- a tunnel that dies under curl ----

def tries_again(pid, port):
    """How often the kernel has tried in vain to send what a process's connection to the port holds:
    retransmissions and probes, as /proc/net/tcp has them."""
    with open(f"/proc/{pid}/net/tcp") as lines:
        fields = next(f for f in map(str.split, lines) if f[2].endswith(f":{port:04X}"))
    return int(fields[6], 16) + int(fields[8])


def echoed(process, line):
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    found = []
    reader = threading.Thread(target=lambda: found.append(process.stdout.readline()), daemon=True)
    reader.start()
    reader.join(5)
    return found == [f"{line}\n"]


def test_tunnel_dies_under_curl(world):
    """What it has begun stops, what it begins fails at once with EPERM, and the rest of the machine
    goes on by the uplink. When the tunnel is back so is curl, without a hand on the fence."""
    world.serve()
    tunnel = Tunnel(world)
    world.up(OWN + REAL)
    talk = start(world, "wg0", *CURL[:3], "--no-buffer", f"telnet://{w.WEB}:7",
                 stdin=subprocess.PIPE)
    mark = world.sniffer.mark()
    says(world.must(run(world, "wg0", *PAGE)), f"hello, {w.TUNNEL_CLIENT}")
    if not echoed(talk, "by the tunnel"):
        raise Failure("the echo does not come by the tunnel")
    world.quiet_since(mark)

    tunnel.kill()
    says(run(world, "", words=PAGE), f"hello, {w.CLIENT}")
    mark = world.sniffer.mark()
    says(world.must(run(world, "wg0", *PAGE, "--verbose"), 7), "Operation not permitted")
    talk.stdin.write("by the uplink\n")
    talk.stdin.flush()
    until(lambda: tries_again(talk.pid, 7), 5, "the kernel to try again")
    world.quiet_since(mark)

    tunnel.start()
    mark = world.sniffer.mark()
    says(world.must(run(world, "wg0", *PAGE)), f"hello, {w.TUNNEL_CLIENT}")
    world.quiet_since(mark)
    talk.send_signal(signal.SIGTERM)
    world.down()


# ---- a fence that is raised in the middle ----

def test_transfer_is_cut(world):
    """From when up returns, not even an acknowledgement leaves; a transfer outside goes on."""
    world.serve()
    (group, _), (app, other) = apps(world, "app", "other")
    for agent in (app, other):
        agent.call(senders.tcp_open, "transfer", w.WEB, 7)
        agent.begin(senders.tcp_exchange, "transfer", b"x" * 1000)
        until(lambda a=agent: a.rounds() > 20, 20, "the transfer to run")
    world.up(scoped(world, group))
    mark = world.sniffer.mark()
    before = other.rounds()
    until(lambda: other.rounds() > before + 20, 20, "the transfer outside to go on")
    for agent in (app, other):
        agent.begin(senders.nothing)
        agent.end(), agent.end()
    until(lambda: app.call(senders.tcp_retries, "transfer"), 5, "the kernel to try again")
    world.settle()
    theirs = other.call(senders.port_of, "transfer")
    if found := [f for f in world.judge.leaks(world.sniffer.since(mark)) if f.sport != theirs]:
        raise Failure(f"the transfer goes on: {w.describe(found)}")


# ---- who sends for the app ----

def test_io_uring(world):
    """Whoever runs an entry of a ring, the call itself, a worker or the kernel's own thread, sends
    and makes sockets as the app. With a tunnel up: else connect() would be refused before."""
    world.tun("wg0")
    (group, _), (app, other) = apps(world, "app", "other")
    kinds = {"at once": (0, 0), "by a worker": (0, Ring.ASYNC),
             "by a kernel thread": (Ring.SQPOLL, 0)}
    shots = [Shot(f"{what}, {how}", function, w.OTHER, 9, w.same, *flags)
             for how, flags in kinds.items()
             for what, function in (("send of io_uring", hostile.ring_send),
                                    ("socket of io_uring", hostile.ring_socket))]
    if shots[1].fire(app)[0] == "EINVAL":  # before Linux 5.19
        shots = shots[::2]
    world.leaks(*shots, agent=app)
    world.up(scoped(world, group))
    world.silent(*shots, agent=app, told="EPERM")
    world.leaks(*shots, agent=other)


# ---- below the fence's group ----

def test_group_below_cannot_undo_it(world):
    """Not by programs of its own that let everything pass, which the kernel asks as well."""
    (group, other), (app, _) = apps(world, "app", "other")
    world.up(scoped(world, group))
    for parent in (group, other):
        below = parent.child("below")
        agent = world.new_agent(world.client, below)
        says_sent = agent.call(hostile.overrule, below.path)
        if says_sent != "sent":
            raise Failure(f"the programs below are not attached: {says_sent}")
        refused = agent.call(hostile.setsockopt, hostile.socket.AF_PACKET, 263, 20, bytes(4))
        if (refused == "EPERM") != (parent is group):
            raise Failure(f"PACKET_QDISC_BYPASS: {refused}")
        (held if parent is group else free)(world, agent)
    held(world, app)


def test_threads_in_a_threaded_group(world):
    """A thread may be in another group than its process, but only below it."""
    (group,), (app,) = apps(world, "app")
    below = group.child("below")
    with open(os.path.join(below.path, "cgroup.type"), "w") as kind:
        kind.write("threaded")
    world.leaks(*in_thread(below.path), agent=app)
    world.up(scoped(world, group))
    world.silent(*in_thread(below.path), agent=app, told="EPERM")


def in_thread(path):
    return [Shot(f"udp {address}:9 by a thread", hostile.by_thread_of, path, address, 9, w.same)
            for address in (w.OTHER, w.WEB6)]
