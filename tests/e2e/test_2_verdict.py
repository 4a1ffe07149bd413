# SPDX-License-Identifier: GPL-2.0
"""The verdict table, row by row: what each row lets through is seen on the wire, and the packet
next to it, which leaks without the fence, is not."""

import os

import craft  # first: it quiets scapy
from scapy.layers.inet6 import (ICMPv6EchoRequest, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrRouting)

import frames
import senders
import world as w
from craft import IP, UDP, IPv6, Raw, ether
from sandbox import Failure

STRANGER = w.udp(w.OTHER, 9)


def fence(world, *shots, config=w.BASIC):
    """Every shot leaks without the fence and none with it."""
    world.leaks(*shots)
    world.up(config)
    world.silent(*shots)


def allow(*lines):
    return w.BASIC + "[Allow]\n" + "\n".join(lines) + "\n"


def relative(world, cgroup):
    """A cgroup's path as a configuration names it."""
    return os.path.relpath(cgroup.path, w.sandbox.cgroup2_mount())


def test_row_1_socket_outside_the_cgroup(world):
    app = world.cgroup.child("app")
    inside = world.new_agent(world.client, app)
    world.leaks(STRANGER, agent=inside)
    world.up(f"[Fence]\nScope=cgroup\nCgroup={relative(world, app)}\n{w.BASIC}")
    world.passes(STRANGER)
    world.silent(STRANGER, w.tcp(w.WEB, 80), w.udp(w.WEB6, 9), agent=inside, told=None)
    world.passes(w.outer(), agent=inside)


def test_row_1_another_namespace(world):
    elsewhere = world.namespace()
    world.veth(elsewhere, "eth0", world.router, "other")
    world.ip(elsewhere, "link set eth0 up", "addr add 192.0.2.2/24 dev eth0",
             "route add default via 192.0.2.1")
    world.ip(world.router, "link set other up", "addr add 192.0.2.1/24 dev other")
    stranger = world.new_agent(elsewhere, world.cgroup)
    sniffer = world.sniff(world.router, "other")
    fence(world, STRANGER)
    world.passes(STRANGER, agent=stranger, sniffer=sniffer)


def test_row_1_app_of_a_cgroup_fence_enters_another_namespace(world):
    elsewhere = world.namespace()
    world.veth(elsewhere, "eth0", world.router, "other")
    world.ip(elsewhere, "link set eth0 up", "addr add 192.0.2.2/24 dev eth0",
             "route add default via 192.0.2.1")
    world.ip(world.router, "link set other up", "addr add 192.0.2.1/24 dev other")
    world.tun("wg0")
    world.tun("wg0", namespace=elsewhere, address="10.77.0.2/24")
    app = world.cgroup.child("app")
    escaped = world.new_agent(elsewhere, app)
    wire, tunnel = world.sniff(world.router, "other"), world.sniff(elsewhere, "wg0", outgoing=True,
                                                                   ethernet=False)
    into_its_tunnel = w.udp("10.77.0.1", 9)
    world.leaks(STRANGER, agent=escaped, sniffer=wire)
    world.leaks(into_its_tunnel, agent=escaped, sniffer=tunnel)
    world.up(f"[Fence]\nCgroup={relative(world, app)}\n{w.BASIC}")
    world.silent(into_its_tunnel, agent=escaped, sniffer=tunnel, told="EPERM")
    for shot in (STRANGER, w.outer()):
        mark = wire.mark()
        answer, _ = shot.fire(escaped)
        if answer != "EPERM" or world.judge.leaks(wire.since(mark)):
            raise Failure(f"{shot} from another namespace: {answer}")
    world.passes(w.outer(), agent=world.new_agent(world.client, app))


def test_row_2_loopback(world):
    lo = world.sniff(world.client, "lo")
    fence(world, STRANGER)
    world.passes(w.udp("127.0.0.1", 9), w.udp("::1", 9), w.udp(w.CLIENT, 9), sniffer=lo)


def test_row_3_tunnel(world):
    world.tun("wg0")
    world.tun("tun9", address="10.77.0.2/24")
    tunnel = world.sniff(world.client, "wg0", outgoing=True, ethernet=False)
    other = world.sniff(world.client, "tun9", outgoing=True, ethernet=False)
    world.leaks(w.udp("10.77.0.1", 9), sniffer=other)
    fence(world, STRANGER)
    world.passes(w.udp(w.TUNNEL_SERVER, 9), w.tcp(w.TUNNEL_SERVER, 80), w.ping(w.TUNNEL_SERVER),
                 w.udp(w.TUNNEL_SERVER, 53), sniffer=tunnel)
    world.silent(w.udp("10.77.0.1", 9), sniffer=other)


def test_row_4_inside(world):
    world.lan()
    inside = world.sniff(world.client, "lan0", outgoing=True)
    world.up(allow("Inside=docker0 lan*"))
    world.passes(w.udp(w.LAN_HOST, 9), w.tcp(w.LAN_HOST, 80), sniffer=inside)
    world.silent(STRANGER)
    world.up(allow("Inside=docker0 lan"))
    world.silent(w.udp(w.LAN_HOST, 9), sniffer=inside)


def test_row_5_not_ip(world):
    eapol = craft.sent("EAPOL", lambda t: w.ethernet(frames.EAPOL, b"\x01\x01\x00\x00" + t))
    others = [craft.sent(f"ethertype {kind:#06x}", lambda t, k=kind: w.ethernet(k, t * 4))
              for kind in (0x8137, 0x88CC, 0x8847, 0x8864, 0x0600, 0x0040)]
    world.leaks(eapol)
    fence(world, *others)
    world.passes(eapol)


def test_row_5_tags_are_looked_through(world):
    passing = [craft.sent(f"to an allowed destination, tagged {'+'.join(tags)}",
                          lambda t, k=tags: craft.tagged(k, craft.ip4(t, dst=w.RESOLVER)))
               for tags in (["q"], ["ad", "q"])]
    stranger = [craft.sent(f"{name} tagged {'+'.join(tags)}",
                           lambda t, k=tags, b=build: craft.tagged(k, b(t)))
                for tags in (["q"], ["ad", "q"])
                for name, build in (("IPv4", craft.ip4), ("IPv6", craft.ip6))]
    fence(world, *stranger, config=allow(f"Destination={w.RESOLVER}"))
    world.passes(*passing)


def test_row_6_malformed(world):
    """All of it to a destination that is allowed: only its shape is wrong."""
    def good(token):
        return ether(craft.ip4(token * 4))
    ip, udp = 14, 34
    fence(
        world,
        craft.sent("IP version 5", lambda t: craft.patched(good(t), ip, b"\x55")),
        craft.sent("header length 16", lambda t: craft.patched(good(t), ip, b"\x44")),
        craft.sent("header longer than the packet",
                   lambda t: craft.patched(good(t), ip + 2, b"\x00\x10")),
        craft.sent("shorter than it says", lambda t: good(t)[:-20]),
        craft.sent("cut within UDP", lambda t: ether(IP(src=w.CLIENT, dst=w.OTHER, proto=17) /
                                                     Raw(b"\x0f\xa0\xca")),
                   match=lambda f: str(f.dst) == w.OTHER and f.protocol == 17),
        craft.sent("bytes after its end", lambda t: good(t) + t * 8),
        craft.sent("UDP longer than IP", lambda t: craft.patched(good(t), udp + 4, b"\x0f\x00")),
        craft.sent("UDP shorter than its header",
                   lambda t: craft.patched(good(t), udp + 4, b"\x00\x07")),
        craft.sent("IPv6 that is IPv4 inside",
                   lambda t: craft.patched(good(t), 12, b"\x86\xdd")),
        craft.sent("a loose source route", lambda t: ether(
            IP(src=w.CLIENT, dst=w.OTHER, options=[craft.loose_route(w.WEB)]) /
            UDP(sport=4000, dport=9) / Raw(t))),
        config=allow(f"Destination={w.OTHER}"))
    world.passes(craft.sent("well-formed", good))


def test_row_6_extension_headers(world):
    def behind(*headers):
        def build(token):
            layers = IPv6(src=w.CLIENT6, dst=w.WEB6)
            for header in headers:
                layers = layers / header
            return ether(layers / UDP(sport=4000, dport=9) / Raw(token))
        return build
    fence(world,
          craft.sent("a chain of twelve", behind(*(IPv6ExtHdrDestOpt() for _ in range(12)))),
          craft.sent("a routing header",
                     behind(IPv6ExtHdrRouting(addresses=[w.RESOLVER6], segleft=1))),
          craft.sent("an unknown header",
                     lambda t: craft.patched(behind(IPv6ExtHdrDestOpt())(t), 20, b"\x8c")),
          config=allow(f"Destination=udp {w.WEB6}"))
    world.passes(craft.sent("no extension header", behind()),
                 craft.sent("two of them", behind(IPv6ExtHdrDestOpt(), IPv6ExtHdrDestOpt())))


def test_row_7_endpoint(world):
    fence(world,
          w.udp(w.VPN, w.VPN_PORT), w.udp(w.VPN6, w.VPN_PORT), w.tcp(w.VPN, w.VPN_PORT),
          w.outer(w.VPN, 51821), w.outer(w.VPN_ROAMED), w.outer(w.OTHER), w.ping(w.VPN),
          w.udp(w.VPN, w.VPN_PORT, lambda t: b"\x05\x00\x00\x00" + t.ljust(144)),
          w.udp(w.VPN, w.VPN_PORT, lambda t: b"\x01\x00\x00\x00" + t.ljust(145)),
          w.udp(w.VPN, w.VPN_PORT, lambda t: b"\x04\x00\x00\x00" + t.ljust(27)))
    world.passes(w.outer(), w.outer(w.VPN6),
                 w.udp(w.VPN, w.VPN_PORT, lambda t: b"\x02\x00\x00\x00" + t.ljust(88)),
                 w.udp(w.VPN, w.VPN_PORT, lambda t: b"\x03\x00\x00\x00" + t.ljust(60)),
                 w.udp(w.VPN, w.VPN_PORT, lambda t: b"\x04\x00\x00\x00" + t.ljust(60)))


def test_row_7_listen_port(world):
    world.up(w.BASIC + "ListenPort=41820\n")
    world.passes(w.outer(sport=41820), w.outer(w.VPN6, sport=41820))
    mark = world.sniffer.mark()
    for shot in (w.outer(sport=41821), w.outer(w.VPN6)):
        answer, match = shot.fire(world.agent)
        world.settle()
        if any(match(f) for f in world.sniffer.since(mark)):
            raise Failure(f"WireGuard's shape from a stranger's port leaked ({answer})")


def test_row_7_mark_and_uplink(world):
    world.veth(world.client, "eth1", world.router, "second")
    world.ip(world.client, "link set eth1 up", "addr add 192.168.78.2/24 dev eth1")
    world.ip(world.router, "link set second up", "addr add 192.168.78.1/24 dev second")
    second = world.sniff(world.router, "second")
    by_eth1 = w.outer("192.168.78.1", sport=0, mark=7)
    world.leaks(by_eth1, sniffer=second)
    world.up(f"[Tunnel]\nInterface=wg0\nKind=tun\nEndpoint={w.VPN}:{w.VPN_PORT}\nFwMark=7\n"
             "Uplink=eth0\n"
             f"Endpoint=192.168.78.1:{w.VPN_PORT}\n")
    world.passes(w.outer(mark=7))
    mark = world.sniffer.mark()
    w.outer().fire(world.agent)
    w.outer(mark=8).fire(world.agent)
    world.settle()
    if seen := [f for f in world.sniffer.since(mark) if not frames.is_plumbing(f)]:
        raise Failure(f"without the mark leaked: {w.describe(seen)}")
    world.silent(by_eth1, sniffer=second, device="eth1")


def test_row_7_any_protocol(world):
    fence(world, w.tcp(w.VPN, 443), w.udp(w.VPN, 443), STRANGER,
          config=f"[Tunnel]\nInterface=tun0\nKind=tun\nProtocol=any\nEndpoint=udp {w.VPN}:1194\n")
    world.up("[Tunnel]\nInterface=tun0\nKind=tun\nProtocol=any\n"
             f"Endpoint=tcp {w.VPN}:443\nEndpoint=udp {w.VPN}:1194\n")
    world.passes(w.tcp(w.VPN, 443), w.udp(w.VPN, 1194))
    world.silent(w.udp(w.VPN, 443), w.tcp(w.VPN, 1194), w.tcp(w.WEB, 443))


def test_row_8_fragments(world):
    def large(token):
        return b"\x04\x00\x00\x00" + token.ljust(3004, b"\x5a")
    own = w.udp(w.VPN, w.VPN_PORT, large,
                match=lambda f: f.later and str(f.dst) == w.VPN)
    own6 = w.udp(w.VPN6, w.VPN_PORT, large, match=lambda f: f.later and str(f.dst) == w.VPN6)
    alone = [craft.sent("a later fragment alone", lambda t: ether(craft.later_fragment4(t))),
             craft.sent("a later IPv6 fragment alone", lambda t: ether(craft.later_fragment6(t))),
             w.Shot("a later fragment by a raw socket", senders.raw_packet,
                    lambda t: bytes(craft.later_fragment4(t)), w.VPN)]
    fence(world, w.udp(w.OTHER, 9, large), w.udp(w.WEB6, 9, large), *alone)
    mark = world.sniffer.mark()
    world.passes(own, own6)
    world.quiet_since(mark)
    world.silent(*alone)


def test_row_8_fragments_that_hide_their_headers(world):
    """To an allowed destination: what a later fragment could rewrite has not been judged."""
    syn = bytes.fromhex("0fa0005000000001")  # TCP from 4000 to 80, cut before its flags

    def packet(more, offset):
        return lambda t: ether(IP(src=w.CLIENT, dst=w.OTHER, proto=6, flags=more, frag=offset,
                                  id=int.from_bytes(t[:2], "big")) / Raw(syn))

    def behind_a_fragment_header(token):
        return ether(IPv6(src=w.CLIENT6, dst=w.WEB6) / IPv6ExtHdrFragment(m=1, id=7) /
                     IPv6ExtHdrDestOpt() / UDP(sport=4000, dport=9) / Raw(token))
    fence(world,
          craft.sent("a first fragment of eight bytes", packet("MF", 0), match=to_other),
          craft.sent("a later one that overlaps the header", packet("MF", 1), match=to_other),
          craft.sent("options behind the fragment header", behind_a_fragment_header),
          config=allow(f"Destination={w.OTHER}", f"Destination={w.WEB6}"))
    world.passes(w.tcp(w.OTHER, 80), w.udp(w.WEB6, 9))


def to_other(frame):
    return str(frame.dst) == w.OTHER and frame.ident is not None


def test_row_9_plumbing(world):
    good = [craft.sent("neighbour solicitation", craft.solicitation),
            craft.sent("router solicitation", craft.router_solicitation),
            craft.sent("MLD report", craft.listener_report),
            craft.sent("DHCP discover", craft.discover),
            w.udp("255.255.255.255", 67, craft.bootp, sport=68, device="eth0"),
            w.udp("ff02::1:2", 547, craft.solicit6, sport=546, device="eth0")]
    fence(
        world,
        craft.sent("solicitation from afar", lambda t: craft.solicitation(t, hops=64)),
        craft.sent("solicitation to the world", lambda t: craft.solicitation(t, dst=w.WEB6)),
        craft.sent("router solicitation from afar", lambda t: craft.router_solicitation(t, 64)),
        craft.sent("router advertisement", craft.router_advertisement),
        craft.sent("MLD report without its option",
                   lambda t: craft.listener_report(t, alert=False)),
        craft.sent("MLD report with hops to go", lambda t: craft.listener_report(t, hops=9)),
        craft.sent("echo request to all nodes",
                   lambda t: ether(IPv6(src=craft.LINK_LOCAL, dst="ff02::1", hlim=255) /
                                   ICMPv6EchoRequest(data=t))),
        craft.sent("discover to a public server", lambda t: craft.discover(t, target=w.OTHER)),
        w.udp(w.OTHER, 67, craft.bootp, sport=68), w.udp(w.WEB6, 547, craft.solicit6, sport=546))
    world.passes(*good)


def test_row_9_no_dhcp_if_not_allowed(world):
    world.up(allow("DHCP=no"))
    mark = world.sniffer.mark()
    for shot in (craft.sent("DHCP discover", craft.discover),
                 w.udp("255.255.255.255", 67, craft.bootp, sport=68, device="eth0"),
                 w.udp("ff02::1:2", 547, craft.solicit6, sport=546, device="eth0")):
        shot.fire(world.agent)
    world.settle()
    if any(frames.is_dhcp(f) for f in world.sniffer.since(mark)):
        raise Failure("DHCP left though DHCP=no")


def test_row_11_names_are_resolved_in_the_tunnel_only(world):
    lookups = [send(w.ROUTER, port) for port in (53, 853, 5353, 5355, 137)
               for send in (w.udp, w.tcp)]
    fence(world, *lookups, w.udp(w.RESOLVER, 53), w.tcp(w.RESOLVER, 53),
          config=allow("LAN=yes", f"Destination={w.RESOLVER}"))
    world.passes(w.udp(w.ROUTER, 8080), w.udp(w.RESOLVER, 123))


def test_row_12_destination(world):
    fence(world, w.udp(w.OTHER, 124), w.tcp(w.OTHER, 123), w.udp(w.WEB, 123), w.tcp(w.WEB, 443),
          w.udp(w.WEB6, 9), w.ping(w.WEB),
          config=allow(f"Destination=udp {w.OTHER} port 100-123",
                       "Destination=tcp 198.51.100.0/24 port 80", f"Destination=icmp {w.OTHER}",
                       f"Destination=udp {w.RESOLVER6}/128"))
    world.passes(w.udp(w.OTHER, 123), w.udp(w.OTHER, 100), w.tcp(w.WEB, 80), w.tcp(w.OTHER, 80),
                 w.ping(w.OTHER), w.udp(w.RESOLVER6, 9))


def test_row_12_destination_by_one_uplink(world):
    fence(world, w.udp(w.WEB, 123),
          config=allow(f"Destination=udp {w.OTHER} port 123 uplink eth0",
                       f"Destination=udp {w.WEB} port 123 uplink eth9"))
    world.passes(w.udp(w.OTHER, 123))


def test_row_13_lan(world):
    local = [w.udp(w.ROUTER, 9), w.tcp(w.ROUTER, 80), w.ping(w.ROUTER),
             w.udp("fe80::1", 9, device="eth0")]
    fence(world, *local, STRANGER)
    world.up(allow("LAN=yes"))
    world.passes(*local)
    world.silent(STRANGER, w.udp(w.WEB6, 9))
    world.up(allow("LAN=10.0.0.0/8 192.168.78.0/24"))
    world.silent(*local)


def test_row_14_answers_of_an_allowed_service(world):
    router = world.new_agent(world.router)

    def answer(port):
        def match(frame):
            return (frame.protocol, frame.sport, str(frame.dst)) == (frames.TCP, port, w.ROUTER)
        return w.Shot(f"the answer of port {port}", senders.tcp, w.CLIENT, port, match=match)
    for port in (22, 23):
        world.agent.call(senders.listen, f"tcp{port}", "0.0.0.0", port)
    world.leaks(answer(22), answer(23), answer(24), agent=router)
    world.up(allow("InboundTCP=22", "InboundUDP=5000-5001"))
    told = router.call(senders.tcp_open, "ssh", w.CLIENT, 22)
    if told != "sent":
        raise Failure(f"no connection to the allowed service: {told}")
    world.silent(answer(23), answer(24), agent=router)
    world.agent.call(senders.close, "tcp22")
    world.silent(w.tcp(w.ROUTER, 9, sport=22), w.tcp(w.WEB, 80, sport=22))


def test_row_14_udp_answers(world):
    router = world.new_agent(world.router)
    for port in (5000, 5002):
        world.agent.call(senders.listen, f"udp{port}", w.CLIENT, port, senders.socket.SOCK_DGRAM)
    world.up(allow("InboundUDP=5000-5001", "Inbound=accept"))

    def answered(port):
        world.agent.begin(senders.echo_datagram, f"udp{port}")
        router.call(senders.udp, w.CLIENT, port, b"question of " + str(port).encode())
        return world.agent.end()
    mark = world.sniffer.mark()
    answered(5000)
    world.sniffer.wait(lambda f: b"question of 5000" in f.raw, mark, "the allowed answer")
    mark = world.sniffer.mark()
    answered(5002)
    world.quiet_since(mark)


def test_row_15_anything_else(world):
    fence(world, STRANGER, w.udp(w.WEB6, 9), w.tcp(w.WEB, 80), w.tcp(w.WEB6, 80), w.ping(w.OTHER),
          w.ping(w.WEB6), w.udp(w.RESOLVER, 53), w.udp(w.RESOLVER6, 53), w.udp(w.ROUTER, 9))
    world.passes(w.outer(), w.outer(w.VPN6))
    world.down()
    world.leaks(STRANGER, w.udp(w.WEB6, 9))


def test_refused_at_once(world):
    """A datagram socket is told, so that programs fail instead of waiting."""
    world.up()
    for shot in (STRANGER, w.udp(w.WEB6, 9), w.ping(w.OTHER)):
        world.silent(shot, told="EPERM")


def test_observe_drops_nothing_and_counts(world):
    world.up("[Fence]\nMode=observe\n" + w.BASIC)
    world.passes(STRANGER, w.udp(w.WEB6, 9), w.tcp(w.WEB, 80), w.udp(w.RESOLVER, 53))
    text = world.tunfence("status", "wg0", "--json").out
    for reason in ("not_allowed", "name_lookup"):
        if reason not in text:
            raise Failure(f"status does not count {reason}:\n{text}")
    world.up()
    world.silent(STRANGER)
