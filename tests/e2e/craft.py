# SPDX-License-Identifier: GPL-2.0
"""Frames that no ordinary socket makes, built with scapy and sent by AF_PACKET.

Every address is given: scapy never looks at this machine's routes or neighbours.
"""

import logging
import struct

logging.getLogger("scapy").setLevel(logging.ERROR)

from scapy.layers.inet import IP, UDP, IPOption_LSRR  # noqa: E402
from scapy.layers.inet6 import (ICMPv6MLDMultAddrRec, ICMPv6MLReport2,  # noqa: E402
                                ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6NDOptSrcLLAddr, IPv6,
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, RouterAlert)
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402

import senders  # noqa: E402
import world as w  # noqa: E402

LINK_LOCAL = "fe80::77:ff:fe00:7702"


def ether(layers, dst=w.ROUTER_MAC, **fields):
    return bytes(Ether(src=w.CLIENT_MAC, dst=dst, **fields) / layers)


def sent(text, build, device="eth0", protocol=0, match=None):
    """A shot that sends the frame which build(token) returns."""
    return w.Shot(text, senders.frame, device, build, protocol, match=match)


def ip4(token, dst=w.OTHER, **fields):
    return IP(src=w.CLIENT, dst=dst, **fields) / UDP(sport=4000, dport=9) / Raw(token)


def ip6(token, dst=w.WEB6, **fields):
    return IPv6(src=w.CLIENT6, dst=dst, **fields) / UDP(sport=4000, dport=9) / Raw(token)


def outer4(token):
    """The tunnel's own outer packet as IPv4."""
    return (IP(src=w.CLIENT, dst=w.VPN) / UDP(sport=4000, dport=w.VPN_PORT) /
            Raw(senders.handshake(token)))


def loose_route(address):
    """The IPv4 option by which a packet asks to go by way of address."""
    return IPOption_LSRR(routers=[address])


def later_fragment4(token, dst=w.VPN, ident=0x7171):
    return IP(src=w.CLIENT, dst=dst, proto=17, id=ident, frag=100) / Raw(token * 4)


def later_fragment6(token, dst=w.VPN6):
    return (IPv6(src=w.CLIENT6, dst=dst) / IPv6ExtHdrFragment(offset=100, id=0x7171, nh=17) /
            Raw(token * 4))


def solicitation(token, dst="ff02::1:ff00:99", hops=255, target=None):
    """A neighbour solicitation whose target carries the token."""
    text = ":".join(f"{n:x}" for n in struct.unpack("!4H", token[:8]))
    layers = (IPv6(src=LINK_LOCAL, dst=dst, hlim=hops) /
              ICMPv6ND_NS(tgt=target or f"2001:db8:77:0:{text}"))
    return ether(layers, dst="33:33:ff:00:00:99")


def router_solicitation(token, hops=255):
    """The token is the sender's link-layer address, as the option tells it."""
    return ether(IPv6(src=LINK_LOCAL, dst="ff02::2", hlim=hops) / ICMPv6ND_RS() /
                 ICMPv6NDOptSrcLLAddr(lladdr=token[:6].hex(":")), dst="33:33:00:00:00:02")


def router_advertisement(token):
    reachable, retransmit = struct.unpack("!II", token[:8])
    return ether(IPv6(src=LINK_LOCAL, dst="ff02::1", hlim=255) /
                 ICMPv6ND_RA(reachabletime=reachable, retranstimer=retransmit),
                 dst="33:33:00:00:00:01")


def listener_report(token, alert=True, hops=1):
    """An MLDv2 report; without the router alert option it is none. The token is in the group."""
    head = IPv6(src=LINK_LOCAL, dst="ff02::16", hlim=hops)
    if alert:
        head = head / IPv6ExtHdrHopByHop(options=[RouterAlert()])
    text = ":".join(f"{n:x}" for n in struct.unpack("!3H", token[:6]))
    return ether(head / ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(dst=f"ff02::1:{text}")]),
                 dst="33:33:00:00:00:16")


def discover(token, source="0.0.0.0", target="255.255.255.255", sport=68):
    """A DHCPDISCOVER as a client without an address sends it, by AF_PACKET."""
    return ether(IP(src=source, dst=target) / UDP(sport=sport, dport=67) / Raw(bootp(token)),
                 dst="ff:ff:ff:ff:ff:ff")


def bootp(token):
    head = struct.pack("!BBBBIHHIIII", 1, 1, 6, 0, 0x77, 0, 0, 0, 0, 0, 0)
    return (head + bytes.fromhex(w.CLIENT_MAC.replace(":", "")).ljust(16, b"\0") +
            token.ljust(64, b"\0") + bytes(128) + b"\x63\x82\x53\x63\x35\x01\x01\xff")


def solicit6(token):
    """A DHCPv6 Solicit with a client identifier that carries the token."""
    return b"\x01\x00\x00\x77" + struct.pack("!HH", 1, len(token)) + token


def tagged(tags, layers):
    """Behind VLAN tags: "q" for 802.1Q, "ad" for 802.1ad."""
    kinds = {"q": Dot1Q, "ad": Dot1AD}
    frame = Ether(src=w.CLIENT_MAC, dst=w.ROUTER_MAC)
    for tag in tags:
        frame = frame / kinds[tag](vlan=77)
    return bytes(frame / layers)


def patched(data, at, value):
    """data with its bytes at the offset replaced."""
    return data[:at] + value + data[at + len(value):]
