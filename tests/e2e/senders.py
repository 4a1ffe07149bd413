# SPDX-License-Identifier: GPL-2.0
"""What the machine under test does: the functions that agents run.

Each returns "sent", or the name of the error that the kernel gave the sender. Sockets that must
outlive one call are kept here by name, in the agent's own process.
"""

import errno
import functools
import mmap
import os
import signal
import socket
import struct

import sandbox

kept = {}

SO_MARK = 36
SO_BINDTODEVICE = 25
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
TCP_INFO = 11


def outcome(function):
    """Sent, or the error's name: being refused is an answer, not a failure of the sender."""
    @functools.wraps(function)
    def wrapped(*args, **options):
        try:
            function(*args, **options)
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))
        return "sent"
    return wrapped


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def handshake(token):
    """A WireGuard handshake initiation in shape: type 1, 148 bytes."""
    return b"\x01\x00\x00\x00" + token.ljust(144, b"\x5a")


def _udp_socket(address, sport, mark, device):
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if mark:
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
    if device:
        sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, device.encode() + b"\0")
    if sport:
        sock.bind(("", sport))
    return sock


@outcome
def udp(address, port, payload, sport=0, mark=0, device=None):
    with _udp_socket(address, sport, mark, device) as sock:
        if address.startswith(("fe80:", "ff02:")):
            sock.sendto(payload, (address, port, 0, socket.if_nametoindex(device)))
        else:
            sock.sendto(payload, (address, port))


@outcome
def tcp(address, port, sport=0):
    """Begins a connection: one SYN, and no retransmission, as the socket is closed at once."""
    with socket.socket(family_of(address), socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sport:
            sock.bind(("", sport))
        sock.setblocking(False)
        try:
            sock.connect((address, port))
        except BlockingIOError:
            pass


def _icmp_echo(address, payload):
    kind = 128 if ":" in address else 8
    head = struct.pack("!BBHHH", kind, 0, 0, 0x7F, 1)
    return head[:2] + struct.pack("!H", _checksum(head + payload)) + head[4:] + payload


def _checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


@outcome
def ping(address, payload, kind=socket.SOCK_DGRAM):
    """An echo request, by an unprivileged ping socket or a raw one."""
    protocol = socket.IPPROTO_ICMPV6 if ":" in address else socket.IPPROTO_ICMP
    with socket.socket(family_of(address), kind, protocol) as sock:
        sock.sendto(_icmp_echo(address, payload), (address, 0))


@outcome
def raw(address, protocol, payload):
    """An IP protocol of the caller's choice, the header made by the kernel."""
    with socket.socket(family_of(address), socket.SOCK_RAW, protocol) as sock:
        sock.sendto(payload, (address, 0))


@outcome
def raw_packet(packet, address):
    """A whole IPv4 packet, header included."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.sendto(packet, (address, 0))


@outcome
def frame(device, data, protocol=0):
    """A whole frame by AF_PACKET; protocol is what the sender claims that it is."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.sendto(data, (device, protocol))


@outcome
def virtio_frame(device, data, virtio, protocol=0):
    """A frame by AF_PACKET with a virtio header, which asks for a checksum or for segmentation:
    virtio is (flags, gso type, header bytes, segment bytes, checksum start, checksum offset)."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
        sock.sendto(struct.pack("<BBHHHH", *virtio) + data, (device, protocol))


def ring_that_changes(device, frame_bytes, offset, other, rounds):
    """Sends a frame again and again from an AF_PACKET ring, which the kernel does not copy, while
    another process keeps turning the bytes at offset into other and back."""
    slots, size, header = 32, 2048, 32  # header: tpacket2_hdr, linux/if_packet.h
    own = frame_bytes[offset:offset + len(other)]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.setsockopt(263, 10, 1)  # PACKET_VERSION, TPACKET_V2
        sock.setsockopt(263, 13, struct.pack("IIII", slots * size, 1, size, slots))  # TX_RING
        sock.bind((device, 0x0003))
        ring = mmap.mmap(sock.fileno(), slots * size)
        for slot in range(slots):
            start = slot * size + header
            ring[start:start + len(frame_bytes)] = frame_bytes
        places = [slice(s * size + header + offset, s * size + header + offset + len(other))
                  for s in range(slots)]
        changer = os.fork()
        if changer == 0:
            while True:
                for place in places:
                    ring[place] = other
                for place in places:
                    ring[place] = own
        try:
            for _ in range(rounds):
                _send_ring(sock, ring, slots, size, len(frame_bytes))
        finally:
            os.kill(changer, signal.SIGKILL)
            os.waitpid(changer, 0)
    return "sent"


def _send_ring(sock, ring, slots, size, length):
    for slot in range(slots):
        ring[slot * size:slot * size + 8] = struct.pack("II", 1, length)  # SEND_REQUEST
    for _ in range(4 * slots):
        try:
            sock.send(b"")
        except OSError:
            pass  # refused: the frame that was refused is done with
        if not any(ring[slot * size] for slot in range(slots)):
            return


@outcome
def cooked(device, data, protocol, hardware):
    """A packet by AF_PACKET, the link header made by the kernel."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sock:
        sock.sendto(data, (device, protocol, 0, 0, hardware))


def frame_on_each_cpu(device, frames):
    """One frame from each processor: each is queued behind all that it has sent before."""
    allowed = os.sched_getaffinity(0)
    for cpu, data in zip(sorted(allowed), frames):
        os.sched_setaffinity(0, {cpu})
        answer = frame(device, data)
        if answer != "sent":
            return answer
    os.sched_setaffinity(0, allowed)
    return "sent"


@outcome
def tcp_open(name, address, port):
    kept[name] = socket.create_connection((address, port), timeout=5)


@outcome
def tcp_send(name, data):
    kept[name].sendall(data)


def tcp_exchange(name, data):
    """Sends, and waits for an echo of it, some hundred times a second until the agent's next
    request comes; the agent's progress counter says how often one came."""
    sock = kept[name]
    sock.settimeout(0.05)
    while not sandbox.request_waiting(0.002):
        try:
            sock.send(data)
            if sock.recv(65536):
                sandbox.progress()
        except OSError:
            pass


def tcp_receive(name, count, seconds=5):
    kept[name].settimeout(seconds)
    try:
        return kept[name].recv(count)
    except OSError as error:
        return type(error).__name__


def tcp_retries(name):
    """How often the kernel has tried again: retransmissions, and probes if it could not even send
    the segment once."""
    info = kept[name].getsockopt(socket.IPPROTO_TCP, TCP_INFO, 8)
    return info[2] + info[3] + info[4]


def port_of(name):
    """A kept socket's own port."""
    return kept[name].getsockname()[1]


@outcome
def listen(name, address, port, kind=socket.SOCK_STREAM):
    sock = socket.socket(family_of(address), kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    if kind == socket.SOCK_STREAM:
        sock.listen(16)
    kept[name] = sock


def listen_to_many(name, port, group, group6, device):
    """UDP, by both protocols, to whatever is sent to that port, and to those groups; as others may,
    too."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("::", port))
    number = struct.pack("=i", socket.if_nametoindex(device))
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                    socket.inet_pton(socket.AF_INET6, group6) + number)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                    socket.inet_aton(group) + bytes(4) + number)
    kept[name] = sock


@outcome
def join_group(group, device):
    """Makes the kernel send an IGMP report."""
    kept["group"] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    request = socket.inet_aton(group) + bytes(4) + struct.pack("=i", socket.if_nametoindex(device))
    kept["group"].setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)


def close(name):
    kept.pop(name).close()


def echo_datagram(name):
    """Waits for one datagram and answers it; what became of the answer."""
    kept[name].settimeout(5)
    data, peer = kept[name].recvfrom(2048)
    try:
        kept[name].sendto(data, peer)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "sent"


def mark_of_new(family, kind):
    """What a socket is marked with that nobody has marked."""
    protocol = socket.IPPROTO_RAW if kind == socket.SOCK_RAW else 0
    with socket.socket(family, kind, protocol) as sock:
        return sock.getsockopt(socket.SOL_SOCKET, SO_MARK)


def fetch(address, seconds=5.0):
    """The web page at address, or the name of the error."""
    try:
        with socket.create_connection((address, 80), timeout=seconds) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while part := sock.recv(4096):
                answer += part
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)
    return answer.decode()


def blast(packets, frames, device):
    """Sends UDP datagrams and AF_PACKET frames in turn until the agent's next request comes.

    packets: [(address, port, payload)]. The agent's progress counter says how many rounds were
    done. Returns how many sends were tried and how many the kernel took.
    """
    sockets = [(_udp_socket(a, 0, 0, None), (a, p), data) for a, p, data in packets]
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    link.bind((device, 0))
    shots = [functools.partial(sock.sendto, data, target) for sock, target, data in sockets]
    shots += [functools.partial(link.send, data) for data in frames]
    tried = sent = 0
    while not sandbox.request_waiting():
        for _ in range(16):
            for shot in shots:
                tried += 1
                try:
                    shot()
                    sent += 1
                except OSError:
                    pass
            sandbox.progress()
    return tried, sent


def nothing():
    """Ends a blast: a request that only has to arrive."""
