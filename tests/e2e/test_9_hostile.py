# SPDX-License-Identifier: GPL-2.0
"""The attacker: root in the fenced namespace, below the fence's cgroup, with every capability but
CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_BPF; and the root of another namespace, with all of them there,
that is bridged to the uplink or routed by this machine. Who has those three here can lower the fence
and is not tried.

Each attack is first shown to get its frame out without the fence. What a fence cannot hold is a test
too, that says how far it goes.
"""

import json
import os
import socket
import struct
import subprocess

import craft
import frames
import hostile
import sandbox
import senders
import world as w
from craft import IP, UDP, IPv6, Raw, ether, ip4, ip6
from sandbox import Failure, Skip, until
from world import Shot

from scapy.layers.inet import ICMP, TCP
from scapy.layers.inet6 import (ICMPv6EchoRequest, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrRouting)

ETHERTYPES = (0x0000, 0x0005, 0x0101, 0x0600, 0x0805, 0x0842, 0x22F3, 0x6003, 0x6558, 0x8035, 0x809B,
              0x8137, 0x814C, 0x8808, 0x8809, 0x8847, 0x8848, 0x8863, 0x8864, 0x8870, 0x88B5, 0x88CC,
              0x88E5, 0x88E7, 0x88F7, 0x8902, 0x8906, 0x894F, 0x9000, 0x9200, 0x9300, 0xCAFE, 0xFFFF)


def attacker(world):
    """Whoever sends from now on."""
    world.agent.call(hostile.confine)
    return world.agent


def held(world, shots, config=w.BASIC, **options):
    """Each leaks, and then, fenced, does not; the tunnel's own packets still pass."""
    world.leaks(*shots, **options)
    world.up(config)
    world.silent(*shots, **options)
    world.passes(w.outer())


# What not every kernel lets this attacker try: UDP-Lite has gone from Linux 7, and a mark took
# CAP_NET_ADMIN before 5.17.
MAY_LACK = {"UDP-Lite": "EPROTONOSUPPORT", "SO_MARK and priority": "EPERM"}


def possible(world, shots):
    """Those of the shots that this kernel has."""
    return [shot for shot in shots
            if str(shot) not in MAY_LACK or shot.fire(world.agent)[0] != MAY_LACK[str(shot)]]


def sent(text, build, **options):
    return craft.sent(text, build, **options)


def raw(text, build, to=w.OTHER):
    return Shot(text, senders.raw_packet, lambda t: bytes(build(t)), to)


# Frames


def test_ethertypes(world):
    """What is not IP is no carrier, whatever it says it is; 802.3, SNAP and tags likewise."""
    attacker(world)
    snap = b"\xaa\xaa\x03\0\0\0\x08\0"
    held(world, [
        *(sent(f"ethertype {n:#06x}", lambda t, n=n: w.ethernet(n, t * 4)) for n in ETHERTYPES),
        sent("802.3 with LLC and SNAP", lambda t: w.ethernet(100, snap + bytes(ip4(t)).ljust(92))),
        sent("802.3 as STP", lambda t: w.ethernet(100, b"\x42\x42\x03" + t.ljust(97, b"\0"),
                                                  dst="01:80:c2:00:00:00")),
        sent("PPPoE", lambda t: w.ethernet(0x8864, b"\x11\0\0\1\0\x40\0\x21" + bytes(ip4(t)))),
        sent("MPLS", lambda t: w.ethernet(0x8847, b"\0\x04\x01\x40" + bytes(ip4(t)))),
        sent("IPv6 said to be IPv4", lambda t: w.ethernet(frames.IP4, bytes(ip6(t)))),
        sent("IPv4 said to be IPv6", lambda t: w.ethernet(frames.IP6, bytes(ip4(t)))),
        sent("three tags", lambda t: craft.tagged("q" * 3, ip4(t))),
        sent("a tag and EAPOL", lambda t: w.ethernet(0x8100, b"\0\0\x88\x8e\2\0\0\x10" + t)),
        sent("EAPOL and a trailer", lambda t: w.ethernet(frames.EAPOL, b"\2\0\0\0" + t * 6)),
        sent("ARP and a trailer", lambda t: w.arp_probe(bytes(4)) + t * 4),
        sent("ARP of long addresses", lambda t: w.ethernet(frames.ARP, struct.pack(
            "!HHBBH", 1, 0x800, 16, 16, 1) + t * 4)),
        sent("reverse ARP", lambda t: w.ethernet(frames.ARP, struct.pack(
            "!HHBBH", 1, 0x800, 6, 4, 3) + t + t[:4])),
    ])


def wg(token, size=96):
    return b"\4\0\0\0" + token.ljust(size, b"\x5a")


def to_vpn(token, **fields):
    return IP(src=w.CLIENT, dst=w.VPN, **fields) / UDP(
        sport=w.VPN_PORT, dport=w.VPN_PORT) / Raw(wg(token))


def optional(token, options):
    """The same with IPv4 options, a multiple of four bytes."""
    data = bytes(to_vpn(token))
    words = 5 + len(options) // 4
    return (bytes([0x40 + words, 0]) + struct.pack("!H", len(data) + len(options)) + data[4:20] +
            options + data[20:])


LYING_IPV4 = (
    ("header of 16 bytes", lambda t: craft.patched(bytes(ip4(t)), 0, b"\x44")),
    ("header longer than the packet", lambda t: craft.patched(bytes(ip4(t)), 0, b"\x4f")),
    ("version 5", lambda t: craft.patched(bytes(ip4(t)), 0, b"\x55")),
    ("length 0", lambda t: craft.patched(bytes(ip4(t)), 2, b"\0\0")),
    ("shorter than its frame", lambda t: bytes(to_vpn(b"")) + t * 4),
    ("longer than its frame", lambda t: craft.patched(bytes(ip4(t)), 2, b"\xff\xff")),
    ("UDP shorter than its packet", lambda t: craft.patched(bytes(to_vpn(t)), 24, b"\0\x28")),
    ("UDP longer than its packet", lambda t: craft.patched(bytes(to_vpn(t)), 24, b"\xff\x28")),
    ("loose source route", lambda t: optional(
        t, b"\1\x83\7\4" + socket.inet_aton(w.OTHER))),
    ("strict source route", lambda t: optional(
        t, b"\1\x89\7\4" + socket.inet_aton(w.OTHER))),
    ("options without end", lambda t: optional(t, b"\x94\x30\0\0")),
    ("WireGuard's shape, another's socket", to_vpn),
    ("WireGuard's shape in fragments", lambda t: to_vpn(t, flags="MF")),
    ("a fragment of nothing", craft.later_fragment4),
    ("TCP's second fragment over its flags", lambda t: IP(
        src=w.CLIENT, dst=w.OTHER, proto=6, frag=1) / Raw(t)),
    ("DHCP to one host", lambda t: IP(src=w.CLIENT, dst=w.OTHER) / UDP(sport=68, dport=67) /
     Raw(craft.bootp(t))),
    ("DHCP's ports without DHCP", lambda t: IP(src=w.CLIENT, dst="255.255.255.255") /
     UDP(sport=68, dport=67) / Raw(t * 20)),
    ("DHCP in fragments", lambda t: IP(src="0.0.0.0", dst="255.255.255.255", flags="MF") /
     UDP(sport=68, dport=67, len=900) / Raw(craft.bootp(t))),
    ("a neighbour solicitation in IPv4", lambda t: IP(
        src=w.CLIENT, dst="224.0.0.1", proto=58, ttl=255) / Raw(b"\x87\0\0\0" + t * 2)),
    *((f"protocol {n}", lambda t, n=n: IP(src=w.CLIENT, dst=w.OTHER, proto=n) / Raw(t * 3))
      for n in (1, 2, 4, 33, 41, 46, 47, 50, 51, 94, 103, 112, 115, 132, 136, 137, 255)),
)

def on_link(dst, hops, protocol=58):
    return IPv6(src=craft.LINK_LOCAL, dst=dst, hlim=hops, nh=protocol)


LYING_IPV6 = (
    ("v4-mapped", lambda t: IPv6(src=w.CLIENT6, dst=f"::ffff:{w.VPN}") / UDP(
        sport=9, dport=w.VPN_PORT) / Raw(wg(t))),
    ("a jumbogram", lambda t: craft.patched(bytes(IPv6(src=w.CLIENT6, dst=w.VPN6, nh=0) /
     Raw(b"\x11\0\xc2\4\0\1\0\0" + t * 4)), 4, b"\0\0")),
    ("a routing header", lambda t: IPv6(src=w.CLIENT6, dst=w.VPN6) / IPv6ExtHdrRouting(
        type=4, segleft=1, addresses=[w.WEB6]) / UDP(dport=w.VPN_PORT) / Raw(wg(t))),
    ("an old routing header", lambda t: IPv6(src=w.CLIENT6, dst=w.VPN6) / IPv6ExtHdrRouting(
        type=0, segleft=1, addresses=[w.WEB6]) / UDP(dport=w.VPN_PORT) / Raw(wg(t))),
    ("nine extension headers", lambda t: _chain(9) / UDP(dport=w.VPN_PORT) / Raw(wg(t))),
    ("the same in a fragment", lambda t: IPv6(src=w.CLIENT6, dst=w.VPN6) / IPv6ExtHdrFragment(
        m=1, id=9) / IPv6ExtHdrDestOpt() / UDP(dport=w.VPN_PORT, len=900) / Raw(wg(t))),
    ("no next header", lambda t: IPv6(src=w.CLIENT6, dst=w.VPN6, nh=59) / Raw(t * 4)),
    ("a later fragment", craft.later_fragment6),
    ("an unknown extension", lambda t: IPv6(src=w.CLIENT6, dst=w.VPN6, nh=253) /
     Raw(b"\x11\0" + t * 2)),
    ("a solicitation in fragments", lambda t: on_link("ff02::1", 255, 44) /
     IPv6ExtHdrFragment(m=1, id=9, nh=58) / Raw(b"\x87\0\0\0" + t * 2)),
    ("a solicitation for far away", lambda t: IPv6(src=w.CLIENT6, dst=w.WEB6, hlim=255, nh=58) /
     Raw(b"\x87\0\0\0\0\0\0\0" + t)),
    ("a solicitation with much behind it", lambda t: on_link("ff02::1", 255) /
     Raw(b"\x87\0\0\0\0\0\0\0" + t * 4)),
    ("a solicitation from afar", lambda t: on_link("ff02::1", 254) /
     Raw(b"\x87\0\0\0\0\0\0\0" + t)),
    ("a long router solicitation", lambda t: on_link("ff02::2", 255) /
     Raw(b"\x85\0\0\0\0\0\0\0" + t * 2)),
    ("a router advertisement", lambda t: on_link("ff02::1", 255) /
     Raw(b"\x86\0\0\0\0\0\0\0" + t)),
    ("a redirect", lambda t: on_link("ff02::1", 255) /
     Raw(b"\x89\0\0\0\0\0\0\0" + t * 2)),
    ("node information", lambda t: on_link("ff02::1", 255) /
     Raw(b"\x8b\0\0\0\0\0\0\0" + t)),
    ("DHCPv6 to far away", lambda t: IPv6(src=w.CLIENT6, dst=w.WEB6) / UDP(sport=546, dport=547) /
     Raw(craft.solicit6(t))),
    ("DHCPv6 from a global address", lambda t: IPv6(src=w.CLIENT6, dst="ff02::1:2") /
     UDP(sport=546, dport=547) / Raw(craft.solicit6(t))),
    *((f"protocol {n}", lambda t, n=n: IPv6(src=w.CLIENT6, dst=w.WEB6, nh=n) / Raw(t * 3))
      for n in (1, 2, 4, 41, 47, 50, 103, 115, 132, 136)),
)


def _chain(count):
    packet = IPv6(src=w.CLIENT6, dst=w.VPN6)
    for _ in range(count):
        packet = packet / IPv6ExtHdrDestOpt()
    return packet


def test_lying_packets(world):
    """By AF_PACKET: headers that contradict their frame, and plumbing that is not quite that."""
    attacker(world)
    world.judge = frames.Judge([])
    held(world, [sent(text, lambda t, b=build, k=kind: w.ethernet(k, bytes(b(t))))
                 for kind, table in ((frames.IP4, LYING_IPV4), (frames.IP6, LYING_IPV6))
                 for text, build in table])


# Sockets


IP_OPTIONS, IP_TRANSPARENT, IP_PKTINFO = 4, 19, 8
UDP_SEGMENT, UDP_ENCAP, FASTOPEN_NO_COOKIE = 103, 100, 34
MPTCP, UDPLITE = 262, 136


def syn(address, port):
    return lambda f: (f.protocol, str(f.dst), f.dport) == (frames.TCP, address, port)


def test_sockets(world):
    """Every way to hand data to an IP socket that we know."""
    attacker(world)
    index = world.client.has("eth0")
    pktinfo = [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=i4s4s", index, bytes(4), bytes(4)))]
    option = hostile.with_options
    route = b"\x83\x07\x04" + socket.inet_aton(w.OTHER) + b"\0"
    srh = struct.pack("!BBBBBBH", 0, 4, 4, 1, 1, 0, 0) + b"".join(
        socket.inet_pton(socket.AF_INET6, a) for a in (w.WEB6, w.VPN6))
    ip, v6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6
    held(world, possible(world, [
        Shot("MSG_ZEROCOPY", hostile.zerocopy, w.OTHER, 9, w.same),
        Shot("splice", hostile.spliced, w.OTHER, 9, w.same),
        Shot("sendfile", hostile.sendfile, w.WEB6, 9, w.same),
        Shot("io_uring", hostile.ring_send, w.OTHER, 9, w.same),
        Shot("io_uring of a kernel thread", hostile.ring_send, w.OTHER, 9, w.same,
             hostile.Ring.SQPOLL),
        Shot("UDP-Lite", option, w.OTHER, 9, w.same, protocol=UDPLITE),
        Shot("a source route", option, w.VPN, w.VPN_PORT, senders.handshake,
             (ip, IP_OPTIONS, route)),
        Shot("segment routing", option, w.VPN6, w.VPN_PORT, senders.handshake, (v6, 57, srh)),
        Shot("a transparent socket", option, w.OTHER, 9, w.same, (ip, IP_TRANSPARENT, 1),
             bind=(w.VPN, w.VPN_PORT)),
        Shot("IP_PKTINFO", option, w.OTHER, 9, w.same, ancillary=pktinfo),
        Shot("UDP_ENCAP", option, w.OTHER, 4500, w.same, (17, UDP_ENCAP, 2)),
        Shot("UDP_SEGMENT", option, w.OTHER, 9, lambda t: t * 8, (17, UDP_SEGMENT, 16)),
        Shot("SO_MARK and priority", option, w.OTHER, 9, w.same, (1, 36, 51820), (1, 12, 7)),
        Shot("TCP fast open", option, w.WEB, 80, w.same, (6, FASTOPEN_NO_COOKIE, 1),
             kind=socket.SOCK_STREAM, flags=hostile.MSG_FASTOPEN),
        Shot("MPTCP", hostile.connect, w.WEB, 80, MPTCP, match=syn(w.WEB, 80)),
        *(Shot(f"raw, protocol {n}", senders.raw, a, n, lambda t: t * 3)
          for n in (2, 4, 33, 41, 47, 50, 103, 132) for a in (w.OTHER, w.WEB6)),
    ]))


def test_sockets_from_elsewhere(world):
    """Made outside the fence's cgroup and handed in."""
    agent = attacker(world)
    path = f"{world.directory}/door"
    agent.call(hostile.await_socket, path)
    shots = []
    for name, family, kind, data, address in (
            ("UDP", socket.AF_INET, socket.SOCK_DGRAM, w.same, (w.OTHER, 9)),
            ("raw IPv4", socket.AF_INET, socket.SOCK_RAW, lambda t: bytes(ip4(t)), (w.OTHER, 0)),
            ("AF_PACKET", socket.AF_PACKET, socket.SOCK_RAW, lambda t: ether(ip4(t)), ("eth0", 0))):
        agent.begin(hostile.take_socket, name)
        protocol = socket.IPPROTO_RAW if name == "raw IPv4" else 0
        world.outside.call(hostile.hand_over, path, family, kind, protocol)
        agent.end()
        shots.append(Shot(f"{name} handed in", hostile.send_by, name, data, address))
    held(world, shots)


def test_payload_of_changing_pages(world):
    """Payload that the sender turns into something else after it was judged: it goes where it was
    let go to, the endpoint of a user-space tunnel, and nowhere else."""
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("a race, and one processor")
    attacker(world)
    plain = b"plain text".ljust(64)
    race = Shot("pages that change", hostile.payload_that_changes, w.VPN, w.VPN_PORT, wg(b"", 60),
                plain, 1)

    def won():
        mark = world.sniffer.mark()
        race.fire(world.agent)
        world.settle()
        return any(f.payload.startswith(plain[:8]) for f in world.sniffer.since(mark))
    until(won, 30, "pages that change on the wire")
    world.up()
    mark = world.sniffer.mark()
    race.fire(world.agent)
    world.settle()
    seen = [f for f in world.sniffer.since(mark) if not frames.is_plumbing(f)]
    if not seen or any((str(f.dst), f.dport) != (w.VPN, w.VPN_PORT) for f in seen):
        raise Failure(f"{len(seen)} frames, not all to the endpoint: {w.describe(seen)}")


# The ways round the wire plane


SOL_PACKET, QDISC_BYPASS, SOL_XDP, AF_XDP = 263, 20, 283, 44


def test_bypass_of_every_length(world):
    """The guard is asked whatever the option's length is, and by io_uring's setsockopt() too."""
    agent = attacker(world)
    one = struct.pack("i", 1)
    ways = [(hostile.setsockopt, (socket.AF_PACKET, SOL_PACKET, QDISC_BYPASS, one, n))
            for n in (4, 5, 4096, 4097, 1 << 20)]
    ways.append((hostile.ring_setsockopt, (socket.AF_PACKET, SOL_PACKET, QDISC_BYPASS)))
    def told():
        return [agent.call(way, *args) for way, args in ways]
    if "sent" not in (open_ := told()):
        raise Failure(f"none of them works without a fence: {open_}")
    world.up()
    if set(fenced := told()) & {"sent"} or fenced[0] != "EPERM":
        raise Failure(f"{open_} without a fence, {fenced} with it")
    told = agent.call(hostile.setsockopt, AF_XDP, SOL_XDP, 4, bytes(32))
    if told not in ("EPERM", "EAFNOSUPPORT"):
        raise Failure("AF_XDP memory was taken")


def test_other_families(world):
    """Sockets that have their own way to a device, as far as this kernel has them."""
    agent = attacker(world)
    connect = hostile.with_options
    tried = [Shot(name, connect, w.OTHER, 9, w.same, kind=kind, protocol=protocol,
                  match=lambda f: str(f.dst) == w.OTHER)
             for name, kind, protocol in (("SCTP", socket.SOCK_SEQPACKET, 132),
                                          ("DCCP", 6, 33), ("SMC", socket.SOCK_STREAM, 256),
                                          ("L2TP", socket.SOCK_DGRAM, 115))]
    have = [s for s in tried if s.fire(agent)[0] not in (
        "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "ENOTSUP")]
    if not have:
        raise Skip("this kernel has no SCTP, DCCP, SMC, L2TP; nor can pktgen or netconsole, which "
                   "pass no hook of a fence, be tried in a namespace")
    held(world, have)


# The kernel as the sender


def at_our(**fields):
    """A stranger's packet for us."""
    return IP(src=w.OTHER, dst=w.CLIENT, **fields)


def by_loopback(text, build, match=None):
    return Shot(text, hostile.by_loopback, lambda t: bytes(build(t)), match=match)


def to_stranger(protocol):
    return lambda f: f.protocol == protocol and str(f.dst) in (w.OTHER, w.WEB6)


def as_router(world, agent):
    """A machine that forwards, as every host of containers does; uid 0 may set the rest, whatever
    its capabilities."""
    world.forward(world.client)
    for name, value in (("ipv4/conf/all/rp_filter", 0), ("ipv4/conf/lo/rp_filter", 0),
                        ("ipv4/conf/all/accept_source_route", 1),
                        ("ipv4/conf/lo/accept_source_route", 1),
                        ("ipv4/icmp_echo_ignore_all", 0), ("ipv4/icmp_ratelimit", 0),
                        ("ipv6/icmp/ratelimit", 0), ("ipv6/icmp/echo_ignore_all", 0)):
        if (told := agent.call(hostile.write, f"/proc/sys/net/{name}", str(value))) != "sent":
            raise Failure(f"{name}: {told}")


def test_kernel_answers_to_a_stranger(world):
    """A stranger's packet put on loopback: the answer goes to the stranger, with what it quotes."""
    agent = attacker(world)
    as_router(world, agent)
    agent.call(senders.listen, "open", w.CLIENT, 8080)
    tcp = to_stranger(frames.TCP)
    held(world, [
        by_loopback("an echo reply", lambda t: at_our() / ICMP() / Raw(t)),
        by_loopback("an IPv6 echo reply", lambda t: IPv6(src=w.WEB6, dst=w.CLIENT6) /
                    ICMPv6EchoRequest(data=t)),
        by_loopback("port unreachable", lambda t: at_our() / UDP(dport=9) / Raw(t)),
        by_loopback("IPv6 port unreachable", lambda t: IPv6(src=w.WEB6, dst=w.CLIENT6) /
                    UDP(dport=9) / Raw(t)),
        by_loopback("protocol unreachable", lambda t: at_our(proto=99) / Raw(t)),
        by_loopback("a time stamp", lambda t: at_our() / ICMP(type=13, ts_ori=int.from_bytes(
            t[:4], "big")), to_stranger(frames.ICMP)),
        by_loopback("a reset", lambda t: at_our() / TCP(sport=7, dport=9, seq=7), tcp),
        by_loopback("a SYN-ACK", lambda t: at_our() / TCP(sport=int.from_bytes(t[:2], "big") | 1024,
                                                         dport=8080, seq=7), tcp),
        by_loopback("forwarded", lambda t: IP(src="192.0.2.7", dst=w.OTHER) / UDP(dport=9) / Raw(t)),
        by_loopback("forwarded IPv6", lambda t: IPv6(src="2001:db8:9::9", dst=w.WEB6) /
                    UDP(dport=9) / Raw(t)),
        by_loopback("forwarded in WireGuard's shape", lambda t: IP(src="192.0.2.7", dst=w.VPN) /
                    UDP(sport=w.VPN_PORT, dport=9) / Raw(wg(t))),
        by_loopback("time exceeded", lambda t: IP(src=w.OTHER, dst="192.0.2.7", ttl=1) /
                    UDP(dport=9) / Raw(t)),
    ])


def test_forwarded_in_the_tunnels_shape(world):
    """What this machine forwards is nobody's outer packet, whatever it looks like."""
    agent = attacker(world)
    as_router(world, agent)
    world.judge = frames.Judge([])
    held(world, [by_loopback("WireGuard's shape", lambda t: IP(src="192.0.2.7", dst=w.VPN) / UDP(
        sport=w.VPN_PORT, dport=w.VPN_PORT) / Raw(wg(t)))])


def test_multicast_router(world):
    agent = attacker(world)
    as_router(world, agent)
    agent.call(hostile.route_multicast, "239.7.7.7", "192.0.2.7", "eth0")
    held(world, [by_loopback("multicast", lambda t: IP(src="192.0.2.7", dst="239.7.7.7", ttl=9) /
                             UDP(dport=9) / Raw(t))])


def test_groups(world):
    """IGMP with a group of one's choice is held. MLD is plumbing: on the link, hop limit 1."""
    attacker(world)
    held(world, [Shot("IGMP", senders.join_group, "239.1.2.3", "eth0",
                      match=lambda f: f.protocol == 2)])


def test_arp_for_other_addresses(world):
    """proxy_arp and arp_announce, which uid 0 may set: the tunnel's address is not told."""
    agent = attacker(world)
    world.tun()
    router = world.new_agent(world.router)
    as_router(world, agent)
    for name in ("all", "eth0"):
        for key, value in (("proxy_arp", 1), ("arp_ignore", 0), ("arp_announce", 0),
                           ("arp_accept", 1), ("proxy_arp_pvlan", 1)):
            agent.call(hostile.write, f"/proc/sys/net/ipv4/conf/{name}/{key}", str(value))

    def told(address):
        return lambda f: (frames.is_arp(f) and f.raw[6:12] == bytes.fromhex(
            w.CLIENT_MAC.replace(":", "")) and f.payload[14:18] == socket.inet_aton(address))

    def ask(address):
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + bytes.fromhex(
            w.ROUTER_MAC.replace(":", "")) + socket.inet_aton(w.ROUTER) + bytes(6)
        return Shot(f"who has {address}", senders.frame, "client", w.ethernet(
            frames.ARP, body + socket.inet_aton(address), src=w.ROUTER_MAC, dst="ff:ff:ff:ff:ff:ff"),
            match=told(address))
    own = Shot("asks as the tunnel", hostile.with_options, "192.168.77.99", 9, b"x",
               bind=(w.TUNNEL_CLIENT, 0), match=told(w.TUNNEL_CLIENT))
    asked = [ask(a) for a in (w.TUNNEL_CLIENT, w.TUNNEL_SERVER)]
    world.leaks(*asked, agent=router)
    world.leaks(own)
    world.up()
    world.silent(*asked, agent=router)
    world.silent(own)
    world.passes(ask(w.CLIENT), agent=router)


# Another namespace's root


def nft(namespace, family, hook, rule):
    """A rule for what the namespace sends."""
    text = f"table {family} t {{\nchain c {{\ntype filter hook {hook} priority 0\n{rule}\n}}\n}}\n"
    with namespace:
        done = subprocess.run(["nft", "-f", "-"], input=text, text=True, capture_output=True,
                              check=False)
    if done.returncode:
        raise Skip(f"this kernel cannot: {done.stderr.splitlines()[0]}")


KERNEL_TUNNEL = w.BASIC.replace("Kind=tun", "Kind=wireguard")
GUEST, GUEST_MAC = "192.168.77.3", "02:00:00:00:77:03"


def macvlan(world):
    """A container with a child of the uplink, and all capabilities in its own namespace."""
    guest = world.namespace()
    if not world.ip_can(world.client, f"link add mv0 address {GUEST_MAC} link eth0 type macvlan"):
        raise Skip("this kernel has no macvlan")
    world.ip(world.client, f"link set mv0 netns {guest.path}")
    world.ip(guest, "link set mv0 up", f"addr add {GUEST}/24 dev mv0",
             f"route add default via {w.ROUTER}",
             f"neigh add {w.ROUTER} lladdr {w.ROUTER_MAC} dev mv0 nud permanent")
    world.ip(world.router, f"neigh add {GUEST} lladdr {GUEST_MAC} dev client nud permanent")
    return guest


def duplicates(world, build, to, config):
    """The guest's kernel sends a packet a second time: without a socket, as this kernel's own are.
    By its IP layer, where the packet has a route, and by a device's, where that of AF_PACKET has
    none."""
    guest = macvlan(world)
    nft(guest, "ip", "output", f"ip daddr {to} dup to {w.ROUTER} device mv0")
    nft(guest, "netdev", "egress device lo", f"ip daddr {to} dup to mv0")
    agent = world.new_agent(guest)
    world.judge = frames.Judge([])
    held_shots = [raw("duplicated by IP", build, to),
                  sent("duplicated by a device", lambda t: ether(build(t)), device="lo")]
    world.leaks(*held_shots, agent=agent)
    world.up(config)
    world.silent(*held_shots, agent=agent)


def test_duplicates_of_a_guest_as_answers(world):
    duplicates(world, lambda t: IP(src=GUEST, dst=w.OTHER) / TCP(
        sport=22, dport=9, flags="A") / Raw(t), w.OTHER, w.BASIC + "[Allow]\nInboundTCP=22\n")


def test_duplicates_of_a_guest_as_the_tunnels(world):
    duplicates(world, lambda t: IP(src=GUEST, dst=w.VPN) / UDP(
        sport=w.VPN_PORT, dport=w.VPN_PORT) / Raw(wg(t)), w.VPN, KERNEL_TUNNEL)


def test_duplicates_of_our_own_as_the_tunnels(world):
    """The other side of it: what has no socket and this namespace's route is the kernel's own."""
    nft(world.client, "ip", "output", f"ip daddr {w.VPN} dup to {w.ROUTER} device eth0")
    world.up(KERNEL_TUNNEL)
    world.passes(raw("WireGuard's shape, which the socket plane refused", to_vpn, w.VPN))


def test_guest_that_serves(world):
    """Inbound services are this machine's: a guest's kernel does not answer for the same port."""
    agent = world.new_agent(macvlan(world))
    agent.call(senders.listen, "service", GUEST, 22)
    shot = Shot("a SYN to the guest", senders.tcp, GUEST, 22, match=lambda f: (
        f.protocol == frames.TCP and str(f.src) == GUEST))
    router = world.new_agent(world.router)
    world.leaks(shot, agent=router)
    world.up(w.BASIC + "[Allow]\nInboundTCP=22\n")
    world.silent(shot, agent=router)


def test_routed_guest(world):
    """What a guest behind an inside device sends is nothing of this machine's own."""
    lan = world.lan()
    world.judge = frames.Judge([])

    def guest(text, layers, to=w.OTHER, **fields):
        return raw(text, lambda t: IP(src=w.LAN_HOST, dst=to, **fields) / layers(t), to)
    shots = [guest("WireGuard's shape", lambda t: UDP(sport=w.VPN_PORT, dport=w.VPN_PORT) /
                   Raw(wg(t)), w.VPN),
             guest("the client's own address", lambda t: UDP(sport=22, dport=9) / Raw(t)),
             guest("an answer's port", lambda t: TCP(sport=22, dport=9, flags="A") / Raw(t)),
             guest("DHCP's ports", lambda t: UDP(sport=68, dport=67) / Raw(craft.bootp(t))),
             guest("a fragment", lambda t: UDP(sport=22, dport=9, len=900) / Raw(t), flags="MF"),
             guest("GRE", lambda t: Raw(t * 3), proto=47)]
    held(world, shots, config=w.BASIC + "[Allow]\nInside=lan0\nInboundTCP=22\nInboundUDP=22\n",
         agent=lan)


def test_tunnel_out_of_a_user_namespace(world):
    """Whoever makes a user namespace has every capability there; none to bring a device here."""
    told = attacker(world).call(hostile.tunnel_from_elsewhere, "wg0")
    if not told.startswith("made"):
        raise Skip(f"no user namespaces here: {told}")
    if "not permitted" not in told or world.client.has("wg0"):
        raise Failure(told)


def test_tools(world):
    """Nothing that would open or mislead the fence is allowed without the three capabilities."""
    agent = attacker(world)
    elsewhere = world.namespace()
    world.up()
    for command in ("ip link set eth0 name wg0", "ip link add wg0 type veth",
                    "ip link set eth0 down", f"ip link set eth0 netns {elsewhere.path}",
                    "ip tuntap add wg0 mode tun",
                    "ip addr add 10.0.0.1/8 dev eth0", "ip route add 10.0.0.0/8 dev eth0",
                    f"ip neigh replace {w.ROUTER} lladdr 02:00:00:00:00:09 dev eth0",
                    "ip rule add pref 7 lookup 7", "tc qdisc del dev eth0 clsact",
                    "tc qdisc add dev eth0 clsact", "nft add table ip t", "bpftool link",
                    "bpftool prog", "ethtool -K eth0 tx off", f"umount {world.bpffs}",
                    f"mount -t tmpfs none {world.run_dir}", "unshare -m true", "unshare -n true",
                    f"nsenter --net={elsewhere.path} true"):
        if agent.call(hostile.tool, *command.split()):
            raise Failure(f"'{command}' was allowed")
    if (told := agent.call(hostile.by_number, 1, 64)) != {"EPERM"}:
        raise Failure(f"links by number: {told}")
    world.silent(w.udp(w.OTHER, 9))


# What is allowed, and how far it goes


def test_carriers(world):
    """Plumbing is let out to the link, with what it may carry and not a byte more."""
    attacker(world)
    world.up()

    def arp(t, extra):
        return w.arp_probe(t[:4]) + t.ljust(extra, b"\xa5")

    def solicit(t, options):
        return ether(on_link("ff02::1", 255) / Raw(
            b"\x87\0\0\0\0\0\0\0" + t + bytes(options)))

    def router(t, options):
        return ether(on_link("ff02::2", 255) / Raw(
            b"\x85\0\0\0\0\0\0\0" + t[:8] + bytes(options - 8)))

    def report(t, bytes_):
        return ether(IPv6(src=craft.LINK_LOCAL, dst="ff02::16", hlim=1, nh=0) / Raw(
            b"\x3a\0\5\2\0\0\1\0" + b"\x8f\0\0\0\0\0\0\0" + t.ljust(bytes_, b"\xa5")))

    def eapol(t, body):
        return w.ethernet(frames.EAPOL, b"\2\0" + struct.pack("!H", 1400) +
                          t.ljust(body, b"\xa5"), dst="02:00:00:00:00:99")
    for text, build, most in (("ARP", arp, 22), ("a solicitation", solicit, 32),
                              ("a router solicitation", router, 16), ("MLD", report, 320),
                              ("EAPOL", eapol, 1400)):
        world.passes(sent(f"{text} of {most} bytes", lambda t, b=build, n=most: b(t, n)))
        world.silent(sent(f"{text} of more", lambda t, b=build, n=most: b(t, n + 1)))
    world.passes(sent("DHCP to everybody", lambda t: ether(
        IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) /
        Raw(craft.bootp(t).ljust(1400, b"\xa5")))))
    world.silent(sent("DHCP to the subnet", lambda t: ether(
        IP(src=w.CLIENT, dst="192.168.77.255") / UDP(sport=68, dport=67) / Raw(craft.bootp(t)))))


def test_endpoint_of_a_user_space_tunnel(world):
    """Whoever has a UDP socket may speak WireGuard's shape to the server, and to nobody else; with
    ListenPort= only who has that port, once the tunnel is gone."""
    attacker(world)
    world.up(w.BASIC + f"ListenPort={w.VPN_PORT}\n")
    world.passes(w.udp(w.VPN, w.VPN_PORT, wg, sport=w.VPN_PORT))
    world.judge = frames.Judge([])
    world.silent(w.udp(w.VPN, w.VPN_PORT, wg), w.udp(w.VPN, 9, wg, sport=w.VPN_PORT),
                 w.udp(w.OTHER, w.VPN_PORT, wg, sport=w.VPN_PORT),
                 w.udp(w.VPN, w.VPN_PORT, sport=w.VPN_PORT))


def test_forged_connection(world):
    """A service's answers leave for whoever asked; with CAP_NET_RAW, anybody can be made to have."""
    attacker(world)

    def by(port):
        return Shot(f"data to a stranger from port {port}", hostile.forged_connection, w.CLIENT,
                    port, "203.0.113.99", 7, w.same, "eth0")
    world.leaks(by(2222))
    world.up()
    world.silent(by(2222))
    world.up(w.BASIC + "[Allow]\nInboundTCP=2222\n")
    world.passes(by(2222))
    world.judge = frames.Judge([])
    world.silent(by(2223))


# The fence's own files


def _read(path):
    with open(path) as file:
        return file.read()


def test_state_that_somebody_wrote(world):
    """The attacker does not get at it. Who does: sync believes no state that is not one; one that is
    may name hosts, but WireGuard's shape is all that they get."""
    agent = attacker(world)
    world.up()
    path = os.path.join(world.run_dir, "wg0.json")
    if agent.call(hostile.write, path, "") == "sent" or os.path.exists(path):
        raise Failure("the state was written")
    state = json.loads(world.below(_read, path))
    stranger = {"tunnel": "wg0", "protocol": 17, "host": w.OTHER, "port": 9}
    shots = [w.udp(w.OTHER, 9), w.tcp(w.OTHER, 9), w.udp(w.OTHER, 9, senders.handshake)]
    world.judge = frames.Judge([])
    for text in ("", "{", "[]", "\0" * 4096, "9" * 100000, json.dumps(state | {"names": 7}),
                 json.dumps(state | {"version": 2, "names": [stranger]}),
                 json.dumps(state | {"cgroup": "/"}),
                 json.dumps(state | {"names": [stranger | {"tunnel": "wg1"}]}),
                 json.dumps(state | {"names": [stranger | {"port": 65545}]})):
        world.below(hostile.write, path, text)
        world.tunfence("sync")
        world.silent(*shots)
    world.below(hostile.write, path, json.dumps(state | {"names": [stranger]}))
    world.sync()
    world.silent(*shots[:2])
    world.passes(shots[2])
    world.up()
    world.silent(*shots)


def test_pins(world):
    """Root without the capabilities that could open the fence anyway, at all there is to see of it:
    detaches, writes maps, removes, unmounts, and looks where others are."""
    agent = world.agent
    agent.call(hostile.confine, hostile.CAP_SYS_PTRACE, hostile.CAP_SYS_MODULE, hostile.CAP_SYS_RAWIO)
    world.up()
    at_work = world.new_agent(world.client)  # as the tool is, for longer than the tool
    at_work.call(sandbox.uncover, world.run_dir)
    if not at_work.call(os.listdir, os.path.join(world.run_dir, "bpf", "wg0", "links")):
        raise Failure("there is nothing to attack")
    shots = [w.udp(w.OTHER, 9), w.tcp(w.OTHER, 9), w.udp(w.OTHER, 9, senders.handshake),
             sent("AF_PACKET", lambda t: ether(ip4(t)))]
    roots = [world.bpffs, world.run_dir, *agent.call(hostile.roots_of_others, world.run_dir)]
    worked, seen = agent.call(hostile.tamper, roots)
    if worked or seen < 10:
        raise Failure(f"of {seen} pins in {roots}: {worked}")
    for command in (f"umount {world.run_dir}", f"umount {world.run_dir}/bpf",
                    f"umount -l {world.bpffs}", f"mount -o remount,rw {world.run_dir}",
                    f"chmod 700 {world.run_dir}", f"mkdir {world.run_dir}/bpf",
                    f"umount {world.bpffs}/tunfence-held", f"ls {world.bpffs}/tunfence-held/wg0",
                    f"nsenter --mount=/proc/{at_work.pid}/ns/mnt true"):
        if agent.call(hostile.tool, *command.split()):
            raise Failure(f"'{command}' was allowed")
    for root in roots:
        agent.call(hostile.remove, root)
    for _ in range(20):  # a link that nobody holds is taken off a little later
        world.silent(*shots)
    world.must(world.tunfence("status"))
    world.sync()
    world.silent(*shots)
    world.up()
    world.must(world.tunfence("status"))
    world.silent(*shots)
