# SPDX-License-Identifier: GPL-2.0
"""Frames that are allowed when they are judged and would be others on the wire.

What was tried against the wire plane, by a sender with CAP_NET_RAW and nothing else: a checksum that
is yet to be written, over a destination address; segmentation by headers other than the frame's own;
a ring whose memory the sender goes on writing to. Each of these got frames out once.
"""

import array
import fcntl
import ipaddress
import socket
import struct

import craft
import frames
import senders
import world as w
from craft import IP, IPv6, Raw, ether
from sandbox import Failure

from scapy.layers.inet import TCP

NEEDS_CSUM = 1
GSO_TCP4 = 1
ETHERNET = 14
DESTINATION6 = ETHERNET + 24
GLOBAL = ipaddress.ip_address("2001:db8:51::80")
DISGUISED = "ff02:db8:51::80"  # the same but for two bytes, and a neighbour's


def finish_checksums_here(world, device="eth0"):
    """As on hardware without checksum offload: the kernel writes them behind the wire plane."""
    with world.client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        value = array.array("I", [0x17, 0])  # ETHTOOL_STXCSUM
        request = struct.pack("16sP", device.encode(), value.buffer_info()[0])
        fcntl.ioctl(sock, 0x8946, request)   # SIOCETHTOOL


def ones_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def forged(frame, at, wanted, start=20):
    """The frame with its last two bytes such that the checksum from start on, written at at, is
    wanted."""
    data = bytearray(frame)
    data[-2:] = b"\0\0"
    filler = ((wanted ^ 0xFFFF) - ones_sum(bytes(data[start:]))) % 0xFFFF
    data[-2:] = struct.pack("!H", filler)
    return bytes(data)


def solicitation(token):
    """A neighbour solicitation with a nonce option of 32 bytes."""
    layers = IPv6(src=w.CLIENT6, dst=DISGUISED, hlim=255) / craft.ICMPv6ND_NS(tgt="fe80::1")
    return ether(layers / Raw(b"\x0e\x04" + token.ljust(28, b"\x5a") + b"\0\0"))


def to_global(frame):
    return frame.dst == GLOBAL


def test_checksum_over_the_destination(world):
    finish_checksums_here(world)
    shot = w.Shot("a solicitation whose checksum goes to its destination address",
                  senders.virtio_frame, "eth0",
                  lambda t: forged(solicitation(t), DESTINATION6, 0x2001),
                  (NEEDS_CSUM, 0, 0, 0, 20, DESTINATION6 - 20), match=to_global)
    world.leaks(shot)
    world.up()
    world.silent(shot, told="ENOBUFS")


def test_checksum_where_it_belongs(world):
    """Asked for by a frame that is allowed: it is written, and the frame passes."""
    finish_checksums_here(world)
    world.up(w.BASIC + f"[Allow]\nDestination=udp {w.OTHER} port 9\n")
    shot = w.Shot("a datagram whose checksum goes to its place", senders.virtio_frame, "eth0",
                  lambda t: ether(craft.ip4(t)), (NEEDS_CSUM, 0, 0, 0, ETHERNET + 20, 6))
    world.passes(shot)


def test_segmentation_by_af_packet(world):
    """The sender names the protocol by which the kernel finds the headers that it changes."""
    def build(token):
        segments = TCP(sport=4000, dport=9, flags="A") / Raw(token + bytes(4000))
        return ether(IP(src=w.CLIENT, dst=w.OTHER) / segments)
    shot = w.Shot("a frame to be segmented", senders.virtio_frame, "eth0", build,
                  (NEEDS_CSUM, GSO_TCP4, 54, 1000, ETHERNET + 20, 16), frames.IP4)
    world.leaks(shot)
    world.up(w.BASIC + f"[Allow]\nDestination={w.OTHER}\n")
    world.passes(craft.sent("the same destination, not segmented", lambda t: ether(craft.ip4(t))))
    mark = world.sniffer.mark()
    answer, match = shot.fire(world.agent)
    world.settle()
    if answer != "ENOBUFS" or any(match(f) for f in world.sniffer.since(mark)):
        raise Failure(f"a frame to be segmented was let out ({answer})")


def test_ring_that_is_written_to(world):
    frame = solicitation(b"in a ring")
    wanted = GLOBAL.packed[:2]
    shot = w.Shot("a ring that changes between a solicitation and a global destination",
                  senders.ring_that_changes, "eth0", frame, DESTINATION6, wanted, 400,
                  match=to_global)
    world.leaks(shot)
    world.up()
    world.silent(shot)
