# SPDX-License-Identifier: GPL-2.0
"""OpenVPN: as the tunnel of a fence, beside another tunnel, and its server on a fenced machine."""

import frames
import openvpn
import senders
import world as w
from openvpn import OpenVPN
from sandbox import Failure, until
from test_2_verdict import relative
from test_4_tunnel import PROBES, REAL, STRANGER, dead_and_silent, fetches, served
from test_5_loader import BLAST
from test_9_planes import status

PHONE, PHONE_ROUTER = "192.168.99.2", "192.168.99.1"
QUESTION = w.udp(w.RESOLVER, 53)


def fence(vpn):
    return (f"[Tunnel]\nInterface={vpn.client.name}\nKind=tun\nProtocol=any\n"
            f"Endpoint={vpn.protocol} {vpn.endpoint}:{openvpn.PORT}\n")


def connected(world, **options):
    world.serve()
    vpn = OpenVPN(world, **options)
    world.judge = openvpn.Judge(vpn.outer())
    vpn.start()
    fetches(world, client=vpn.address)
    return vpn


def as_the_tunnel(world, protocol):
    """It dies, the machine is silent; it is started again, and nothing else is needed."""
    vpn = connected(world, protocol=protocol)
    vpn.kill()
    fetches(world, client=w.CLIENT)  # the leak
    vpn.start()
    world.up(fence(vpn))
    mark = world.sniffer.mark()
    for _ in range(2):
        fetches(world, client=vpn.address)
        fetches(world, w.WEB6, vpn.address6)
        vpn.kill()
        dead_and_silent(world)
        vpn.start()
    fetches(world, client=vpn.address)
    status(world)
    wrong = w.tcp if protocol == "udp" else w.udp
    world.silent(wrong(w.VPN, openvpn.PORT), w.udp(w.VPN, openvpn.PORT + 1), w.udp(w.ROUTER, 9))
    world.quiet_since(mark)
    if not [f for f in world.sniffer.since(mark) if vpn.outer()(f)]:
        raise Failure("none of the tunnel's own packets was seen: this shows nothing")


def test_tunnel_by_udp(world):
    as_the_tunnel(world, "udp")


def test_tunnel_by_tcp(world):
    as_the_tunnel(world, "tcp")


def test_fence_before_the_tunnel(world):
    world.serve()
    vpn = OpenVPN(world)
    world.judge = openvpn.Judge(vpn.outer())
    world.up(fence(vpn))
    dead_and_silent(world)
    mark = world.sniffer.mark()
    vpn.start()
    fetches(world, client=vpn.address)
    world.quiet_since(mark)


def test_restarts_by_itself(world):
    """In between its routes and its device are gone, and programs go on sending."""
    vpn = connected(world)

    def restarts():
        world.agent.begin(senders.blast, [(w.OTHER, 9, BLAST), (w.WEB6, 9, BLAST)], [], "eth0")
        mark = world.sniffer.mark()
        vpn.client.restart()
        world.agent.begin(senders.nothing)
        tried, _ = world.agent.end()
        world.agent.end()
        world.settle()
        if tried < 100:
            raise Failure(f"only {tried} packets were sent meanwhile: this shows nothing")
        return [f for f in world.sniffer.since(mark) if BLAST in f.raw]
    if not restarts():
        raise Failure("nothing leaks without the fence: this shows nothing")
    vpn.kill()
    vpn.start()
    world.up(fence(vpn))
    if found := restarts():
        raise Failure(f"leaked: {w.describe(found)}")
    fetches(world, client=vpn.address)


def test_what_the_server_pushes(world):
    """A route past the tunnel leads nowhere; a name server is asked by the tunnel or not at all."""
    pushes = ("redirect-gateway def1 ipv6", f"dhcp-option DNS {w.RESOLVER}",
              f"route {w.OTHER} 255.255.255.255 net_gateway",
              f"route {w.RESOLVER} 255.255.255.255 net_gateway")
    vpn = connected(world, pushes=pushes)
    world.leaks(STRANGER, QUESTION)
    world.up(fence(vpn))
    world.silent(STRANGER, QUESTION)
    fetches(world, client=vpn.address)
    vpn.kill()
    dead_and_silent(world)

    vpn.server.kill()
    vpn.pushes = pushes[:2]
    world.ip(world.client, *(f"route del {a}" for a in (w.OTHER, w.RESOLVER)))  # are left behind
    vpn.serve()
    vpn.start()
    tunnel = world.sniff(world.client, "tun0", outgoing=True, ethernet=False)
    world.passes(STRANGER, QUESTION, sniffer=tunnel)
    world.silent(STRANGER, QUESTION)
    vpn.kill()
    dead_and_silent(world)


# Beside another tunnel


def beside(world):
    """wg0 with all routes, and an OpenVPN by which one host is reached."""
    first = served(world)
    world.ip(world.client, f"route add {w.VPN_ROAMED}/32 via {w.ROUTER}")
    second = OpenVPN(world, endpoint=w.VPN_ROAMED, pushes=(f"route {w.OTHER} 255.255.255.255",))
    world.judge = openvpn.Judge(second.outer())
    second.start()
    fetches(world)
    fetches(world, w.OTHER, second.address)
    return first, second


def test_two_tunnels_of_one_fence(world):
    first, second = beside(world)
    world.up(REAL + fence(second))
    mark = world.sniffer.mark()
    fetches(world)
    fetches(world, w.OTHER, second.address)
    first.kill()
    fetches(world, w.OTHER, second.address)
    world.silent(w.tcp(w.WEB, 80), w.udp(w.WEB6, 9), QUESTION)
    first.start()
    second.kill()
    fetches(world, w.OTHER, first.address)
    first.kill()
    dead_and_silent(world)
    second.start()
    fetches(world, w.OTHER, second.address)
    world.silent(w.tcp(w.WEB, 80))
    world.quiet_since(mark)


def test_not_named_by_the_fence(world):
    """Its own packets stay off the wire, and what is sent into it is dropped before."""
    _, second = beside(world)
    into = world.sniff(world.client, "tun0", outgoing=True, ethernet=False)
    world.leaks(STRANGER, sniffer=into)
    world.judge = openvpn.Judge()
    world.up(REAL)
    mark = world.sniffer.mark()
    world.silent(STRANGER, w.tcp(w.OTHER, 80), sniffer=into)
    fetches(world)
    second.kill()
    second.begin()
    until(lambda: second.client.said("Attempting to establish") or
          second.client.said("UDPv4 link remote"), 10, "the client's attempts")
    until(lambda: second.client.said("Operation not permitted"), 10, "its packets to be refused")
    world.quiet_since(mark)


def test_through_the_other_tunnel(world):
    """One inside the other: the inner one's own packets leave by the outer one alone."""
    first = served(world)
    second = OpenVPN(world, endpoint=w.VPN_ROAMED, pushes=(f"route {w.OTHER} 255.255.255.255",))
    world.up(REAL + fence(second) + "Uplink=wg0\n")
    mark = world.sniffer.mark()
    second.start()
    fetches(world, w.OTHER, second.address)
    first.kill()
    world.silent(*PROBES, w.udp(w.VPN_ROAMED, openvpn.PORT))
    world.quiet_since(mark)


# Its server on the fenced machine


def phone(world):
    """A namespace of its own behind the router, and the agent in it."""
    there = world.namespace()
    world.veth(world.router, "phone", there, "eth0")
    world.ip(world.router, "link set phone up", f"addr add {PHONE_ROUTER}/24 dev phone")
    world.ip(there, "link set eth0 up", f"addr add {PHONE}/24 dev eth0",
             f"route add default via {PHONE_ROUTER}")
    world.ip(world.client, f"route add 192.168.99.0/24 via {w.ROUTER}")
    return there, world.new_agent(there)


def test_server_on_the_fenced_machine(world):
    """Clients reach it if they may come in, and get no further than by the tunnel."""
    tunnel = served(world)
    world.forward(world.client)
    there, guest = phone(world)
    # The tunnel's far end knows the way back to this network.
    vpn = OpenVPN(world, endpoint=w.CLIENT, net="192.168.88", here=(there,), server="tun1",
                  there=(world.client, world.cgroup),
                  pushes=tuple(f"route {a} 255.255.255.255" for a in (w.WEB, w.OTHER, w.RESOLVER)))
    world.judge = openvpn.Judge(openvpn.answers())
    vpn.start()
    fetches(world, client=vpn.address, agent=guest)
    tunnel.kill()
    world.leaks(STRANGER, agent=guest)
    vpn.kill()
    tunnel.start()

    world.up(REAL)
    arriving = world.sniff(world.client, "eth0")
    mark, before = arriving.mark(), world.sniffer.mark()
    vpn.begin()
    arriving.wait(openvpn.outer(w.CLIENT, frames.UDP), mark, "the guest's question")
    arriving.wait(openvpn.outer(w.CLIENT, frames.UDP), arriving.mark(), "its second one")
    world.settle()
    if found := [f for f in world.sniffer.since(before) if openvpn.answers()(f)]:
        raise Failure(f"answered though nobody may come in: {w.describe(found)}")

    world.up(REAL + f"[Allow]\nInboundUDP={openvpn.PORT}\n")
    vpn.client.is_up()
    page = guest.call(senders.fetch, w.WEB, 1.0)
    if "hello" in page:
        raise Failure("what comes out of tun1 came by an interface that nobody named")
    world.up(REAL + f"[Allow]\nInboundUDP={openvpn.PORT}\nInside=tun1\n")
    mark = world.sniffer.mark()
    fetches(world, client=vpn.address, agent=guest)
    tunnel.kill()
    dead_and_silent(world, agent=guest)
    dead_and_silent(world)
    tunnel.start()
    fetches(world, client=vpn.address, agent=guest)
    world.quiet_since(mark)


# A daemon that goes where it likes


def test_exempt_daemon(world):
    """As Tailscale's: its packets are known by its cgroup alone, its interface is a tunnel."""
    world.serve()
    group = world.cgroup.child("daemon")
    vpn = OpenVPN(world, here=(world.client, group))
    friend = world.new_agent(world.client, group)
    outer = w.udp(w.VPN, openvpn.PORT)
    world.judge = openvpn.Judge(vpn.outer())
    world.up(f"[Tunnel]\nInterface=tun0\nKind=tun\n[Exempt]\nCgroup={relative(world, group)}\n")
    for _ in range(2):
        dead_and_silent(world)
        world.passes(STRANGER, agent=friend)
        world.silent(QUESTION, agent=friend)
        vpn.start()
        mark = world.sniffer.mark()
        fetches(world, client=vpn.address)
        world.quiet_since(mark)
        world.passes(outer, agent=friend)
        told, match = outer.fire(world.agent)
        world.settle()
        if found := [f for f in world.sniffer.since(mark) if match(f)]:
            raise Failure(f"not exempt, and to the server (told {told}): {w.describe(found)}")
        vpn.kill()
