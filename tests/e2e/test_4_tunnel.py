# SPDX-License-Identifier: GPL-2.0
"""A real tunnel that lives, dies, comes back, moves and is impersonated, with nobody touching the
fence but where `sync` is said."""

import ipaddress
import os

import craft
import senders
import world as w
from sandbox import Failure, until
from wireguard import Tunnel

STRANGER = w.udp(w.OTHER, 9)
REAL = w.BASIC.replace("Kind=tun\n", "")
PROBES = (STRANGER, w.tcp(w.WEB, 80), w.udp(w.WEB6, 9), w.udp(w.RESOLVER, 53))


def fetches(world, address=w.WEB, client=w.TUNNEL_CLIENT, agent=None, seconds=5.0):
    """The page comes, and it came through the tunnel."""
    page = (agent or world.agent).call(senders.fetch, address, seconds)
    world.log.append(f"page of {address}: {page!r}")
    if f"hello, {client}\n" not in page:
        raise Failure(f"no page by the tunnel: {page}")


def nothing_fetched(world, agent=None):
    page = (agent or world.agent).call(senders.fetch, w.WEB, 0.3)
    if "hello" in page:
        raise Failure("the page came though the tunnel is dead")


def dead_and_silent(world, *, agent=None):
    """With the tunnel gone, whatever falls back to the old default route stays off the wire."""
    mark = world.sniffer.mark()
    nothing_fetched(world, agent)
    world.silent(*PROBES, agent=agent)
    world.quiet_since(mark)


def served(world, **options):
    world.serve()
    tunnel = Tunnel(world, **options)
    fetches(world)
    return tunnel


def test_wireguard_go_killed(world):
    tunnel = served(world, user_space=True)
    tunnel.kill()
    fetches(world, client=w.CLIENT)  # the leak
    tunnel.start()
    world.up(REAL)
    fetches(world)
    for _ in range(2):
        tunnel.kill()
        dead_and_silent(world)
        tunnel.start()
        fetches(world)
        fetches(world, w.WEB6, w.TUNNEL_CLIENT6)
    world.silent(w.udp(w.ROUTER, 9))


def test_fence_before_the_tunnel(world):
    """As at boot: the fence is up when nothing else is, and the tunnel then comes by itself."""
    world.serve()
    world.up(REAL)
    dead_and_silent(world)
    tunnel = Tunnel(world)
    fetches(world)
    tunnel.kill()
    dead_and_silent(world)


def test_deleted_and_made_again(world):
    tunnel = served(world)
    world.up(REAL)
    index = world.client.has("wg0")
    world.ip(world.client, "link del wg0")
    until(lambda: not world.client.has("wg0"), 5, "wg0 to be gone")
    dead_and_silent(world)
    tunnel.start()
    if world.client.has("wg0") == index:
        raise Failure("the new wg0 has the old one's index: this shows nothing")
    fetches(world)


def test_renamed_away(world):
    tunnel = served(world)
    world.up(REAL)
    sniffer = world.sniff(world.client, "wg0", outgoing=True, ethernet=False)
    inner = w.udp(w.TUNNEL_SERVER, 9)
    world.passes(inner, sniffer=sniffer)
    rename(world, "wg0", "away0")
    world.silent(inner, STRANGER, sniffer=sniffer)
    world.silent(*PROBES)
    rename(world, "away0", "wg0")
    tunnel.route()
    fetches(world)


def rename(world, old, new):
    world.ip(world.client, f"link set {old} down", f"link set {old} name {new}",
             f"link set {new} up", f"route replace 0.0.0.0/1 dev {new}",
             f"route replace 128.0.0.0/1 dev {new}")
    if new == "wg0":
        world.ip(world.client, *(f"route del {half} dev wg0"
                                 for half in ("0.0.0.0/1", "128.0.0.0/1")))


def impersonated(world, make):
    """make() puts something else called wg0 in the tunnel's place and returns its judge."""
    tunnel = served(world)
    world.up(REAL)
    tunnel.kill()
    sniffer = make()
    routes = [f"route add {half} {how}" for half, how in (
        ("0.0.0.0/1", "dev wg0"), ("128.0.0.0/1", "dev wg0"))]
    world.ip(world.client, "link set wg0 up", "addr add 10.66.0.2/24 dev wg0", *routes,
             *(f"neigh replace {a} lladdr {w.ROUTER_MAC} dev wg0 nud permanent"
               for a in (w.OTHER, w.WEB, w.RESOLVER)))
    return sniffer


def test_replaced_by_a_dummy(world):
    def make():
        if not any(world.ip_can(world.client, f"link add wg0 type {kind}")
                   for kind in ("dummy", "ifb", "bridge")):
            raise Failure("no kind of device can stand in for the tunnel")
        return world.sniff(world.client, "wg0", outgoing=True)
    sniffer = impersonated(world, make)
    world.silent(STRANGER, w.tcp(w.WEB, 80), w.udp(w.RESOLVER, 53), sniffer=sniffer)
    world.down()
    world.leaks(STRANGER, sniffer=sniffer)


def test_replaced_by_a_veth(world):
    def make():
        world.veth(world.client, "wg0", world.router, "fake")
        world.ip(world.router, "link set fake up")
        return world.sniff(world.router, "fake")
    sniffer = impersonated(world, make)
    by_packet = craft.sent("AF_PACKET by wg0", lambda t: craft.ether(craft.ip4(t)), device="wg0")
    world.silent(STRANGER, w.tcp(w.WEB, 80), w.udp(w.RESOLVER, 53), sniffer=sniffer, device="wg0")
    world.sync()
    world.silent(STRANGER, by_packet, sniffer=sniffer, device="wg0")
    world.down()
    world.leaks(STRANGER, by_packet, sniffer=sniffer)


def test_replaced_by_the_same_index(world):
    tunnel = served(world)
    world.up(REAL)
    index = world.client.has("wg0")
    tunnel.kill()
    world.ip(world.client, f"link add stranger index {index} type veth peer name fake "
                           f"netns {world.router.path}",
             "link set stranger up", f"route add {w.OTHER}/32 dev stranger",
             f"neigh add {w.OTHER} lladdr {w.ROUTER_MAC} dev stranger nud permanent")
    world.ip(world.router, "link set fake up")
    sniffer = world.sniff(world.router, "fake")
    world.silent(STRANGER, w.tcp(w.OTHER, 80), sniffer=sniffer, device="stranger")
    world.down()
    world.leaks(STRANGER, sniffer=sniffer)


def test_moved_to_another_namespace(world):
    served(world)
    world.up(REAL)
    elsewhere = world.namespace()
    world.ip(world.client, f"link set wg0 netns {elsewhere.path}")
    dead_and_silent(world)


def roam(world, tunnel, address):
    """Down and up again: a packet of the server's still on its way would make the client roam back."""
    world.ip(world.server, "link set vpn0 down")
    tunnel.set_endpoint(address)
    world.ip(world.server, "link set vpn0 up")


def roams_and_is_held(world, tunnel):
    mark = world.sniffer.mark()
    roam(world, tunnel, w.VPN_ROAMED)
    nothing_fetched(world)
    world.quiet_since(mark)
    if seen := [f for f in world.sniffer.since(mark) if str(f.dst) == w.VPN_ROAMED]:
        raise Failure(f"left for the new endpoint before sync: {w.describe(seen)}")


def test_endpoint_roamed(world):
    tunnel, there = served(world), (ipaddress.ip_address(w.VPN_ROAMED), w.VPN_PORT)
    world.up(REAL)
    fetches(world)
    world.ip(world.client, f"route replace {w.VPN_ROAMED}/32 via {w.ROUTER}")
    roams_and_is_held(world, tunnel)
    world.sync()
    world.judge.endpoints.add(there)
    mark = world.sniffer.mark()
    # An in-kernel server forgets the session when its device goes down; the client tries for 15 s.
    fetches(world, seconds=40)
    world.silent(w.udp(w.ROUTER, 9), w.udp(w.VPN_ROAMED, w.VPN_PORT))
    world.quiet_since(mark)
    # Back where it was: the other is an endpoint no more.
    roam(world, tunnel, w.VPN)
    fetches(world, seconds=40)
    world.sync()
    world.judge.endpoints.remove(there)
    roams_and_is_held(world, tunnel)


TWO = f"""
[Tunnel]
Interface=wg0
Endpoint={w.VPN}:{w.VPN_PORT}
[Tunnel]
Interface=wg1
Endpoint={w.VPN_ROAMED}:51821
"""


def test_two_tunnels(world):
    first = served(world)
    # Before there is a wg1: its first handshake would go by wg0, and wireguard-go keeps to the way
    # by which it was answered.
    world.ip(world.client, f"route add {w.VPN_ROAMED}/32 via {w.ROUTER}")
    second = Tunnel(world, name="wg1", server="vpn1", endpoint=w.VPN_ROAMED, port=51821, number=67,
                    full=False)
    world.ip(world.client, f"route add {w.WEB}/32 dev wg1")
    world.judge.endpoints.add((ipaddress.ip_address(w.VPN_ROAMED), 51821))
    world.up(TWO)
    mark = world.sniffer.mark()
    fetches(world, client=second.address)
    first.kill()
    fetches(world, client=second.address)
    world.silent(w.udp(w.OTHER, 9), w.outer(w.VPN, 51821), w.udp(w.ROUTER, 9))
    world.quiet_since(mark)
    second.kill()
    dead_and_silent(world)


def test_two_fences(world):
    """A second fence raised or lowered opens nothing."""
    served(world)
    world.up(REAL)
    second = REAL.replace("Interface=wg0", "Interface=wg1")
    world.up(second, "second")
    world.silent(w.udp(w.ROUTER, 9), w.outer(w.OTHER))
    world.down("second")
    fetches(world)
    world.silent(w.udp(w.ROUTER, 9), w.outer(w.OTHER))
    world.up(second, "second")
    world.down("wg0")
    world.silent(w.udp(w.ROUTER, 9), w.outer(w.OTHER))


def test_ipv6_only_tunnel(world):
    world.serve()
    tunnel = Tunnel(world, endpoint=w.VPN6)
    fetches(world, w.WEB6, w.TUNNEL_CLIENT6)
    world.up(f"[Tunnel]\nInterface=wg0\nEndpoint=[{w.VPN6}]:{w.VPN_PORT}\n")
    mark = world.sniffer.mark()
    fetches(world, w.WEB6, w.TUNNEL_CLIENT6)
    tunnel.kill()
    dead_and_silent(world)
    tunnel.start()
    fetches(world, w.WEB6, w.TUNNEL_CLIENT6)
    world.quiet_since(mark)


def test_gateway(world):
    """The client routes for a LAN: by the tunnel while it lives, not at all when it is dead."""
    tunnel = served(world)
    lan = world.lan()
    fetches(world, client=w.LAN_HOST, agent=lan)
    tunnel.kill()
    world.leaks(STRANGER, agent=lan)
    tunnel.start()
    world.up(REAL + "[Allow]\nInside=lan0\n")
    fetches(world, client=w.LAN_HOST, agent=lan)
    tunnel.kill()
    dead_and_silent(world, agent=lan)
    dead_and_silent(world)
    tunnel.start()
    fetches(world, client=w.LAN_HOST, agent=lan)


def test_tcp_through_the_tunnel_survives_up(world):
    served(world)
    told = world.agent.call(senders.tcp_open, "old", w.OTHER, 7)
    if told != "sent":
        raise Failure(f"no connection through the tunnel: {told}")
    for round_ in range(3):
        world.up(REAL)
        text = b"round %d" % round_
        world.agent.call(senders.tcp_send, "old", text)
        if world.agent.call(senders.tcp_receive, "old", 64) != text:
            raise Failure(f"the connection did not survive up number {round_ + 1}")


def test_policy_from_a_wireguard_configuration(world):
    tunnel = served(world)
    world.must(world.tunfence("up", "wg0"))
    fetches(world)
    tunnel.kill()
    dead_and_silent(world)
    tunnel.start()
    fetches(world)


def test_policy_from_a_live_interface(world):
    tunnel = served(world, listen_port=41820)
    os.unlink(os.path.join(world.wireguard_dir, "wg0.conf"))
    world.must(world.tunfence("up", "wg0"))
    fetches(world)
    tunnel.kill()
    dead_and_silent(world)
    tunnel.start()
    fetches(world)


def test_policy_that_names_the_wireguard_configuration(world):
    tunnel = served(world)
    world.up("[Tunnel]\nInterface=wg0\nWireGuardConfig=wg0.conf\n")
    fetches(world)
    tunnel.kill()
    dead_and_silent(world)
    tunnel.start()
    fetches(world)
