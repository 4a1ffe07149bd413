# SPDX-License-Identifier: GPL-2.0
"""The way of exempt programs past the tunnel: by tunfence's own table, rules and mark, whatever routes
and rules a VPN has laid. Who passes is the verdict's, and no mark's."""

import os
import re
import socket
import subprocess

import frames
import hostile
import senders
import world as w
from sandbox import Failure, until
from test_2_verdict import relative
from test_4_tunnel import REAL, dead_and_silent, fetches
from test_5_loader import long
from test_8_follow import AT_ONCE, Follower
from test_8_wg_quick import quick
from wireguard import Tunnel

STRANGER, STRANGER6 = w.udp(w.OTHER, 9), w.udp(w.WEB6, 9)
NAME, NAME6 = w.udp(w.RESOLVER, 53), w.udp(w.RESOLVER6, 53)
HALVES = ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")
PROTOCOL = 116


def exempt(world, config=REAL, more="", name="games"):
    """A fence with an exempt group, and an agent in that."""
    group = world.cgroup.child(name)
    world.up(f"{config}\n[Exempt]\nCgroup={relative(world, group)}\n{more}")
    return world.new_agent(world.client, group)


def shown(world, *lines):
    with world.client:
        done = [subprocess.run(["ip", *line.split()], capture_output=True, text=True, check=False)
                for line in lines]
    return "".join(d.stdout for d in done)


def rules(world):
    return shown(world, "-4 rule", "-6 rule")


def ours(world):
    """Rules, and routes wherever they are, that tunfence made."""
    lines = rules(world) + shown(world, "-4 route show table all", "-6 route show table all")
    return [line for line in lines.splitlines() if re.search(rf"\bproto {PROTOCOL}\b", line)]


def mark_of(agent):
    kinds = [(f, k) for f in (socket.AF_INET, socket.AF_INET6)
             for k in (socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_RAW)]
    marks = {agent.call(senders.mark_of_new, *kind) for kind in kinds}
    if len(marks) != 1:
        raise Failure(f"sockets of one group have the marks {marks}")
    return marks.pop()


def past(world, agent):
    """It talks by the uplink, both ways, from the uplink's own addresses."""
    fetches(world, client=w.CLIENT, agent=agent)
    fetches(world, w.WEB6, w.CLIENT6, agent=agent)
    mark = world.sniffer.mark()
    world.passes(STRANGER, STRANGER6, w.ping(w.OTHER), agent=agent)
    sources = {str(f.src) for f in world.sniffer.since(mark) if f.protocol == frames.UDP}
    if sources - {w.CLIENT, w.CLIENT6, w.VPN}:
        raise Failure(f"it sends from {sources}")


def by_tunnel(world, agent=None):
    fetches(world, agent=agent)
    fetches(world, w.WEB6, w.TUNNEL_CLIENT6, agent=agent)


def test_past_two_halves(world):
    """As OpenVPN and wg without wg-quick have it: two routes in the main table that win over the
    default one."""
    world.serve()
    Tunnel(world)
    agent = exempt(world)
    by_tunnel(world)
    past(world, agent)
    by_tunnel(world)
    world.silent(STRANGER, STRANGER6, w.udp(w.RESOLVER, 53))


def test_past_wg_quick(world):
    """Its rules lead all that does not carry its own mark into a table of its own."""
    world.serve()
    tunnel = quick(world)
    agent = exempt(world)
    by_tunnel(world)
    past(world, agent)
    world.silent(STRANGER, STRANGER6)
    tunnel.stop()
    past(world, agent)
    dead_and_silent(world)
    tunnel.start()  # its rules come in front of ours
    world.sync()
    by_tunnel(world)
    past(world, agent)


def test_follower_keeps_them_in_front(world):
    world.serve()
    tunnel = quick(world)
    tunnel.stop()
    agent = exempt(world)
    past(world, agent)
    follower = Follower(world)
    said = len(follower.said())
    for _ in range(2):
        tunnel.start()
        said = follower.says("rules of exempt programs changed", after=said)
        until(lambda: ours(world)[0].split(":")[0] < "32762", AT_ONCE, "ours to be in front")
        by_tunnel(world)
        past(world, agent)
        tunnel.stop()
        said = follower.says("rules of exempt programs changed", after=said)
    world.ip(world.client, f"route add 198.51.100.9 via {w.ROUTER}")
    until(lambda: any("198.51.100.9" in line for line in ours(world)), AT_ONCE, "its copy")
    world.ip(world.client, "route del 198.51.100.9")
    until(lambda: not any("198.51.100.9" in line for line in ours(world)), AT_ONCE, "its end")
    follower.stop()


def test_mark_of_others(world):
    """By the mark a packet finds the uplink, and there it is dropped."""
    world.tun()
    world.ip(world.client, *(f"route add {half} dev wg0" for half in HALVES))
    agent = exempt(world, w.BASIC)
    mark = mark_of(agent)
    if mark >> 16 != 0x7466 or mark_of(world.agent):
        raise Failure(f"the marks are {mark:#x} and {mark_of(world.agent):#x}")
    world.passes(STRANGER, STRANGER6, agent=agent)
    marked = [w.udp(w.OTHER, 9, mark=mark), w.udp(w.WEB6, 9, mark=mark)]
    world.silent(*marked)
    world.silent(*marked, agent=world.new_agent(world.client, world.cgroup.child("other")))
    world.down()
    world.leaks(w.udp(w.OTHER, 9, device="eth0"))


def test_mark_is_no_way_for_others(world):
    """Without a fence's drop, the mark alone does lead to the uplink: so it is the verdict that holds
    them, and the test above shows that."""
    world.tun()
    world.ip(world.client, *(f"route add {half} dev wg0" for half in HALVES))
    agent = exempt(world, "[Fence]\nMode=observe\n" + w.BASIC)
    world.leaks(w.udp(w.OTHER, 9, mark=mark_of(agent)), w.udp(w.WEB6, 9, mark=mark_of(agent)))


def test_program_chooses_another_mark(world):
    """It may, and then goes the way of all others."""
    world.tun()
    world.ip(world.client, *(f"route add {half} dev wg0" for half in HALVES))
    agent = exempt(world, w.BASIC)
    world.silent(w.udp(w.OTHER, 9, mark=1), w.udp(w.WEB6, 9, mark=1), agent=agent)
    world.passes(STRANGER, agent=agent)


def test_another_namespace(world):
    """There the mark could mean anything."""
    agent = exempt(world, w.BASIC)
    mark_of(agent)
    group = world.cgroup.child("games/below")
    if mark_of(world.new_agent(world.client, group)) != mark_of(agent):
        raise Failure("a group below the exempt one has another mark")
    if mark := mark_of(world.new_agent(world.router, group)):
        raise Failure(f"in another namespace a socket has the mark {mark:#x}")


def test_chosen_mark(world):
    world.serve()
    Tunnel(world)
    agent = exempt(world, more="Mark=0x1234\n")
    if mark_of(agent) != 0x1234 or "fwmark 0x1234 lookup" not in rules(world):
        raise Failure(f"marked {mark_of(agent):#x}; {rules(world)}")
    past(world, agent)
    world.up(f"{REAL}\n[Exempt]\nCgroup={relative(world, world.cgroup)}/games\n")
    if "0x1234" in rules(world) or mark_of(agent) == 0x1234:
        raise Failure(f"the mark of an earlier policy is left: {rules(world)}")
    past(world, agent)


def test_same_mark_twice(world):
    """Or each would lead the other's."""
    agent = exempt(world, w.BASIC, more="Mark=77\n")
    before = ours(world)
    group = relative(world, world.cgroup.child("others"))
    world.write_config(f"{w.BASIC}\n[Exempt]\nCgroup={group}\nMark=77\n", "wg9")
    said = world.must(world.tunfence("up", "wg9"), 1).err
    if "'wg0'" not in said or "Mark=" not in said:
        raise Failure(said)
    if ours(world) != before or mark_of(agent) != 77 or "wg9" in world.tunfence("status").out:
        raise Failure("something was changed")


def test_names_by_the_tunnel(world):
    """By default: their packets take it as all others' do, and get no further without."""
    world.tun()
    world.ip(world.client, *(f"route add {half} dev wg0" for half in HALVES))
    agent = exempt(world, w.BASIC)
    inside = world.sniff(world.client, "wg0", outgoing=True, ethernet=False)
    world.passes(NAME, NAME6, w.tcp(w.RESOLVER, 853), agent=agent, sniffer=inside)
    world.silent(NAME, NAME6, w.tcp(w.RESOLVER, 853), w.udp(w.OTHER, 5353), agent=agent)
    world.ip(world.client, "link set wg0 down")
    world.silent(NAME, NAME6, w.tcp(w.RESOLVER, 53), agent=agent)
    world.passes(STRANGER, agent=agent)


def test_names_by_the_uplink(world):
    world.tun()
    world.ip(world.client, *(f"route add {half} dev wg0" for half in HALVES))
    agent = exempt(world, w.BASIC, more="DNS=uplink\n")
    world.passes(NAME, NAME6, w.tcp(w.RESOLVER, 853), agent=agent)
    world.silent(NAME, NAME6)
    if "goto" in rules(world):
        raise Failure(rules(world))


def test_nothing_is_left(world):
    before = rules(world)
    agent = exempt(world, w.BASIC)
    if len(ours(world)) < 16 or not mark_of(agent):
        raise Failure(f"too little there: {ours(world)}")
    world.down()
    if ours(world) or rules(world) != before or mark_of(agent):
        raise Failure(f"left: {ours(world)}, mark {mark_of(agent):#x}")
    if left := w.pins(world.bpffs) + world.own_pins():
        raise Failure(f"left: {left}")
    agent = exempt(world, w.BASIC, name="again")
    world.up(w.BASIC)  # nobody is exempt any more
    if ours(world) or rules(world) != before or mark_of(agent):
        raise Failure(f"left: {ours(world)}, mark {mark_of(agent):#x}")
    world.silent(STRANGER, STRANGER6, agent=agent)


def test_sync_mends(world):
    """What others took: the program at the group, rules, routes."""
    agent = exempt(world, w.BASIC)
    good, mark = ours(world), mark_of(agent)
    table = next(re.search(r"lookup (\d+)", line)[1] for line in good if "lookup" in line)
    shown(world, *(f"{family} {words} table {table}" for family in ("-4", "-6")
                   for words in ("rule del", "route flush")))
    if len(ours(world)) > len(good) - 4:
        raise Failure(f"nothing was taken: {ours(world)}")
    links = os.path.join(world.run_dir, "bpf", "wg0", "links")
    for pin in (p for p in world.own_pins() if p.startswith("wg0/links/mark-")):
        world.below(hostile.detach, os.path.join(links, os.path.basename(pin)))
    if mark_of(agent) or "the guard plane (mark)" not in world.tunfence("status", "wg0").out:
        raise Failure(f"marked {mark_of(agent):#x}; {world.tunfence('status', 'wg0').out}")
    world.sync()
    if sorted(ours(world)) != sorted(good) or mark_of(agent) != mark:
        raise Failure(f"mended to {ours(world)}")
    world.passes(STRANGER, STRANGER6, agent=agent)


def test_strict_filter(world):
    """Of two ways back the kernel takes one, and throws away what came by the other: up says so."""
    def strict(value):
        with world.client:
            for name in ("all", "eth0"):
                with open(f"/proc/sys/net/ipv4/conf/{name}/rp_filter", "w") as file:
                    file.write(str(value))
    world.serve()
    strict(0)
    Tunnel(world)
    agent = exempt(world)
    past(world, agent)
    strict(1)
    said = world.up(None).out
    if "rp_filter=1" not in said or "net.ipv4.conf.eth0.rp_filter=2" not in said:
        raise Failure(said)
    if "hello" in agent.call(senders.fetch, w.WEB, 1):
        raise Failure("it is answered with rp_filter=1: then there is nothing to say")
    with world.client, open("/proc/sys/net/ipv4/conf/eth0/rp_filter", "w") as file:
        file.write("2")
    if "rp_filter" in (said := world.up(None).out):
        raise Failure(said)
    past(world, agent)


@long
def test_killed_on_the_way(world):
    """Up and down, at some of their steps: there is no way without a fence, and the next run ends what
    the killed one began."""
    world.tun()
    world.ip(world.client, *(f"route add {half} dev wg0" for half in HALVES))
    agent = exempt(world, w.BASIC)
    marked = w.udp(w.OTHER, 9, mark=mark_of(agent))
    good = sorted(ours(world))
    ways = 0
    for step in range(2, 40, 5):
        world.tunfence("down", "wg0", environment={"TUNFENCE_FAULT": str(step)})
        ways += len(ours(world)) > 0
        world.silent(marked, NAME)
        world.up(None)
        if sorted(ours(world)) != good:
            raise Failure(f"down killed after step {step}, up makes {ours(world)}")
    for step in range(50, 140, 9):
        world.down()
        world.tunfence("up", "wg0", environment={"TUNFENCE_FAULT": str(step)})
        ways += len(ours(world)) > 0
        world.silent(marked, NAME)
        world.up(None)
        if sorted(ours(world)) != good:
            raise Failure(f"up killed after step {step}, up makes {ours(world)}")
    if ways < 6:
        raise Failure(f"only {ways} times there was a way to look at: this shows little")
