# SPDX-License-Identifier: GPL-2.0
"""Every way out we know, first shown to leak without the fence: who sends, not what is allowed."""

import socket

import craft
import frames
import kernel
import senders
import world as w
from craft import IP, UDP, Raw, ether
from sandbox import Failure, Skip, until

SECOND = "192.168.78.1"


def closed(world, *shots, config=w.BASIC, **options):
    """The shots leak without the fence and not with it; what must pass still does."""
    world.leaks(*shots, **options)
    world.up(config)
    world.silent(*shots, **options)
    world.passes(w.outer())


def second_uplink(world):
    """eth1, plugged in now, with a judge at its far end."""
    world.veth(world.client, "eth1", world.router, "second")
    world.ip(world.client, "link set eth1 up", "addr add 192.168.78.2/24 dev eth1")
    world.ip(world.router, "link set second up", f"addr add {SECOND}/24 dev second")
    with world.router:
        mac = _mac("second")
    world.ip(world.client, f"neigh add {SECOND} lladdr {mac} dev eth1 nud permanent")
    return world.sniff(world.router, "second")


def _mac(device):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind((device, 0))
        return sock.getsockname()[4].hex(":")


def test_udp_tcp_and_ping(world):
    closed(world, w.udp(w.OTHER, 9), w.udp(w.WEB6, 9), w.tcp(w.WEB, 443), w.tcp(w.WEB6, 443),
           w.ping(w.OTHER), w.ping(w.WEB6))


def test_raw_sockets(world):
    closed(world, w.ping(w.OTHER, kind=socket.SOCK_RAW), w.ping(w.WEB6, kind=socket.SOCK_RAW),
           w.Shot("raw GRE", senders.raw, w.OTHER, 47, w.same),
           w.Shot("raw protocol 99 over IPv6", senders.raw, w.WEB6, 99, w.same),
           w.Shot("raw packet with a header of its own", senders.raw_packet,
                  lambda t: bytes(craft.ip4(t)), w.OTHER),
           w.Shot("raw packet with a stranger's source", senders.raw_packet,
                  lambda t: bytes(IP(src=w.VPN, dst=w.OTHER) / UDP(dport=9) / Raw(t)), w.OTHER))


def test_packet_sockets(world):
    cooked = w.Shot("AF_PACKET without link header", senders.cooked, "eth0",
                    lambda t: bytes(craft.ip4(t)), frames.IP4,
                    bytes.fromhex(w.ROUTER_MAC.replace(":", "")))
    closed(world, cooked,
           craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t))),
           craft.sent("AF_PACKET IPv6", lambda t: ether(craft.ip6(t))),
           craft.sent("AF_PACKET that says it is ARP", lambda t: ether(craft.ip4(t)),
                      protocol=frames.ARP),
           craft.sent("AF_PACKET that says it is EAPOL", lambda t: ether(craft.ip6(t)),
                      protocol=frames.EAPOL))


def test_packet_sockets_outside_the_cgroup(world):
    """The wire plane judges the device, whoever sends."""
    closed(world, craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t))), agent=world.outside)


def test_tagged_frames(world):
    closed(world, *(craft.sent(f"AF_PACKET tagged {'+'.join(tags)}",
                               lambda t, k=tags: craft.tagged(k, craft.ip4(t)))
                    for tags in (["q"], ["ad"], ["ad", "q"], ["q", "q", "q"])))


def test_broadcast_and_multicast(world):
    closed(world, w.udp("255.255.255.255", 9, device="eth0"), w.udp("192.168.77.255", 9),
           w.udp("239.7.7.7", 9, device="eth0"), w.udp("ff02::77", 9, device="eth0"))


def test_bound_to_the_uplink_or_marked(world):
    world.tun("wg0")
    world.ip(world.client, "route add 198.51.100.0/24 dev wg0")
    closed(world, w.udp(w.OTHER, 9, device="eth0"),
           w.udp(w.ROUTER, 9, mark=0xCA6C), w.udp(w.WEB6, 9, device="eth0", mark=0xCA6C))


def test_route_past_the_tunnel(world):
    """What DHCP's option 121 can do to a routing table: a longer prefix by the hostile router."""
    world.tun("wg0")
    world.ip(world.client, "route add 0.0.0.0/1 dev wg0", "route add 128.0.0.0/1 dev wg0",
             f"route add {w.VPN}/32 via {w.ROUTER}")
    tunnel = world.sniff(world.client, "wg0", outgoing=True, ethernet=False)
    world.passes(w.udp(w.OTHER, 9), sniffer=tunnel)
    world.ip(world.client, f"route add {w.OTHER}/32 via {w.ROUTER}")
    closed(world, w.udp(w.OTHER, 9), w.tcp(w.OTHER, 80))
    world.ip(world.client, f"route del {w.OTHER}/32")
    world.passes(w.udp(w.OTHER, 9), sniffer=tunnel)


def test_lan_that_claims_a_public_range(world):
    """LocalNet: the hostile network says that the victim is its neighbour."""
    world.ip(world.client, "addr add 198.51.100.2/24 dev eth0",
             *(f"neigh add {a} lladdr {w.ROUTER_MAC} dev eth0 nud permanent"
               for a in (w.WEB, w.OTHER)))
    closed(world, w.tcp(w.WEB, 80), w.udp(w.OTHER, 9), config=w.BASIC + "[Allow]\nLAN=yes\n")
    world.passes(w.udp(w.ROUTER, 9))


def test_lan_resolver(world):
    closed(world, w.udp(w.ROUTER, 53), w.tcp(w.ROUTER, 53), w.udp(w.ROUTER6, 53),
           config=w.BASIC + "[Allow]\nLAN=yes\n")


def test_plain_traffic_to_the_endpoint(world):
    """ServerIP: whatever else goes to the VPN server's own address."""
    closed(world, w.udp(w.VPN, w.VPN_PORT), w.tcp(w.VPN, w.VPN_PORT), w.tcp(w.VPN, 80),
           w.ping(w.VPN), w.udp(w.VPN6, w.VPN_PORT), w.udp(w.VPN, 53))


def test_wireguard_shape_from_a_stranger(world):
    world.up(w.BASIC + "ListenPort=41820\n")
    world.judge = frames.Judge([])
    world.silent(w.outer(), w.outer(sport=41821), w.outer(w.VPN6))
    world.passes(w.outer(sport=41820))


def test_wireguard_shape_by_other_sockets(world):
    """A user-space tunnel sends by an ordinary UDP socket: nothing else passes for it."""
    world.judge = frames.Judge([])
    closed(world, craft.sent("WireGuard's shape by AF_PACKET", lambda t: ether(craft.outer4(t))),
           w.Shot("WireGuard's shape by a raw socket", senders.raw_packet,
                  lambda t: bytes(craft.outer4(t)), w.VPN))


def test_oversized_datagrams(world):
    def large(token):
        return token.ljust(4000, b"\x5a")
    closed(world, w.udp(w.OTHER, 9, large), w.udp(w.WEB6, 9, large),
           w.udp(w.VPN, w.VPN_PORT, large))


def test_tcp_from_before_the_fence(world):
    world.serve()
    for name, address in (("old4", w.OTHER), ("old6", w.WEB6)):
        told = world.agent.call(senders.tcp_open, name, address, 7)
        if told != "sent":
            raise Failure(f"no connection to begin with: {told}")
    mark = world.sniffer.mark()
    for name in ("old4", "old6"):
        world.agent.call(senders.tcp_send, name, b"before the fence")
        if world.agent.call(senders.tcp_receive, name, 64) != b"before the fence":
            raise Failure("the connection did not work to begin with")
    world.sniffer.wait(lambda f: b"before the fence" in f.raw, mark, "the connection's data")
    world.up()
    mark = world.sniffer.mark()
    for name in ("old4", "old6"):
        world.agent.call(senders.tcp_send, name, b"after the fence")
    for name in ("old4", "old6"):
        until(lambda n=name: world.agent.call(senders.tcp_retries, n), 5, "a retransmission")
    world.quiet_since(mark)


def test_kernel_made_answers(world):
    """Resets, unreachables and echo replies have no socket: only the wire plane sees them."""
    router = world.new_agent(world.router)

    def came_back(protocol):
        return lambda f: f.protocol == protocol and str(f.dst) in (w.ROUTER, w.ROUTER6)
    shots = [w.Shot("a reset", senders.tcp, w.CLIENT, 9, match=came_back(frames.TCP)),
             w.Shot("an IPv6 reset", senders.tcp, w.CLIENT6, 9, match=came_back(frames.TCP)),
             w.Shot("an echo reply", senders.ping, w.CLIENT, w.same, match=came_back(frames.ICMP)),
             w.Shot("port unreachable", senders.udp, w.CLIENT, 9, w.same,
                    match=came_back(frames.ICMP)),
             w.Shot("an IPv6 echo reply", senders.ping, w.CLIENT6, w.same,
                    match=came_back(frames.ICMP6))]
    world.leaks(*shots, agent=router)
    world.up()
    world.silent(*shots, agent=router)


def test_multicast_membership(world):
    shot = w.Shot("IGMP", senders.join_group, "239.7.7.7", "eth0",
                  match=lambda f: f.protocol == 2)
    world.leaks(shot)
    world.agent.call(senders.close, "group")
    world.up()
    world.silent(shot)


def test_forwarded(world):
    lan = world.lan()
    closed(world, w.udp(w.OTHER, 9), w.tcp(w.WEB, 80), w.ping(w.OTHER), agent=lan,
           config=w.BASIC + "[Allow]\nInside=lan0\n")


def test_bridged(world):
    """A guest on the same bridge as the uplink: its frames never meet our IP layer."""
    guest = world.namespace()
    world.veth(world.client, "tap0", guest, "eth0")
    world.ip(world.client, "link add br0 type bridge", "link set br0 up", "link set tap0 up",
             "link set tap0 master br0", "link set eth0 master br0")
    world.ip(guest, "link set eth0 up", "addr add 192.168.77.3/24 dev eth0",
             f"route add default via {w.ROUTER}",
             f"neigh add {w.ROUTER} lladdr {w.ROUTER_MAC} dev eth0 nud permanent")
    agent = world.new_agent(guest)
    shots = [w.udp(w.OTHER, 9), w.tcp(w.WEB, 80)]
    until(lambda: _reaches(world, shots[0], agent), 5, "the bridge to forward")
    world.leaks(*shots, agent=agent)
    world.up()
    world.silent(*shots, agent=agent, device="eth0")


def _reaches(world, shot, agent):
    mark = world.sniffer.mark()
    _, match = shot.fire(agent)
    world.settle()
    return any(match(f) for f in world.sniffer.since(mark))


def test_macvlan_in_another_namespace(world):
    guest = world.namespace()
    if not world.ip_can(world.client, "link add mv0 link eth0 type macvlan mode bridge"):
        raise Skip("this kernel has no macvlan")
    world.ip(world.client, f"link set mv0 netns {guest.path}")
    world.ip(guest, "link set mv0 up", "addr add 192.168.77.3/24 dev mv0",
             f"route add default via {w.ROUTER}",
             f"neigh add {w.ROUTER} lladdr {w.ROUTER_MAC} dev mv0 nud permanent")
    agent = world.new_agent(guest)
    closed(world, w.udp(w.OTHER, 9), w.tcp(w.WEB, 80), agent=agent)


def test_second_uplink_from_the_start(world):
    second = second_uplink(world)
    shots = [w.udp(SECOND, 9), craft.sent("AF_PACKET by eth1", lambda t: ether(craft.ip4(t)),
                                         device="eth1")]
    world.leaks(*shots, sniffer=second)
    world.up()
    world.silent(*shots, sniffer=second, device="eth1")


def test_uplink_plugged_in_later(world):
    """The socket plane covers it from its first packet, the wire plane from the next sync."""
    world.up()
    second = second_uplink(world)
    by_socket = [w.udp(SECOND, 9), w.tcp(SECOND, 80), w.ping(SECOND)]
    by_packet = craft.sent("AF_PACKET by eth1", lambda t: ether(craft.ip4(t)), device="eth1")
    world.silent(*by_socket, sniffer=second, device="eth1")
    world.leaks(by_packet, sniffer=second)
    world.sync()
    world.silent(*by_socket, by_packet, sniffer=second, device="eth1")
    world.silent(w.udp(w.OTHER, 9), craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t))))


def test_uplink_moved_to_another_namespace(world):
    """The wire plane goes where its device goes: what is left of the machine's uplink is shut. A
    clsact filter is lost on the way: 8_accidents has that."""
    kernel.need_tcx()
    world.up()
    world.silent(craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t))))
    elsewhere = world.namespace()
    world.ip(world.client, f"link set eth0 netns {elsewhere.path}")
    world.ip(elsewhere, "link set eth0 up")
    world.outside = world.new_agent(elsewhere)
    world.silent(craft.sent("AF_PACKET from there", lambda t: ether(craft.ip4(t))),
                 agent=world.outside)


def test_uplink_renamed(world):
    world.up()
    world.ip(world.client, "link set eth0 down", "link set eth0 name wan7", "link set wan7 up",
             f"route add default via {w.ROUTER} dev wan7",
             f"neigh replace {w.ROUTER} lladdr {w.ROUTER_MAC} dev wan7 nud permanent")
    world.silent(w.udp(w.OTHER, 9),
                 craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t)), device="wan7"),
                 device="wan7")


def test_ipv6_only(world):
    world.ip(world.client, "addr flush dev eth0 scope global",
             f"addr add {w.CLIENT6}/64 dev eth0 nodad",
             "route replace default via fe80::1 dev eth0")
    config = f"[Tunnel]\nInterface=wg0\nEndpoint=[{w.VPN6}]:{w.VPN_PORT}\n"
    world.leaks(w.udp(w.WEB6, 9), w.tcp(w.WEB6, 80), w.udp(w.RESOLVER6, 53), w.ping(w.WEB6))
    world.up(config)
    world.silent(w.udp(w.WEB6, 9), w.tcp(w.WEB6, 80), w.udp(w.RESOLVER6, 53), w.ping(w.WEB6),
                 w.udp(w.VPN6, w.VPN_PORT))
    world.passes(w.outer(w.VPN6))
