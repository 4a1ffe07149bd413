# SPDX-License-Identifier: GPL-2.0
"""Exempt programs: who may send past the tunnel, and that nobody else gains by it. Here the uplink
has the default route; how they are routed where it has not is test_8_exempt_routes.py's."""

import json
import os
import socket

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

import craft
import hostile
import runs
import senders
import world as w
from craft import ether
from sandbox import Failure
from test_2_verdict import relative
from test_6_command import says
from test_8_arrivals import Stranger, received
from test_8_groups import EVERY_WAY, STRANGER
from test_9_planes import status

NAMES = (w.udp(w.RESOLVER, 53), w.udp(w.RESOLVER6, 53), w.tcp(w.RESOLVER, 53),
         w.tcp(w.RESOLVER, 853), w.udp(w.RESOLVER, 5353))
PORT = 4000
IDENT = 0x7272


def exempting(world, *groups, more="", fence=""):
    named = f"Cgroup={' '.join(relative(world, g) for g in groups)}\n" if groups else ""
    return f"{fence}{w.BASIC}\n[Exempt]\n{named}{more}"


def own_slice(world):
    return f"{runs.slice_of(world)}/tunfence-wg0-exempt.slice"


def apps(world, *names):
    groups = [world.cgroup.child(name) for name in names]
    return groups, [world.new_agent(world.client, group) for group in groups]


def in_own_slice(world):
    agent = world.new_agent(world.client)
    agent.call(hostile.write, f"{own_slice(world)}/cgroup.procs", "0")
    return agent


def held(world, *agents):
    for agent in agents:
        world.silent(*EVERY_WAY, agent=agent)
        world.passes(w.outer(), agent=agent)


def free(world, *agents):
    for agent in agents:
        world.leaks(*EVERY_WAY, agent=agent)


def marked(mark):
    return (w.udp(w.OTHER, 9, mark=mark), w.udp(w.WEB6, 9, mark=mark))


def test_who_is_exempt(world):
    """Groups that are named, what is below them, and the fence's own slice; whatever mark others
    set. Nothing of it is left when the fence is down."""
    (game, _), (player, other) = apps(world, "game", "other")
    free(world, player, other)
    said = world.up(exempting(world, game, more="Mark=0x1234\n"))
    says(said, f"programs in {game.path}")
    says(said, f"programs in {own_slice(world)}")
    below = world.new_agent(world.client, game.child("below").child("deeper"))
    free(world, player, below, in_own_slice(world))
    held(world, other, world.agent)
    for mark in (0x1234, 0x74660000, 51820, 1):
        world.silent(*marked(mark), agent=other)
    if [x["path"] for x in status(world)["exempt"]] != [own_slice(world), game.path]:
        raise Failure(f"status tells of {status(world)['exempt']}")
    for agent in world.agents[4:]:
        agent.stop()
    world.down()
    if os.path.exists(runs.slice_of(world)):
        raise Failure("the slice is left")


def test_a_fence_without_any(world):
    """One that is replaced by it takes the exemption back at once."""
    (game,), (player,) = apps(world, "game")
    world.up(exempting(world, game))
    free(world, player)
    world.up(w.BASIC)
    held(world, player)
    if status(world)["exempt"]:
        raise Failure("status still tells of them")


def test_names(world):
    """By the tunnel, unless it was said otherwise; then, too, nobody else's."""
    (game,), (player,) = apps(world, "game")
    world.tun()  # or the guard plane would refuse them, whatever the others say
    world.leaks(*NAMES, agent=player)
    world.up(exempting(world, game))
    world.silent(*NAMES, agent=player)
    free(world, player)
    says(world.up(exempting(world, game, more="DNS=uplink\n")), "resolve names there, too")
    world.leaks(*NAMES, agent=player)
    world.silent(*NAMES)


def test_around_the_wire_plane(world):
    """Exempt or not, nobody sends past it."""
    (game,), (player,) = apps(world, "game")
    world.up(exempting(world, game))
    told = player.call(hostile.setsockopt, socket.AF_PACKET, 263, 20, bytes(4))
    if told != "EPERM":
        raise Failure(f"PACKET_QDISC_BYPASS: {told}")


def test_socket_passed(world):
    """In either direction it is its maker's (SCM_RIGHTS)."""
    (game, _), (player, other) = apps(world, "game", "other")
    world.up(exempting(world, game))
    for name, maker, taker in (("out", player, other), ("in", other, player)):
        path = f"{world.directory}/{name}"
        taker.call(hostile.await_socket, path)
        taker.begin(hostile.take_socket, name)
        maker.call(hostile.hand_over, path, socket.AF_INET, socket.SOCK_DGRAM)
        taker.end()
        shot = w.Shot(f"a socket handed {name}", hostile.send_by, name, w.same, (w.OTHER, 9))
        (world.leaks if maker is player else world.silent)(shot, agent=taker)


def piece(what, offset, more):
    """A fragment of one datagram, sent by AF_PACKET."""
    return craft.sent(what, lambda t: ether(IP(src=w.CLIENT, dst=w.OTHER, id=IDENT, frag=offset,
                                               flags="MF" if more else 0, proto=17) /
                                            (bytes(UDP(sport=PORT, dport=9, len=400)) + t * 4)))


def test_fragments(world):
    """A first fragment lets no one else continue it; its sender may. A large datagram passes."""
    (game, _), (player, other) = apps(world, "game", "other")
    large = w.udp(w.OTHER, 9, lambda t: t * 250)
    world.leaks(large, piece("another's first fragment", 0, True), agent=other)
    world.up(exempting(world, game))
    world.leaks(large, piece("a first fragment", 0, True), agent=player)
    world.silent(piece("another's later fragment", 9, False), agent=other)
    world.leaks(piece("a later fragment", 9, False), agent=player)
    world.silent(large, piece("another's first fragment", 0, True), agent=other)
    world.silent(piece("a later fragment of another's", 9, False), agent=other)


def test_answers(world):
    """They come back, over TCP and UDP, v4 and v6; what comes to others is as unasked as ever."""
    world.serve()
    (game, _), (player, other) = apps(world, "game", "other")
    for name, agent, there in (("mine", player, PORT), ("theirs", other, PORT + 1)):
        agent.call(senders.listen, name, "0.0.0.0", there, socket.SOCK_DGRAM)
    world.up(exempting(world, game))
    for address in (w.WEB, w.WEB6):
        player.call(senders.tcp_open, address, address, 7)
        player.call(senders.tcp_send, address, b"hello")
        got = player.call(senders.tcp_receive, address, 5)
        if got != b"hello":
            raise Failure(f"{address} answered {got}")
    stranger = Stranger.__new__(Stranger)
    stranger.world, stranger.agent = world, world.new_agent(world.router)
    for port, text in ((PORT + 1, b"to another"), (PORT, b"to it")):
        stranger.send(IP(src=w.ROUTER, dst=w.CLIENT) / UDP(sport=9, dport=port) / text)
    w.until(lambda: b"to it" in player.call(received, "mine"), 5, "a datagram")
    if found := other.call(received, "theirs"):
        raise Failure(f"another's socket got {found}")


def test_sent_to_many(world):
    """It would reach every socket at that port: it is not an exempt program's alone."""
    (game, _), (player, other) = apps(world, "game", "other")
    world.ip(world.client, "addr add 192.168.77.3/24 brd + dev eth0")
    for agent in (other, player):  # the kernel finds the last one first
        agent.call(senders.listen_to_many, "many", PORT, "239.1.2.3", "ff02::1234", "eth0")
    player.call(senders.listen, "mine", w.CLIENT, PORT + 1, socket.SOCK_DGRAM)
    stranger = Stranger.__new__(Stranger)
    stranger.world, stranger.agent = world, world.new_agent(world.router)
    ways = [IP(src=w.ROUTER, dst=to) for to in ("192.168.77.255", "255.255.255.255", "239.1.2.3")]
    ways.append(IPv6(src=w.ROUTER6, dst="ff02::1234"))

    def arrived():
        """How many of them come in, to whom; what comes to the one alone is the last."""
        for number, head in enumerate(ways):
            stranger.send(head / UDP(sport=9, dport=PORT) / f"{number}".encode(),
                          dst="ff:ff:ff:ff:ff:ff")
        stranger.send(IP(src=w.ROUTER, dst=w.CLIENT) / UDP(sport=9, dport=PORT + 1) / b"last")
        w.until(lambda: b"last" in player.call(received, "mine"), 5, "a datagram")
        return [sorted(agent.call(received, "many")) for agent in (player, other)]
    everything = [b"0", b"1", b"2", b"3"]
    if (found := arrived()) != [everything, everything]:
        raise Failure(f"without a fence come {found}")
    world.up(exempting(world, game))
    if (found := arrived()) != [[], []]:
        raise Failure(f"into the fence come {found}")
    world.up(exempting(world, game).replace("[Exempt]", f"[Allow]\nInboundUDP={PORT}\n[Exempt]"))
    if (found := arrived()) != [everything, everything]:
        raise Failure(f"to a port that is open come {found}")


def test_caller(world):
    """Who listens is reached by what InboundTCP= opens, exempt or not."""
    (game,), (player,) = apps(world, "game")
    caller = world.new_agent(world.server)
    player.call(senders.listen, "door", w.CLIENT, PORT)
    knock = w.Shot("a call", senders.tcp, w.CLIENT, PORT, match=lambda f: f.sport == PORT)
    world.leaks(knock, agent=caller)
    world.up(exempting(world, game))
    world.silent(knock, agent=caller)
    if found := [c for c in status(world)["counters"] if (c["plane"], c["reason"]) ==
                 ("ingress", "exempt")]:
        raise Failure(f"the call came in: {found}")
    world.up(exempting(world, game).replace("[Exempt]", f"[Allow]\nInboundTCP={PORT}\n[Exempt]"))
    world.leaks(knock, agent=caller)


def test_another_namespace(world):
    """What an exempt group's program sends in a network namespace of its own is forwarded."""
    game = world.cgroup.child("game")
    world.lan()
    guest = world.new_agent(world.namespaces[-1], game)
    world.leaks(STRANGER, w.ping(w.OTHER), agent=guest)
    world.up(exempting(world, game))
    world.silent(STRANGER, w.ping(w.OTHER), w.tcp(w.WEB, 80), agent=guest)


def test_on_the_uplink_itself(world):
    """A macvlan's frames keep the socket of who sent them in another namespace."""
    game = world.cgroup.child("game")
    there = world.namespace()
    if not world.ip_can(world.client, f"link add m0 link eth0 netns {there.path} type macvlan"):
        raise w.sandbox.Skip("this kernel has no macvlan")
    world.ip(there, "link set m0 up", "addr add 192.168.77.66/24 dev m0",
             f"route add default via {w.ROUTER}",
             f"neigh add {w.ROUTER} lladdr {w.ROUTER_MAC} dev m0 nud permanent")
    guest = world.new_agent(there, game)
    world.leaks(STRANGER, agent=guest)
    world.up(exempting(world, game))
    world.silent(STRANGER, w.ping(w.OTHER), agent=guest)


def test_in_a_fence_of_cgroups(world):
    """All but some of what is in a group, and the fence's own slice with the exempt one in it."""
    (outer, _), (held_in, other) = apps(world, "outer", "other")
    game = outer.child("game")
    player = world.new_agent(world.client, game)
    world.up(exempting(world, game, fence=f"[Fence]\nCgroup={relative(world, outer)}\n"))
    free(world, player, other)
    held(world, held_in)
    world.down()
    world.up(exempting(world, fence=runs.OWN))
    inside = world.new_agent(world.client)
    inside.call(hostile.write, f"{runs.slice_of(world)}/cgroup.procs", "0")
    held(world, inside)
    free(world, in_own_slice(world))


def test_missing(world):
    """Who is not there is not exempt, and 'up' says so; who is made anew is fenced until 'up'."""
    game = world.cgroup.child("game")
    more = "Unit=no-such-unit.service\n"
    says(world.up(exempting(world, game, more=more)), "'no-such-unit.service' is not exempt")
    os.rmdir(game.path)
    os.mkdir(game.path)
    player = world.new_agent(world.client, game)
    held(world, player)
    if [x["there"] for x in status(world)["exempt"]] != [True, False]:
        raise Failure(f"status tells of {status(world)['exempt']}")
    says(world.tunfence("status", "wg0"), f"'{game.path}' was removed or made anew")
    world.up(None)
    free(world, player)
    world.must(world.tunfence("status", "wg0"))


def test_too_much(world):
    """Nothing may be exempt that holds what is to be fenced; the fence that stands stays."""
    world.up(w.BASIC)
    world.write_config(exempting(world, world.cgroup))
    said = world.must(world.tunfence("up", "wg0"), 1)
    says(said, f"'{world.cgroup.path}' is to be exempt, but holds '{world.cgroup.path}'")
    held(world, world.agent)


def test_explained(world):
    """explain says whom a packet would pass for."""
    (game, _), _ = apps(world, "game", "other")
    world.up(exempting(world, game))
    packet = ("udp", f"{w.OTHER}:9", "dev", "eth0")
    for group, reason in ((f"{game.path}", "exempt"), (f"{world.cgroup.path}", "not_allowed")):
        told = json.loads(world.must(world.tunfence("explain", "--json", *packet, "cgroup",
                                                    group)).out)
        if {a["reason"] for a in told["answers"]} != {reason}:
            raise Failure(f"a packet from {group}: {told}")
    told = world.must(world.tunfence("explain", "in", "udp", f"{w.OTHER}:9", "to", ":4000", "dev",
                                     "eth0", "cgroup", game.path)).out
    if " exempt:" not in told:
        raise Failure(told)
