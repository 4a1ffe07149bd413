# SPDX-License-Identifier: GPL-2.0
"""What arrives on an uplink, by real packets: for the tunnel's address, and ICMP that steers.

Each is shown to work on the client without the fence. With it, absence is proved by order: a packet
that must come in follows on the same wire.
"""

import socket
import subprocess

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether

import frames
import senders
import world as w
from sandbox import Failure, until

STRANGE_GATEWAY = "192.168.77.9"
PORT = 4000
OPEN = w.BASIC + f"[Allow]\nLAN=yes\nInboundUDP={PORT}\n"


def received(name):
    """The datagrams that have arrived at a socket made by senders.listen."""
    found = []
    senders.kept[name].setblocking(False)
    while True:
        try:
            found.append(senders.kept[name].recv(2048))
        except BlockingIOError:
            return found


def to_client(layers, dst=w.CLIENT_MAC):
    return bytes(Ether(src=w.ROUTER_MAC, dst=dst) / layers)


class Stranger:
    """Who sits on the client's wire, and what the client makes of what it sends."""

    def __init__(self, world):
        self.world = world
        self.agent = world.new_agent(world.router)
        world.agent.call(senders.listen, "in", "0.0.0.0", PORT, socket.SOCK_DGRAM)

    def send(self, layers, **options):
        told = self.agent.call(senders.frame, "client", to_client(layers, **options))
        if told != "sent":
            raise Failure(f"the stranger was told {told}")

    def datagram(self, address, **options):
        """Whether a datagram for address comes in; one for the client's own comes after it."""
        for dst, text in ((address, b"to it"), (w.CLIENT, b"to the client")):
            self.send(IP(src=w.ROUTER, dst=dst) / UDP(sport=9, dport=PORT) / text,
                      **(options if dst == address else {}))
        seen = []

        def look():
            seen.extend(self.world.agent.call(received, "in"))
            return b"to the client" in seen
        until(look, 5, "the datagram to the client's own address")
        return b"to it" in seen

    def answers_for(self, address):
        """Whether ARP is answered for address; a question for the client's own comes after it."""
        mark = self.world.sniffer.mark()

        def tells(wanted):
            return lambda f: (frames.is_arp(f) and f.payload[6:8] == b"\0\2" and
                              f.payload[14:18] == socket.inet_aton(wanted))
        for target in (address, w.CLIENT):
            self.send(ARP(hwsrc=w.ROUTER_MAC, psrc=w.ROUTER, pdst=target),
                      dst="ff:ff:ff:ff:ff:ff")
        self.world.sniffer.wait(tells(w.CLIENT), mark, "the answer for the client's own address")
        return any(map(tells(address), self.world.sniffer.since(mark)))

    def complain(self, dst, dport, **icmp):
        """An ICMP error about what the client might have sent."""
        quoted = bytes(IP(src=w.CLIENT, dst=dst) / UDP(sport=PORT, dport=dport) / bytes(100))
        self.send(IP(src=w.ROUTER, dst=w.CLIENT) / ICMP(**icmp) / quoted[:28])

    def steers(self, *complaints):
        """Sends them, then one that must come in. The client's routes to where the first was."""
        for dst, dport, icmp in complaints:
            self.complain(dst, dport, **icmp)
        self.complain(w.VPN, w.VPN_PORT, type=3, code=4, nexthopmtu=1280)
        until(lambda: "mtu 1280" in self.route(w.VPN), 5, "the path MTU to the endpoint")
        return self.route(complaints[0][0])

    def route(self, dst):
        with self.world.client:
            return subprocess.run(["ip", "route", "get", dst], check=True, text=True,
                                  capture_output=True).stdout

    def forget(self):
        self.world.ip(self.world.client, "route flush cache")


def must(wanted, found, what):
    if found != wanted:
        raise Failure(f"{what}: {found}")


def test_datagram_for_the_tunnels_address(world):
    """CVE-2019-14899: not by the uplink, whatever the LAN and the open port would allow."""
    stranger = Stranger(world)
    world.tun()
    many = "01:80:c2:00:00:0e"
    must(True, stranger.datagram(w.TUNNEL_CLIENT), "came in without a fence")
    must(True, stranger.datagram(w.TUNNEL_CLIENT, dst=many), "multicast without a fence")
    world.up(OPEN)
    must(False, stranger.datagram(w.TUNNEL_CLIENT), "came in")
    must(False, stranger.datagram(w.TUNNEL_CLIENT, dst=many), "came in by a multicast frame")
    must(True, stranger.datagram(w.CLIENT), "the client's own address")


def test_bridged_uplink(world):
    """The bridge has the address; its port lets by what is for it, and nothing past it."""
    stranger = Stranger(world)
    world.tun()
    world.ip(world.client, "link add br0 type bridge", f"link set br0 address {w.CLIENT_MAC} up",
             "link set eth0 master br0", f"addr del {w.CLIENT}/24 dev eth0",
             f"addr add {w.CLIENT}/24 dev br0")
    many = "01:80:c2:00:00:0e"
    until(lambda: stranger.datagram(w.TUNNEL_CLIENT), 5, "a datagram through the bridge")
    must(True, stranger.datagram(w.TUNNEL_CLIENT, dst=many), "left to the port without a fence")
    world.up(OPEN)
    must(True, stranger.datagram(w.CLIENT), "the bridge's own address")
    must(False, stranger.datagram(w.TUNNEL_CLIENT), "came in through the bridge")
    must(False, stranger.datagram(w.TUNNEL_CLIENT, dst=many), "came in past the bridge")


def test_arp_for_the_tunnels_address(world):
    """Linux answers on any wire for any address it has; a fence tells its wire's own alone."""
    stranger = Stranger(world)
    world.tun()
    must(True, stranger.answers_for(w.TUNNEL_CLIENT), "answered without a fence")
    world.up(OPEN)
    must(False, stranger.answers_for(w.TUNNEL_CLIENT), "answered")


def test_path_mtu(world):
    """What the path says of the endpoint is heard; of other packets it is not."""
    stranger = Stranger(world)
    other = (w.OTHER, 9, {"type": 3, "code": 4, "nexthopmtu": 1280})
    must(True, "mtu 1280" in stranger.steers(other), "heard without a fence")
    stranger.forget()
    world.up(w.BASIC)
    must(False, "mtu 1280" in stranger.steers(other), "heard")


def test_redirect(world):
    """No neighbour chooses the client's route, though the LAN is allowed."""
    stranger = Stranger(world)
    world.ip(world.client, f"neigh add {STRANGE_GATEWAY} lladdr {w.ROUTER_MAC} dev eth0 "
                           "nud permanent")
    redirect = (w.OTHER, 9, {"type": 5, "code": 1, "gw": STRANGE_GATEWAY})
    must(True, STRANGE_GATEWAY in stranger.steers(redirect), "taken without a fence")
    stranger.forget()
    world.up(OPEN)
    must(False, STRANGE_GATEWAY in stranger.steers(redirect), "taken")


def test_counted(world):
    """Status says what was dropped on the way in, and explain says the same of it."""
    stranger = Stranger(world)
    world.tun()
    world.up(OPEN)
    stranger.datagram(w.TUNNEL_CLIENT)
    told = world.must(world.tunfence("status", "wg0", "--verbose")).out
    if "other_address" not in told.replace(" ", "_") and "address of another" not in told:
        raise Failure(f"status: {told}")
    for words, reason in (((f"{w.ROUTER}:9", "to", f":{PORT}"), "inbound"),
                          ((w.OTHER, "to", f":{PORT + 1}"), "unasked"),
                          ((w.ROUTER, "to", f"{w.TUNNEL_CLIENT}:{PORT}"), "other_address")):
        told = world.must(world.tunfence("explain", "in", "udp", *words, "dev", "eth0")).out
        if f" {reason}:" not in told or "ingress" not in told:
            raise Failure(f"explain: {told}")
