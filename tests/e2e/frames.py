# SPDX-License-Identifier: GPL-2.0
"""What a frame on the wire is, and whether a silent machine may have sent it.

This is the judge's own reading of a frame, written without a look at tunfence's parser. It knows
nothing of fences: only which frames a link needs to exist, and what WireGuard looks like from
outside.
"""

import ipaddress
import struct
from dataclasses import dataclass

ARP, EAPOL, IP4, IP6 = 0x0806, 0x888E, 0x0800, 0x86DD
VLAN_TAGS = (0x8100, 0x88A8)
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
PROTOCOL_NAMES = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMP6: "icmp6", 2: "igmp"}

LINK_LOCAL6 = ipaddress.ip_network("fe80::/10")
LINK_SCOPE6 = ipaddress.ip_network("ff02::/16")
UNSPECIFIED6 = ipaddress.ip_address("::")


@dataclass
class Frame:
    """One frame. Fields that its bytes do not have are None or empty."""
    raw: bytes
    ethertype: int = 0
    tags: int = 0
    src: object = None
    dst: object = None
    protocol: int = None
    hops: int = 0
    sport: int = None
    dport: int = None
    ident: int = None       # of a fragment
    later: bool = False     # a later fragment: no ports
    options: bytes = b""    # IPv6 hop-by-hop header
    payload: bytes = b""    # behind the UDP, TCP or ICMP header's fixed part; else behind IP's
    udp_length: int = 0     # of the payload, as the UDP header says

    def __str__(self):
        tag = "vlan " * self.tags
        if self.protocol is None:
            return f"{tag}ethertype {self.ethertype:#06x}, {len(self.raw)} bytes"
        name = PROTOCOL_NAMES.get(self.protocol, f"protocol {self.protocol}")
        if self.later:
            return f"{tag}{name} {self.src} > {self.dst}, a later fragment"
        if self.sport is None:
            kind = f" type {self.payload[0]}" if name.startswith("icmp") and self.payload else ""
            return f"{tag}{name}{kind} {self.src} > {self.dst}"
        return f"{tag}{name} {self.src}.{self.sport} > {self.dst}.{self.dport}"


def parse(raw, ethernet=True):
    """Never fails: what cannot be read stays unread, and is then nothing a silent machine sends."""
    frame = Frame(raw)
    try:
        _parse_link(frame, ethernet)
    except (struct.error, IndexError, ValueError):
        pass
    return frame


def _parse_link(frame, ethernet):
    if not ethernet:
        version = frame.raw[0] >> 4
        frame.ethertype = {4: IP4, 6: IP6}.get(version, 0)
        at = 0
    else:
        frame.ethertype, at = struct.unpack_from("!H", frame.raw, 12)[0], 14
        while frame.ethertype in VLAN_TAGS:
            frame.ethertype, = struct.unpack_from("!H", frame.raw, at + 2)
            frame.tags += 1
            at += 4
    if frame.ethertype == IP4:
        _parse_ip4(frame, frame.raw[at:])
    elif frame.ethertype == IP6:
        _parse_ip6(frame, frame.raw[at:])
    else:
        frame.payload = frame.raw[at:]


def _parse_ip4(frame, data):
    header = (data[0] & 15) * 4
    length, ident, fragment = struct.unpack_from("!HHH", data, 2)
    frame.hops, frame.protocol = data[8], data[9]
    frame.src, frame.dst = ipaddress.ip_address(data[12:16]), ipaddress.ip_address(data[16:20])
    if fragment & 0x3FFF:
        frame.ident = ident
    frame.later = bool(fragment & 0x1FFF)
    _parse_transport(frame, data[header:length])


def _parse_ip6(frame, data):
    length, frame.protocol, frame.hops = struct.unpack_from("!HBB", data, 4)
    frame.src, frame.dst = ipaddress.ip_address(data[8:24]), ipaddress.ip_address(data[24:40])
    data = data[40:40 + length]
    if frame.protocol == 0:
        size = (data[1] + 1) * 8
        frame.protocol, frame.options, data = data[0], data[:size], data[size:]
    if frame.protocol == 44:
        frame.protocol, _, offset, frame.ident = struct.unpack_from("!BBHI", data)
        frame.later, data = bool(offset >> 3), data[8:]
    _parse_transport(frame, data)


def _parse_transport(frame, data):
    frame.payload = data
    if frame.later or frame.protocol not in (TCP, UDP):
        return
    frame.sport, frame.dport = struct.unpack_from("!HH", data)
    if frame.protocol == UDP:
        frame.udp_length = struct.unpack_from("!H", data, 4)[0] - 8
        frame.payload = data[8:]
    else:
        frame.payload = data[(data[12] >> 4) * 4:]


def is_arp(frame):
    """An Ethernet/IPv4 request or reply and not a byte more than padding."""
    return (frame.ethertype == ARP and
            frame.payload[:6] == b"\x00\x01\x08\x00\x06\x04" and
            frame.payload[6:8] in (b"\x00\x01", b"\x00\x02") and
            not frame.payload[28:].strip(b"\x00"))


def is_neighbour(frame):
    """RFC 4861: solicitations and neighbour advertisements, hop limit 255, this link only."""
    return (frame.protocol == ICMP6 and frame.ident is None and not frame.options and
            frame.hops == 255 and frame.payload[:2] in (b"\x85\x00", b"\x87\x00", b"\x88\x00") and
            (frame.dst in LINK_LOCAL6 or frame.dst in LINK_SCOPE6))


def is_mld(frame):
    """RFC 2710 and 3810: reports and done, hop limit 1, router alert, from a link-local address."""
    return (frame.protocol == ICMP6 and frame.ident is None and frame.hops == 1 and
            b"\x05\x02\x00\x00" in frame.options and frame.payload[:1] in (b"\x83", b"\x84",
                                                                         b"\x8f") and
            (frame.src in LINK_LOCAL6 or frame.src == UNSPECIFIED6) and frame.dst in LINK_SCOPE6)


def is_dhcp(frame):
    """A client's message to every server of the link."""
    if frame.protocol != UDP or frame.ident is not None:
        return False
    if frame.ethertype == IP4:
        return (frame.sport, frame.dport, str(frame.dst)) == (68, 67, "255.255.255.255")
    return ((frame.sport, frame.dport, str(frame.dst)) == (546, 547, "ff02::1:2") and
            frame.src in LINK_LOCAL6)


def is_plumbing(frame):
    return (not frame.tags and
            (is_arp(frame) or is_neighbour(frame) or is_mld(frame) or is_dhcp(frame)))


def is_wireguard(frame):
    """UDP that has a WireGuard message's type, zeros and length. Data is padded to 16 bytes, but
    not beyond the tunnel's MTU: its length says little."""
    if frame.protocol != UDP or frame.later:
        return False
    lengths = {1: 148, 2: 92, 3: 64}
    kind, zeros, size = frame.payload[:1], frame.payload[1:4], frame.udp_length
    if not kind or zeros != b"\x00\x00\x00":
        return False
    return size >= 32 if kind == b"\x04" else lengths.get(kind[0]) == size


class Judge:
    """Which frames should not be there. endpoints: (address, port) of the VPN servers."""

    def __init__(self, endpoints):
        self.endpoints = {(ipaddress.ip_address(a), p) for a, p in endpoints}
        self.datagrams = set()  # whose first fragment was the tunnel's own

    def is_outer(self, frame):
        key = (frame.src, frame.dst, frame.protocol, frame.ident)
        if frame.later:
            return key in self.datagrams
        if not is_wireguard(frame) or (frame.dst, frame.dport) not in self.endpoints:
            return False
        if frame.ident is not None:
            self.datagrams.add(key)
        return True

    def leaks(self, frames):
        return [f for f in frames if not is_plumbing(f) and not self.is_outer(f)]
