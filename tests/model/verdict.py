# SPDX-License-Identifier: GPL-2.0
"""A second opinion on each packet, from tunfence-verdict(7) and tunfence.conf(5) alone: what they
say, in their order, and nothing that only the program's code says. Where the two differ, one of
them is wrong, or the page is."""

# One line of the page is one return here, so there are many.
# pylint: disable=too-many-return-statements,too-many-branches

from world import FOUR, ICMP, ICMP6, TCP, UDP, is_four

SOCKET, WIRE, NAMESPACE, INGRESS = 0, 1, 2, 3
UNKNOWN, KERNEL, INET, RAW, PACKET, FOREIGN, WRAPPED, ELSEWHERE = range(8)  # senders
THIS_HOST, OTHER_HOST, MANY_HOSTS = range(3)
NO_QUESTION, OWN, OTHER, OVER, FAR = range(5)
ASKS_FROM = 40000
WHOLE, FIRST, LATER = range(3)  # fragments
TRUE = 0xffffffff  # of an offset: where it is

NAME_PORTS = {53, 137, 853, 5353, 5355}
BROADCAST = 0xffffffff | FOUR
FF02, FE80 = 0xff02, 0xfe80 >> 6
DHCP6_AGENTS = 0xff02 << 112 | 0x10002
MESSAGES = {1: 148, 2: 92, 3: 64}
PASSES = {"out_of_scope", "loopback", "tunnel", "inside", "arp", "eapol", "endpoint", "fragment",
          "neighbour", "dhcp", "bootstrap", "exempt", "destination", "lan", "inbound", "icmp_error"}
TAGS = {0x8100, 0x88a8, 0x9100}
FOLLOWED = {0, 43, 44, 51, 60}
NOT_FOLLOWED = {135, 139, 140, 253, 254}


class Shot:
    """A packet, and what its hook knows of it."""
    __slots__ = ("plane", "device", "sender", "outside", "exempt", "foreign", "shared", "tagged",
                 "question", "host", "mark", "bulk", "forwarded", "checksum", "checksum_at",
                 "network", "transport", "ethertype", "frame")

    @property
    def from_kernel_stack(self):
        """An IP socket's, whose headers this kernel wrote."""
        return self.sender in (INET, FOREIGN, WRAPPED)


class Packet:
    """What the headers say. Fields that were not reached have no meaning."""
    __slots__ = ("reason", "l3", "l4", "source", "target", "sport", "dport", "protocol", "shared",
                 "fragment", "ident", "hops", "extended", "hop_by_hop", "bytes", "body", "flags",
                 "kind", "code")

    def __init__(self):
        self.reason = None
        self.l3 = 0
        self.l4 = None
        self.sport = self.dport = 0
        self.fragment = WHOLE
        self.extended = self.hop_by_hop = False
        self.flags = self.kind = self.code = 0
        self.body = b""


def word(frame, at):
    return frame[at] << 8 | frame[at + 1]


# ---- the frame -----------------------------------------------------------------------------------

def read(frame, link, bulk):
    """The packet; its reason is None if it is IP and could be followed."""
    p = Packet()
    p.reason = read_frame(p, frame, link, bulk)
    return p


def read_frame(p, frame, link, bulk):
    size = len(frame)
    if link == 0:
        return "link_type"
    if link == 1:
        if size < 14:
            return "short"
        kind, p.l3 = word(frame, 12), 14
        for _ in range(2):
            if kind not in TAGS:
                break
            if size < p.l3 + 4:
                return "short"
            kind = word(frame, p.l3 + 2)
            p.l3 += 4
    else:
        kind = 0x86dd if size and frame[0] >> 4 == 6 else 0x0800
    left = size - p.l3
    if left < 1:
        return "short"
    if kind == 0x0806:
        return read_arp(frame[p.l3:], left)
    if kind == 0x888e:
        return read_eapol(frame[p.l3:], left, p.l3 != 14)
    if kind == 0x0800:
        return read_four(p, frame, left, bulk) if frame[p.l3] >> 4 == 4 else "bad_version"
    if kind == 0x86dd:
        return read_six(p, frame, left, bulk) if frame[p.l3] >> 4 == 6 else "bad_version"
    return "ethertype"


def has_trailer(size, left):
    return left > size and left > 50


def read_arp(arp, left):
    if left < 28:
        return "short"
    if arp[:6] != b"\0\1\x08\0\6\4" or word(arp, 6) not in (1, 2):
        return "bad_header"
    return "trailer" if has_trailer(28, left) else "arp"


def read_eapol(eapol, left, tagged):
    if left < 4 or left < 4 + word(eapol, 2):
        return "short"
    if tagged or not 1 <= eapol[0] <= 3 or eapol[1] > 8:
        return "bad_header"
    return "trailer" if has_trailer(4 + word(eapol, 2), left) else "eapol"


def read_four(p, frame, left, bulk):
    ip = frame[p.l3:p.l3 + 60]
    if left < 20:
        return "short"
    header, size = (ip[0] & 15) * 4, word(ip, 2)
    if size == 0 and bulk:
        size = left
    if header < 20 or size < header:
        return "bad_header"
    if size > left:
        return "short"
    if has_trailer(size, left):
        return "trailer"
    wrong = read_options(ip, header)
    if wrong:
        return wrong
    part = word(ip, 6) & 0x3fff
    offset = part & 0x1fff
    p.protocol = p.shared = ip[9]
    if p.protocol == TCP and offset == 1:
        return "bad_fragment"
    p.source = int.from_bytes(ip[12:16], "big") | FOUR
    p.target = int.from_bytes(ip[16:20], "big") | FOUR
    p.hops = ip[8]
    p.ident = word(ip, 4)
    p.extended = header > 20
    p.fragment = LATER if offset else FIRST if part else WHOLE
    p.l4 = p.l3 + header
    return read_transport(p, frame, p.l3 + size)


def read_options(ip, header):
    at = 20
    for _ in range(10):
        if at >= header or ip[at] == 0:
            return None
        if ip[at] == 1:
            at += 1
            continue
        if ip[at] in (131, 137):
            return "source_route"
        if at + 2 > header or ip[at + 1] < 2 or at + ip[at + 1] > header:
            return "bad_header"
        at += ip[at + 1]
    return "bad_header" if at < header else None


def read_six(p, frame, left, bulk):
    ip = frame[p.l3:]
    if left < 40:
        return "short"
    size = 40 + word(ip, 4)
    if size == 40 and bulk:
        size = left
    if size > left:
        return "short"
    if has_trailer(size, left):
        return "trailer"
    p.source = int.from_bytes(ip[8:24], "big")
    p.target = int.from_bytes(ip[24:40], "big")
    if is_four(p.source) or is_four(p.target):
        return "bad_header"
    p.hops = ip[7]
    p.protocol, at = ip[6], 40
    wrong, at = follow(p, ip, size, at)
    if wrong:
        return wrong
    p.l4 = p.l3 + at
    return read_transport(p, frame, p.l3 + size)


def follow(p, ip, size, at):
    """Along the extension headers. The reason it failed for, and where the transport header is."""
    count, fragments = 0, 0
    while p.protocol in FOLLOWED:
        kind = p.protocol
        count += 1
        if count == 9:
            return "ext_chain", at
        if kind == 43:
            return "source_route", at
        if p.fragment == FIRST:
            return "bad_fragment", at
        if kind == 0 and count > 1:
            return "ext_chain", at
        if at + 8 > size:
            return "short", at
        p.extended = True
        p.hop_by_hop = p.hop_by_hop or kind == 0
        p.protocol = ip[at]
        if kind == 44:
            fragments += 1
            if fragments == 2:
                return "ext_chain", at
            offset, more = word(ip, at + 2) >> 3, ip[at + 3] & 1
            if p.protocol == TCP and offset == 1:
                return "bad_fragment", at
            p.shared = p.protocol
            p.ident = int.from_bytes(ip[at + 4:at + 8], "big")
            if offset:
                p.fragment = LATER
                return None, at + 8
            p.fragment = FIRST if more else WHOLE
            at += 8
        elif kind == 51:
            at += 8 + 4 * ip[at + 1]
        else:
            at += 8 + 8 * ip[at + 1]
    if p.protocol in NOT_FOLLOWED:
        return "ext_chain", at
    return ("short" if at > size else None), at


def read_transport(p, frame, end):
    if p.fragment == LATER:
        return None
    l4 = frame[p.l4:end]
    size = len(l4)
    short = "bad_fragment" if p.fragment == FIRST else "short"
    p.bytes = size
    if p.protocol == UDP:
        if size < 8:
            return short
        said = word(l4, 4)
        if said < 8 or (said <= size if p.fragment == FIRST else said != size):
            return "bad_header"
        p.bytes = said
        p.body = l4[8:]
    elif p.protocol == TCP:
        if size < 20:
            return short
        if not 20 <= (l4[12] >> 4) * 4 <= size:
            return "bad_header"
        p.flags = l4[13]
    elif p.protocol in (ICMP, ICMP6):
        if size < 8:
            return short
        p.kind, p.code = l4[0], l4[1]
        p.body = l4
        return None
    else:
        return None
    p.sport, p.dport = word(l4, 0), word(l4, 2)
    return None


# ---- what is told of a packet --------------------------------------------------------------------

def is_opening(p):
    """A TCP segment with SYN and without ACK."""
    return p.protocol == TCP and p.flags & 0x12 == 2


def is_link_local(a):
    return a >> 118 == FE80


def is_multicast(a):
    return (a >> 28) & 15 == 14 if is_four(a) else a >> 120 == 0xff


def is_message(p, bulk):
    """One of WireGuard's."""
    if p.protocol != UDP or len(p.body) < 4 or p.body[1:4] != b"\0\0\0":
        return False
    kind = p.body[0]
    if bulk:
        return kind == 4 and bulk >= 32
    size = p.bytes - 8
    return size >= 32 if kind == 4 else MESSAGES.get(kind) == size


def is_listener(p, frame):
    """What all multicast listener messages have in common, but for the source."""
    alert = frame[p.l3 + 40:p.l3 + 48]
    return (p.hops == 1 and p.hop_by_hop and p.l4 == p.l3 + 48 and p.target >> 120 == 0xff
            and alert[2:6] == b"\5\2\0\0")


def is_neighbour_leaving(policy, p, frame):
    if p.protocol != ICMP6 or p.code or p.fragment or is_four(p.target):
        return False
    if p.kind == 133:
        return p.hops == 255 and not p.extended and p.target >> 112 == FF02 and p.bytes <= 24
    if p.kind in (135, 136):
        return (p.hops == 255 and not p.extended and 24 <= p.bytes <= 56
                and (is_link_local(p.target) or p.target >> 112 == FF02
                     or p.target in policy.hosts))
    if p.kind in (131, 132, 143):
        fits = p.bytes <= 328 if p.kind == 143 else p.bytes == 24
        return fits and is_listener(p, frame) and (is_link_local(p.source) or p.source == 0)
    return False


def is_neighbour_arriving(p, frame):
    if p.protocol != ICMP6 or p.code or p.fragment or is_four(p.target):
        return False
    if p.kind == 130:
        return p.bytes >= 24 and is_listener(p, frame) and is_link_local(p.source)
    if p.hops != 255 or p.extended:
        return False
    if p.kind == 134:
        return is_link_local(p.source) and p.bytes >= 16
    return p.kind in (135, 136) and p.bytes >= 24


def is_dhcp4(p, operation):
    return (not p.extended and len(p.body) >= 240 and p.body[0] == operation
            and p.body[236:240] == b"\x63\x82\x53\x63")


def is_dhcp_client(p):
    if p.protocol != UDP or p.fragment:
        return False
    if (p.sport, p.dport) == (68, 67):
        return p.target == BROADCAST and is_dhcp4(p, 1)
    return ((p.sport, p.dport) == (546, 547) and is_link_local(p.source)
            and p.target == DHCP6_AGENTS and len(p.body) >= 4
            and p.body[0] in (1, 3, 4, 5, 6, 8, 9, 11))


def is_dhcp_server(p, other_address):
    if p.protocol != UDP or p.fragment:
        return False
    if (p.sport, p.dport) == (67, 68):
        return (is_four(p.target) and is_dhcp4(p, 2)
                and (not other_address
                     or int.from_bytes(p.body[16:20], "big") | FOUR == p.target))
    return ((p.sport, p.dport) == (547, 546) and is_link_local(p.source)
            and is_link_local(p.target) and not other_address and len(p.body) >= 4
            and p.body[0] in (2, 7, 10))


def is_dns(p, first):
    return p.protocol == UDP and not p.fragment and len(p.body) >= 4 and p.body[2] & 0xf8 == first


# ---- what leaves ---------------------------------------------------------------------------------

def is_outer(policy, shot, p):
    if shot.forwarded or p.protocol not in (TCP, UDP):
        return False
    for tunnel in policy.tunnels_at.get((p.target, p.dport, p.protocol), ()):
        if tunnel.in_kernel:
            may = shot.plane != SOCKET and shot.sender in (INET, RAW, WRAPPED, KERNEL)
        else:
            may = shot.sender == INET
        if (may and tunnel.port in (0, p.sport) and tunnel.mark in (0, shot.mark)
                and tunnel.uplink in (None, shot.device.name)
                and (not tunnel.wireguard or is_message(p, shot.bulk))):
            return True
    return False


def is_rewritten(shot, p):
    frame, size = shot.frame, len(shot.frame)
    if p.reason:
        return bool(shot.checksum or shot.bulk)
    if size > 384 and p.l4 > 368:
        return True
    if shot.bulk:
        kind = word(frame, 12) if p.l3 else 0x86dd if frame[0] >> 4 == 6 else 0x0800
        if (shot.network not in (TRUE, p.l3) or shot.transport not in (TRUE, p.l4)
                or shot.ethertype not in (TRUE, kind)):
            return True
    if not shot.checksum:
        return False
    if p.fragment == LATER or shot.checksum_at >= size:
        return True
    field = {TCP: 16, UDP: 6, ICMP6: 2}.get(p.protocol)
    return (shot.checksum_at < p.l4 + 16
            and (field is None or shot.checksum_at != p.l4 + field))


def is_foreign_arp(shot, p):
    arp = shot.frame[p.l3:]
    told = int.from_bytes(arp[14:18], "big")
    return (p.l3 == 14 and told and arp[8:14] == b"\2\0\0\0\0\1"
            and told | FOUR not in shot.device.own and not shot.device.port and not shot.tagged)


def is_exempt_sender(policy, shot):
    return (policy.exempt and shot.exempt and not shot.forwarded
            and shot.sender in (INET, RAW, PACKET))


def is_question(policy, shot, p):
    return (policy.resolver == (p.target, p.dport) and is_dns(p, 0) and not shot.bulk
            and not shot.forwarded and shot.sender == INET and shot.question == OWN
            and p.sport == ASKS_FROM)


def is_served(policy, shot, p):
    return ((p.protocol, p.sport) in policy.inbound and not shot.forwarded and not is_opening(p)
            and (shot.sender == INET or (shot.sender == KERNEL and p.protocol == TCP)))


def device_leaving(policy, shot):
    """The first lines, which do not look at the packet."""
    name = shot.device.name
    if policy.cgroup and shot.plane != SOCKET and shot.outside:
        return "out_of_scope"
    if name == "lo":
        return "loopback"
    if shot.foreign:
        return "out_of_scope" if not policy.cgroup and shot.plane == SOCKET else None
    if policy.kinds.get(name) == "tun":  # as all devices here are
        return "tunnel"
    return "inside" if policy.is_inside(name) else None


def fragment_key(shot, p):
    return (p.source, p.target, p.ident, p.shared, shot.device.name, shot.foreign, shot.plane)


def leaves(policy, shot, memory):
    reason = device_leaving(policy, shot)
    if reason:
        return reason
    if shot.shared:
        return "rewritten"
    if shot.bulk and shot.sender in (UNKNOWN, RAW, PACKET):
        return "rewritten"
    link = 2 if shot.plane in (SOCKET, NAMESPACE) else shot.device.link
    p = read(shot.frame, link, shot.bulk)
    if shot.plane != SOCKET and not shot.from_kernel_stack and is_rewritten(shot, p):
        return "rewritten"
    if p.reason:
        return "foreign_arp" if p.reason == "arp" and is_foreign_arp(shot, p) else p.reason
    reason = packet_leaving(policy, shot, p, memory)
    if p.fragment == FIRST and reason in PASSES:
        memory.add((fragment_key(shot, p), reason == "exempt"))
    return reason


def packet_leaving(policy, shot, p, memory):
    if p.fragment == LATER:
        key = fragment_key(shot, p)
        known = (key, False) in memory or (
            (key, True) in memory and is_exempt_sender(policy, shot))
        return "fragment" if known else "stray_fragment"
    if is_outer(policy, shot, p):
        return "endpoint"
    if not shot.forwarded and is_neighbour_leaving(policy, p, shot.frame):
        return "neighbour"
    if policy.dhcp and not shot.forwarded and is_dhcp_client(p):
        return "dhcp"
    if is_question(policy, shot, p):
        return "bootstrap"
    exempt = is_exempt_sender(policy, shot)
    if p.dport in NAME_PORTS and not (exempt and policy.exempt_names):
        return "name_lookup"
    if exempt:
        return "exempt"
    if policy.is_destination(p.target, p.protocol, p.dport, shot.device.name):
        return "destination"
    if policy.is_lan(p.target):
        return "lan"
    if is_served(policy, shot, p):
        return "inbound"
    return "not_allowed"


# ---- what arrives --------------------------------------------------------------------------------

def is_other_address(shot, p):
    if p.target in shot.device.own:
        return False
    many = is_multicast(p.target) or p.target == BROADCAST or p.target in shot.device.broadcast
    if many and p.protocol != TCP:
        return False
    if shot.tagged or shot.host == OTHER_HOST:
        return False
    return shot.host == MANY_HOSTS or not shot.device.port


def is_outer_arriving(policy, shot, p, quoted):
    if p.protocol not in (TCP, UDP) or (not quoted and is_opening(p)):
        return False
    for tunnel in policy.tunnels_at.get((p.source, p.sport, p.protocol), ()):
        if (tunnel.port in (0, p.dport) and tunnel.uplink in (None, shot.device.name)
                and (quoted or not tunnel.wireguard or is_message(p, shot.bulk))):
            return True
    return False


def is_exempt_receiver(policy, shot, p):
    return (policy.exempt and shot.exempt and not shot.foreign and p.protocol in (TCP, UDP)
            and not is_multicast(p.target) and p.target != BROADCAST
            and p.target not in shot.device.broadcast)


def is_answer(p):
    if p.protocol == ICMP:
        return p.kind in (0, 14)
    if p.protocol == ICMP6:
        return p.kind == 129
    return not is_opening(p)


def is_error(p):
    if p.fragment:
        return False
    if is_four(p.target):
        return p.protocol == ICMP and p.kind in (3, 11, 12)
    return p.protocol == ICMP6 and 1 <= p.kind <= 4


def quoted_by(p):
    """The answer to the packet that an error quotes, or None."""
    quote, four = p.body[8:], is_four(p.target)
    q = Packet()
    header = 20 if four else 40
    if len(quote) < header + 8:
        return None
    if four:
        if quote[0] != 0x45 or word(quote, 6) & 0x1fff:
            return None
        sender, q.protocol = int.from_bytes(quote[12:16], "big") | FOUR, quote[9]
        q.source = int.from_bytes(quote[16:20], "big") | FOUR
    else:
        if quote[0] >> 4 != 6 or quote[6] in FOLLOWED:
            return None
        sender, q.protocol = int.from_bytes(quote[8:24], "big"), quote[6]
        q.source = int.from_bytes(quote[24:40], "big")
    q.target = p.target
    if q.protocol in (TCP, UDP):
        q.sport, q.dport = word(quote, header + 2), word(quote, header)
    return q if sender == p.target else None


def error_arriving(policy, shot, p):
    q = quoted_by(p)
    if not q:
        return "unasked"
    if is_outer_arriving(policy, shot, q, True) or (q.protocol, q.dport) in policy.inbound:
        return "icmp_error"
    exempt = is_exempt_receiver(policy, shot, q)
    if (q.sport in NAME_PORTS or q.dport in NAME_PORTS) and not (exempt and policy.exempt_names):
        return "name_lookup"
    if (exempt or policy.is_destination(q.source, q.protocol, q.sport, shot.device.name)
            or policy.is_lan(q.source)):
        return "icmp_error"
    return "unasked"


def arrives(policy, shot, memory):
    name = shot.device.name
    if not policy.ingress:
        return "out_of_scope"
    if name == "lo":
        return "loopback"
    if not shot.foreign and policy.kinds.get(name) == "tun":
        return "tunnel"
    if not shot.foreign and policy.is_inside(name):
        return "inside"
    if shot.shared:
        return "rewritten"
    p = read(shot.frame, shot.device.link, shot.bulk)
    if len(shot.frame) > 384 and p.l4 is not None and p.l4 > 136:
        return "rewritten"
    if p.reason:
        return p.reason
    reason = packet_arriving(policy, shot, p, memory)
    if p.fragment == FIRST and reason in PASSES:
        memory.add((fragment_key(shot, p), False))
    return reason


def packet_arriving(policy, shot, p, memory):
    icmp = ICMP if is_four(p.target) else ICMP6
    if (p.fragment != LATER and p.protocol == icmp
            and p.kind == (5 if icmp == ICMP else 137)):
        return "redirect"
    other_address = is_other_address(shot, p)
    if policy.dhcp and is_dhcp_server(p, other_address):
        return "dhcp"
    if other_address:
        return "other_address"
    if p.fragment == LATER:
        return "fragment" if (fragment_key(shot, p), False) in memory else "stray_fragment"
    if is_error(p):
        return error_arriving(policy, shot, p)
    if is_outer_arriving(policy, shot, p, False):
        return "endpoint"
    if is_neighbour_arriving(p, shot.frame):
        return "neighbour"
    if (p.protocol, p.dport) in policy.inbound:
        return "inbound"
    if (policy.resolver == (p.source, p.sport) and is_dns(p, 0x80) and p.dport == ASKS_FROM
            and shot.question in (OWN, OTHER)):
        return "bootstrap"
    exempt = is_exempt_receiver(policy, shot, p)
    if (p.sport in NAME_PORTS or p.dport in NAME_PORTS) and not (exempt and policy.exempt_names):
        return "name_lookup"
    if exempt:
        return "exempt"
    if (policy.is_destination(p.source, p.protocol, p.sport, shot.device.name)
            and is_answer(p)):
        return "destination"
    return "lan" if policy.is_lan(p.source) else "unasked"


def judge(policy, shot, memory):
    """(whether it passes, the reason)"""
    reason = (arrives if shot.plane == INGRESS else leaves)(policy, shot, memory)
    return policy.observe or reason in PASSES, reason
