# SPDX-License-Identifier: GPL-2.0
"""Fences of cgroups: several groups in one, several fences side by side and inside one another."""

import json
import os
import secrets
import socket

import craft
import frames
import hostile
import kernel
import runs
import sandbox
import senders
import world as w
from craft import ether
from sandbox import Failure, until
from test_2_verdict import relative
from test_5_loader import BLAST, MOST_STEPS, each_step, long
from test_6_command import says
from test_8_follow import file_over
from test_8_guard import open_bypass, send_by
from test_9_planes import status

STRANGER = w.udp(w.OTHER, 9)
FRAME = craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t)))
EVERY_WAY = (STRANGER, w.udp(w.WEB6, 9), w.tcp(w.WEB, 80), w.ping(w.OTHER),
             w.Shot("raw", senders.raw, w.OTHER, 47, lambda t: t * 3), FRAME,
             craft.sent("AF_PACKET, IPv6", lambda t: ether(craft.ip6(t))))
PORT_1 = w.VPN_PORT + 1

# As BASIC, of a second tunnel.
SECOND = f"""
[Tunnel]
Interface=wg1
Kind=tun
Endpoint=udp {w.VPN}:{PORT_1}
"""


def scoped(world, *groups, tunnels=w.BASIC):
    return f"[Fence]\nCgroup={' '.join(relative(world, g) for g in groups)}\n{tunnels}"


def apps(world, *names):
    """A cgroup of each name, and an agent in it."""
    groups = [world.cgroup.child(name) for name in names]
    return groups, [world.new_agent(world.client, group) for group in groups]


def held(world, *agents):
    for agent in agents:
        world.silent(*EVERY_WAY, agent=agent)
        world.passes(w.outer(), agent=agent)


def free(world, *agents):
    for agent in agents:
        world.leaks(*EVERY_WAY, agent=agent)


def test_two_groups_of_one_fence(world):
    """And what they make below them; not a third, and not what is above them."""
    (one, two, _), agents = apps(world, "one", "two", "three")
    free(world, *agents)
    world.up(scoped(world, one, two))
    held(world, *agents[:2])
    free(world, agents[2], world.agent)
    below = one.child("below").child("deeper")
    held(world, world.new_agent(world.client, below))
    fence = status(world)
    if [g["path"] for g in fence["cgroups"]] != [one.path, two.path] or fence["within"]:
        raise Failure(f"status tells of {fence['cgroups']}, within {fence['within']}")
    said = world.tunfence("status", "wg0").out
    if "2 cgroups" not in said or one.path not in said or two.path not in said:
        raise Failure(said)
    world.down()
    free(world, *agents)
    if left := w.pins(world.bpffs) + world.own_pins():
        raise Failure(f"left behind: {left}")


def test_as_many_groups_as_there_may_be(world):
    """All of them other groups in the next moment: while they are exchanged, both are held."""
    groups = [world.cgroup.child(f"{number}") for number in range(32)]
    agents = [world.new_agent(world.client, groups[number]) for number in (0, 15, 16, 31)]
    world.leaks(STRANGER, FRAME, agent=agents[1])

    def sixteen(some):
        lines = "".join(f"Cgroup={relative(world, group)}\n" for group in some)
        return f"[Fence]\n{lines}{w.BASIC}"
    world.up(sixteen(groups[:16]))
    held(world, *agents[:2])
    free(world, *agents[2:])
    world.up(sixteen(groups[16:]))
    held(world, *agents[2:])
    free(world, *agents[:2])
    status(world)


def test_guard_of_each_group(world):
    (one, two, _), agents = apps(world, "one", "two", "three")
    world.up(scoped(world, one, two))
    told = [a.call(hostile.setsockopt, socket.AF_PACKET, 263, 20, bytes(4)) for a in agents]
    if told != ["EPERM", "EPERM", "sent"]:
        raise Failure(f"PACKET_QDISC_BYPASS: {told}")


def test_no_namespace_plane(world):
    """All packets of the machine would meet it; what it alone sees has no socket of the group's."""
    (one,), (app,) = apps(world, "one")

    def namespace_hooks():
        pins = [name for name in world.own_pins() if "/links/ns" in name]
        return len(pins), [h["hook"] for h in status(world)["hooks"] if h["plane"] == "namespace"]
    for _ in range(2):
        world.up(scoped(world, one))
        if (found := namespace_hooks()) != (0, []):
            raise Failure(f"a fence of cgroups has {found}")
        held(world, app)
        free(world, world.agent)
        world.up(w.BASIC)
        pins, told = namespace_hooks()
        if told != ["IPv4", "IPv6"] or pins != (2 if kernel.has_netfilter() else 0):
            raise Failure(f"a fence of the system has {pins} pins, and {told}")
        held(world, app)


def test_answers_of_the_kernel(world):
    """A SYN-ACK belongs to the group of the listener."""
    (one, two, _), agents = apps(world, "one", "two", "three")
    caller = world.new_agent(world.server)
    for port, agent in enumerate(agents, 8000):
        agent.call(senders.listen, "door", w.CLIENT, port)

    def knock(port):
        return w.Shot(f"SYN to port {port}", senders.tcp, w.CLIENT, port,
                      match=lambda f: (f.protocol, f.sport) == (frames.TCP, port))
    world.leaks(*(knock(port) for port in (8000, 8001, 8002)), agent=caller)
    world.up(scoped(world, one, two))
    world.silent(knock(8000), knock(8001), agent=caller)
    world.leaks(knock(8002), agent=caller)


def test_connection_from_before(world):
    """A fence that is raised around a running app cuts its connections at once."""
    world.serve()
    (one, two), agents = apps(world, "one", "two")
    talk = w.Shot("an established connection", senders.tcp_send, "talk", w.same)
    for agent in agents:
        agent.call(senders.tcp_open, "talk", w.WEB, 7)
        world.leaks(talk, agent=agent)
    world.up(scoped(world, one, two))
    for agent in agents:
        world.silent(talk, agent=agent)


def moved(name):
    return w.Shot(f"the {name} socket", hostile.send_by, name, w.same, (w.OTHER, 9))


def make_socket(agent, name):
    agent.call(senders.listen, name, w.CLIENT, 0, socket.SOCK_DGRAM)


def test_process_moved(world):
    """A socket stays what it was; the process's next one is of the group that it is in then."""
    (one, two, three), (app, _, other) = apps(world, "one", "two", "three")
    make_socket(app, "old")
    make_socket(other, "old")
    world.leaks(moved("old"), agent=app)
    world.up(scoped(world, one, two))
    app.call(three.join)
    make_socket(app, "new")
    world.silent(moved("old"), agent=app)
    world.leaks(moved("new"), STRANGER, agent=app)
    other.call(one.join)
    make_socket(other, "new")
    world.leaks(moved("old"), agent=other)
    world.silent(moved("new"), *EVERY_WAY, agent=other)
    says(world.up(None), f"(pid {other.pid}) holds a socket that was made outside '{one.path}'")
    app.call(two.join)
    held(world, app)
    world.silent(moved("old"), agent=app)


def test_socket_passed(world):
    """In either direction it belongs to the group of its maker (SCM_RIGHTS)."""
    (one, _), (app, helper) = apps(world, "one", "outside")
    world.up(scoped(world, one))
    for name, maker, taker in (("out", app, helper), ("in", helper, app)):
        path = f"{world.directory}/{name}"
        taker.call(hostile.await_socket, path)
        for kind, family, data, address in (
                ("UDP", socket.AF_INET, w.same, (w.OTHER, 9)),
                ("AF_PACKET", socket.AF_PACKET, lambda t: ether(craft.ip4(t)), ("eth0", 0))):
            taker.begin(hostile.take_socket, kind)
            maker.call(hostile.hand_over, path, family,
                       socket.SOCK_RAW if kind == "AF_PACKET" else socket.SOCK_DGRAM)
            taker.end()
            shot = w.Shot(f"{kind} handed {name}", hostile.send_by, kind, data, address)
            (world.silent if maker is app else world.leaks)(shot, agent=taker)
            if (f"(pid {app.pid}) holds" in world.up(None).out) == (maker is app):
                raise Failure(f"what up says of {kind} handed {name} is not so")
            taker.call(senders.close, kind)


def test_named_wherever_it_is_seen_from(world):
    """Who holds a socket that is not fenced is found by what his group is: its path is another in a
    cgroup namespace, and by another mount."""
    (one, _), (app, helper) = apps(world, "one", "outside")
    take(app, helper, world, "UDP", socket.AF_INET, socket.SOCK_DGRAM)
    app.call(open_bypass, "early")
    wrong = f"(pid {app.pid}) holds a socket that was made outside '{one.path}'"
    world.write_config(scoped(world, one))
    viewer = world.cgroup.child("viewer")
    elsewhere = f'echo 0 >{viewer.path}/cgroup.procs; exec unshare --cgroup "$@"'
    for wrapper in ((), ("sh", "-c", elsewhere, "sh")):
        says(world.must(world.tunfence("up", "wg0", wrapper=wrapper)), wrong)
    world.down()
    again = os.path.join(world.directory, "again")
    os.mkdir(again)
    sandbox.mount("cgroup2", again, "cgroup2")
    try:
        place = world.cgroup.path.replace(sandbox.cgroup2_mount(), again)
        said = world.up(w.BASIC, "wg1", cgroup=place)
        if app.call(send_by, "early", "eth0", ether(craft.ip4(BLAST))) == "sent":  # no LSM
            says(said, f"(pid {app.pid}) holds an AF_PACKET socket")
        world.down("wg1")
    finally:
        sandbox.unmount(again)


def test_group_inside_a_group(world):
    """Of one fence: the outer one holds it, in whatever order they are named."""
    (outer, other), (app, _) = apps(world, "outer", "other")
    inner = outer.child("inner")
    deep = world.new_agent(world.client, inner)
    for order in ((inner, outer, other), (outer, other, inner)):
        said = world.up(scoped(world, *order)).out
        if f"'{inner.path}' is in '{outer.path}'" not in said:
            raise Failure(f"nothing is said of the inner group:\n{said}")
        if [g["path"] for g in status(world)["cgroups"]] != [g.path for g in order if g != inner]:
            raise Failure(f"status tells of {status(world)['cgroups']}")
        held(world, app, deep)


def test_two_fences_with_two_tunnels(world):
    """What one app sends goes by its own tunnel, or nowhere."""
    (one, two), (app, other) = apps(world, "one", "two")
    tunnels = {}
    for number, name in enumerate(("wg0", "wg1")):
        world.tun(name, address=f"10.66.{number}.2/24")
        tunnels[name] = world.sniff(world.client, name, outgoing=True, ethernet=False)
    into = {"wg0": w.udp("10.66.0.1", 9), "wg1": w.udp("10.66.1.1", 9)}
    for agent in (app, other):
        for name, shot in into.items():
            world.leaks(shot, agent=agent, sniffer=tunnels[name])
    world.up(scoped(world, one), "wg0")
    world.up(scoped(world, two, tunnels=SECOND), "wg1")
    for agent, mine, not_mine in ((app, "wg0", "wg1"), (other, "wg1", "wg0")):
        world.passes(into[mine], agent=agent, sniffer=tunnels[mine])
        world.silent(into[not_mine], agent=agent, sniffer=tunnels[not_mine], told="EPERM")
        world.silent(*EVERY_WAY, agent=agent)
    world.passes(w.outer(), agent=app)
    world.silent(w.outer(w.VPN, PORT_1), agent=app)
    world.passes(w.outer(w.VPN, PORT_1), agent=other)
    world.silent(w.outer(), agent=other)
    free(world, world.agent)
    world.down("wg0")
    world.leaks(STRANGER, FRAME, agent=app)
    world.leaks(into["wg1"], agent=app, sniffer=tunnels["wg1"])
    world.silent(*EVERY_WAY, agent=other)


def within(world, name):
    said = json.loads(world.tunfence("status", name, "--json").out)["fences"][0]
    return [(n["fence"], n["scope"], n["cgroups"], n["no_tunnel_of_it"]) for n in said["within"]]


def test_fence_inside_a_fence(world):
    """All must pass: one in a group of another, and both in one of the system."""
    outer = world.cgroup.child("outer")
    inner = outer.child("inner")
    app, around = world.new_agent(world.client, inner), world.new_agent(world.client, outer)
    tunnels = {}
    for number, name in enumerate(("wg0", "wg1")):
        world.tun(name, address=f"10.66.{number}.2/24")
        tunnels[name] = world.sniff(world.client, name, outgoing=True, ethernet=False)
    by_0, by_1 = w.udp("10.66.0.1", 9), w.udp("10.66.1.1", 9)
    world.up(scoped(world, inner, tunnels=SECOND), "inner")
    world.passes(by_1, agent=app, sniffer=tunnels["wg1"])
    if found := within(world, "inner"):
        raise Failure(f"within {found}")

    world.up(scoped(world, outer), "outer")
    world.silent(by_0, agent=app, sniffer=tunnels["wg0"])
    world.silent(by_1, agent=app, sniffer=tunnels["wg1"])
    world.silent(*EVERY_WAY, w.outer(), w.outer(w.VPN, PORT_1), agent=app)
    world.passes(by_0, agent=around, sniffer=tunnels["wg0"])
    if (found := within(world, "inner")) != [("outer", "cgroup", 1, ["wg1"])]:
        raise Failure(f"inner is within {found}")
    says(world.tunfence("status", "inner"), "within", "'outer'", "wg1 is no tunnel of fence 'outer'")
    if found := within(world, "outer"):
        raise Failure(f"outer is within {found}")

    world.up(scoped(world, outer, tunnels=w.BASIC + SECOND), "outer")
    world.passes(by_1, agent=app, sniffer=tunnels["wg1"])
    world.passes(w.outer(w.VPN, PORT_1), agent=app)
    world.silent(by_0, agent=app, sniffer=tunnels["wg0"])

    world.up(w.BASIC, "home")
    world.silent(by_1, agent=app, sniffer=tunnels["wg1"])
    world.silent(*EVERY_WAY, agent=world.agent)
    if (found := sorted(within(world, "inner"))) != [("home", "system", 1, ["wg1"]),
                                                     ("outer", "cgroup", 1, [])]:
        raise Failure(f"inner is within {found}")
    world.down("inner")
    world.down("outer")
    world.silent(*EVERY_WAY, agent=app)
    world.passes(by_0, agent=app, sniffer=tunnels["wg0"])


# Groups that come and go


def test_group_removed(world):
    """Of several, one is gone: status names it, sync goes on with the others, up wants it back."""
    (one, two), (app, other) = apps(world, "one", "two")
    world.up(scoped(world, one, two))
    other.stop()
    two.remove()
    for _ in range(2):
        said = world.must(world.tunfence("status", "wg0"), 3).out
        if two.path not in said or f"cgroup '{one.path}'" in said:
            raise Failure(said)
        fence = status(world, 3)
        if [g["held"] for g in fence["cgroups"]] != [True, False]:
            raise Failure(f"status tells of {fence['cgroups']}")
        says(world.must(world.tunfence("sync", "wg0"), 1), two.path)
        held(world, app)
        if not os.path.exists(two.path):
            says(world.must(world.tunfence("up", "wg0"), 1), two.path)
            held(world, app)
            two = world.cgroup.child("two")
            other = world.new_agent(world.client, two)
            world.leaks(STRANGER, agent=other)
    world.up(None)
    status(world)
    held(world, app, other)


def test_planes_of_a_group_taken_off(world):
    """sync puts them back, at the group that lacks them."""
    (one, two), agents = apps(world, "one", "two")
    world.up(scoped(world, one, two))
    links = os.path.join(world.run_dir, "bpf", "wg0", "links")
    number = f"-{os.stat(two.path).st_ino}"
    pins = [name for name in world.below(os.listdir, links) if name.endswith(number)]
    if len(pins) < 6:
        raise Failure(f"the pins of {two.path} are {pins}")
    for name in pins:
        world.below(hostile.detach, os.path.join(links, name))
    said = world.must(world.tunfence("status", "wg0"), 3).out
    if two.path not in said or f"cgroup '{one.path}'" in said:
        raise Failure(said)
    world.sync("wg0")
    status(world)
    held(world, *agents)


def test_list_of_groups_changed(world):
    """By a second up: one goes, one stays, one comes."""
    (one, two, three), agents = apps(world, "one", "two", "three")
    world.up(scoped(world, one, two))
    held(world, *agents[:2])
    free(world, agents[2])
    world.up(scoped(world, two, three))
    held(world, *agents[1:])
    free(world, agents[0])
    if [g["path"] for g in status(world)["cgroups"]] != [two.path, three.path]:
        raise Failure(f"status tells of {status(world)['cgroups']}")
    world.up(w.BASIC)
    world.silent(*EVERY_WAY)
    for agent in agents:
        world.silent(*EVERY_WAY, agent=agent)
    world.up(scoped(world, one))
    held(world, agents[0])
    free(world, world.agent, *agents[1:])
    pins = [name for name in world.own_pins() if "/links/" in name]
    if strays := [p for p in pins if "socket" in p and not p.endswith(f"-{os.stat(one.path).st_ino}")]:
        raise Failure(f"pins of groups that were let go: {strays}")


def take(agent, maker, world, kind, *socket_of):
    """A socket that maker makes, and agent has from then on."""
    path = f"{world.directory}/{kind}-{agent.pid}"
    agent.call(hostile.await_socket, path)
    agent.begin(hostile.take_socket, kind)
    maker.call(hostile.hand_over, path, *socket_of)
    agent.end()


def links_at(world, number):
    return [name for name in world.own_pins() if "/links/" in name and name.endswith(f"-{number}")]


def test_removed_with_a_socket_left(world):
    """Which was handed to another: it stays fenced, whatever 'up' names then, until it is closed. A
    group that is there still and is named no more is let go."""
    (one, two, three), (goes, stays, freed) = apps(world, "one", "two", "three")
    helper = world.new_agent(world.client)
    shots = []
    for kind, data, to, *socket_of in (
            ("UDP", w.same, (w.OTHER, 9), socket.AF_INET, socket.SOCK_DGRAM),
            ("UDP, IPv6", w.same, (w.WEB6, 9), socket.AF_INET6, socket.SOCK_DGRAM),
            ("AF_PACKET", lambda t: ether(craft.ip4(t)), ("eth0", 0), socket.AF_PACKET,
             socket.SOCK_RAW)):
        take(helper, goes, world, kind, *socket_of)
        shots.append(w.Shot(f"{kind} from what was removed", hostile.send_by, kind, data, to))
    world.leaks(*shots, agent=helper)
    world.up(scoped(world, one, three))
    world.silent(*shots, agent=helper)
    number = os.stat(one.path).st_ino
    goes.stop()
    one.remove()
    for config in (scoped(world, two), scoped(world, two) + "[Allow]\nLAN=yes\n", scoped(world, two)):
        world.up(config)
        world.silent(*shots, agent=helper)
        free(world, freed, world.agent)
        held(world, stays)
        fence = status(world)
        if fence["removed_cgroups"] != 1 or [g["path"] for g in fence["cgroups"]] != [two.path]:
            raise Failure(f"status tells of {fence['cgroups']} and {fence['removed_cgroups']}")
        says(world.tunfence("status", "wg0"), "1 cgroup removed since")
        world.sync("wg0")
        world.must(runs.run(world, "wg0", "true"))
    one = world.cgroup.child("one")  # another by the same name
    namesake = world.new_agent(world.client, one)
    world.up(scoped(world, one, two))
    held(world, namesake, stays)
    world.silent(*shots, agent=helper)
    if not links_at(world, number):
        raise Failure("its links are not pinned where they are looked for")
    helper.stop()

    def is_let_go():
        world.up(scoped(world, two))
        return not status(world)["removed_cgroups"]
    until(is_let_go, 20, "the kernel to let go of it")
    if found := links_at(world, number):
        raise Failure(f"{found} are left of it")
    held(world, stays)
    free(world, namesake)


@long
def test_killed_with_a_socket_left(world):
    """At no step of 'up' is it free."""
    (one, two, three), (goes, _, _) = apps(world, "one", "two", "three")
    helper = world.new_agent(world.client)
    take(helper, goes, world, "UDP", socket.AF_INET, socket.SOCK_DGRAM)
    take(helper, goes, world, "packet", socket.AF_PACKET, socket.SOCK_RAW)
    world.up(scoped(world, one))
    goes.stop()
    one.remove()
    shots = (w.Shot("a UDP socket left", hostile.send_by, "UDP", w.same, (w.OTHER, 9)),
             w.Shot("an AF_PACKET socket left", hostile.send_by, "packet",
                    lambda t: ether(craft.ip4(t)), ("eth0", 0)))
    for step in range(1, MOST_STEPS, 6):
        world.write_config(scoped(world, (two, three)[step % 2]))
        done = world.tunfence("up", "wg0", environment={"TUNFENCE_FAULT": str(step)}).code == 0
        world.silent(*shots, agent=helper)
        if done:
            break
        world.up(scoped(world, (three, two)[step % 2]))
        world.silent(*shots, agent=helper)


def test_too_many_removed(world):
    """'up' says so, and the fence there is stays as it is."""
    helper = world.new_agent(world.client)
    goes = []
    for number in range(17):
        group = world.cgroup.child(f"{number}")
        app = world.new_agent(world.client, group)
        goes.append((group, app))
        take(helper, app, world, f"{number}", socket.AF_INET, socket.SOCK_DGRAM)
    new = [world.cgroup.child(f"new{number}") for number in range(16)]
    shot = w.Shot("a socket of a removed group", hostile.send_by, "3", w.same, (w.OTHER, 9))
    world.leaks(shot, agent=helper)
    for some in (goes[:16], goes[16:]):
        world.up(scoped(world, *(group for group, _ in some)))
        for group, app in some:
            app.stop()
            group.remove()
    before = status(world, 3)["removed_cgroups"]
    refused(world, scoped(world, *new), "room for 32 cgroups", "tunfence down wg0")
    if before != 16 or status(world, 3)["removed_cgroups"] != before:
        raise Failure(f"status told of {before}, and now of {status(world, 3)}")
    world.silent(shot, agent=helper)
    world.up(scoped(world, *new[:15]))
    world.silent(shot, agent=helper)
    status(world)


@long
def test_killed_after_each_step_of_a_change_of_groups(world):
    """No step frees a group that goes while one that comes can still send; who stays is held by
    all."""
    (one, two, three), (goes, stays, comes) = apps(world, "one", "two", "three")
    before, after = scoped(world, one, two), scoped(world, two, three)
    world.up(after)
    world.up(before)
    stays.begin(senders.blast, [(w.OTHER, 9, BLAST), (w.WEB6, 9, BLAST)],
                [ether(craft.ip4(BLAST)), ether(craft.ip6(BLAST))], "eth0")
    mark = world.sniffer.mark()
    seen = set()

    def sends(agent):
        """Whether anything of it is seen on the wire."""
        found = False
        for shot in (STRANGER, FRAME):
            start = world.sniffer.mark()
            _, match = shot.fire(agent)
            world.settle()
            found = found or any(match(f) for f in world.sniffer.since(start))
        return found

    def look(step, _):
        freed, unfenced = sends(goes), sends(comes)
        seen.add((freed, unfenced))
        if freed and unfenced:
            raise Failure(f"step {step}: the old group is let go, the new one not fenced yet")
        if not freed and not unfenced and world.tunfence("status", "wg0").code == 0:
            raise Failure(f"step {step}: half done, and status finds nothing wrong")
    steps = each_step(world, "up", before=lambda: (world.up(before), world.write_config(after)),
                      after=look)
    stays.begin(senders.nothing)
    tried, sent = stays.end()
    stays.end()
    if sent or tried < 1000:
        raise Failure(f"{sent} of {tried} packets of the group that stays were not refused")
    if found := [f for f in world.sniffer.since(mark) if BLAST in f.raw]:
        raise Failure(f"leaked: {w.describe(found)}")
    if seen != {(False, True), (False, False), (True, False)}:
        raise Failure(f"in {steps} steps only {seen} was seen")
    status(world)


# What the configuration may say


def refused(world, config, *words):
    world.write_config(config)
    says(world.must(world.tunfence("up", "wg0"), 1), *words)


def test_groups_that_cannot_be_had(world):
    """What is wrong is said, and the fence there is stays as it is."""
    (one,), (app,) = apps(world, "one")
    world.up(scoped(world, one))
    path = os.path.join(world.config_dir, "wg0.conf")
    many = " ".join(f"group{n}" for n in range(17))
    refused(world, f"[Fence]\nCgroup={many}\n{w.BASIC}", f"{path}:2", "more than 16 groups")
    refused(world, f"[Fence]\nUnit=transmission\n{w.BASIC}", f"{path}:2", "transmission",
            "NAME.service")
    refused(world, f"[Fence]\nCgroup={relative(world, one)} {relative(world, one)}/gone\n{w.BASIC}",
            f"{one.path}/gone", "there is no cgroup")
    refused(world, f"[Fence]\nUnit=tunfence-e2e-none.service\n{w.BASIC}",
            "tunfence-e2e-none.service", "systemctl start")
    status(world)
    held(world, app)


def test_units(world):
    """A service below a slice, as systemd makes them; it is stopped, started, and fenced again."""
    name = secrets.token_hex(4)
    root = w.sandbox.cgroup2_mount()
    tree = sandbox.Cgroup(os.path.join(root, f"{sandbox.Cgroup.PREFIX}{name}.slice"))
    try:
        service = tree.child(f"a-{name}.service")
        decoy = world.cgroup.child(f"a-{name}.service")
        (other,), (plain,) = apps(world, "other")
        app, fake = (world.new_agent(world.client, group) for group in (service, decoy))
        config = f"[Fence]\nUnit=a-{name}.service\nCgroup={relative(world, other)}\n{w.BASIC}"
        world.up(config)
        held(world, app, plain)
        free(world, fake)
        app.stop()
        service.remove()
        says(world.must(world.tunfence("status", "wg0"), 3), service.path)
        says(world.must(world.tunfence("up", "wg0"), 1), f"a-{name}.service")
        service = tree.child(f"a-{name}.service")
        app = world.new_agent(world.client, service)
        world.up(None)
        status(world)
        held(world, app, plain)
        world.up(f"[Fence]\nUnit={os.path.basename(tree.path)}\n{w.BASIC}")
        held(world, app)
        free(world, plain)
        app.stop()
        world.down()
    finally:
        tree.remove()


def test_up_says_who_asks_for_names(world):
    """A resolver on this machine sends what a fenced program asks it."""
    (group,), _ = apps(world, "one")
    said = "names are asked for by '127.0.0.53' (/etc/resolv.conf)"
    with file_over(world, "/etc/nsswitch.conf", "hosts: files dns\n"):
        with file_over(world, "/etc/resolv.conf", "nameserver 127.0.0.53\n"):
            if said not in (out := world.up(scoped(world, group)).out):
                raise Failure(out)
            world.down()
            world.up(name="home")
            if "names are asked" in (out := world.up(scoped(world, group)).out):
                raise Failure(f"the resolver is fenced, too: {out}")
            world.down()
        with file_over(world, "/etc/resolv.conf", f"nameserver {w.WEB}\n"):
            if "names are asked" in (out := world.up(scoped(world, group)).out):
                raise Failure(f"there is no resolver: {out}")
