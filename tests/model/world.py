# SPDX-License-Identifier: GPL-2.0
"""What the model must know besides the packet: a configuration, read as tunfence.conf(5) says, and
the devices. Knows nothing of the program's code."""

import ipaddress

FOUR = 0xffff << 32  # an IPv4 address is kept as ::ffff:a.b.c.d
RANGES = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fe80::/10", "fc00::/7"]
RESOLVED = ["198.51.100.99", "2001:db8:99::1"]  # what every name is, here
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58


def address(text):
    """As a number."""
    a = ipaddress.ip_address(text)
    return int(a) | FOUR if a.version == 4 else int(a)


def is_four(number):
    return number >> 32 == 0xffff


class Prefix:
    def __init__(self, text):
        net = ipaddress.ip_network(text, strict=False)
        self.four = net.version == 4
        bits = net.prefixlen + 96 if self.four else net.prefixlen
        self.mask = ((1 << 128) - 1) ^ ((1 << 128 - bits) - 1)
        self.value = int(net.network_address) | (FOUR if self.four else 0)

    def has(self, number):
        return number & self.mask == self.value and is_four(number) == self.four


class Device:
    """One interface: name, link (0: cannot be read, 1: Ethernet, 2: none), whether it is a port of
    a bridge, its addresses and the broadcast addresses of its subnets."""

    def __init__(self, words):
        self.name = words[0]
        facts = [word.split("=", 1) for word in words[1:]]
        self.link = int(dict(facts)["link"])
        self.port = dict(facts)["port"] == "1"
        self.own = {address(value) for key, value in facts if key == "own"}
        self.broadcast = {address(value) for key, value in facts if key == "broadcast"}


class Tunnel:
    def __init__(self, section):
        one = dict(section)
        self.name = one["Interface"]
        self.kind = one["Kind"]
        self.in_kernel = self.kind == "wireguard"
        self.wireguard = one.get("Protocol", "wireguard") == "wireguard"
        self.port = int(one.get("ListenPort", 0))
        self.mark = int(one.get("FwMark", "0"), 0)
        self.uplink = one.get("Uplink")
        self.endpoints = {e for key, value in section if key == "Endpoint" for e in endpoints(value)}


def endpoints(text):
    """[udp|tcp] HOST:PORT -> (address, port, protocol) of each address."""
    words = text.split()
    protocol = TCP if words[0] == "tcp" else UDP
    host, _, port = words[-1].rpartition(":")
    host = host.strip("[]")
    try:
        hosts = [address(host)]
    except ValueError:
        hosts = [address(a) for a in RESOLVED]
    return [(a, int(port), protocol) for a in hosts]


class Rule:
    """[udp|tcp|icmp|any] PREFIX [port N|N-M] [uplink NAME]"""

    def __init__(self, text):
        words = text.split()
        kind = words.pop(0) if words[0] in ("udp", "tcp", "icmp", "any") else "any"
        self.prefix = Prefix(words.pop(0))
        rest = dict(zip(words[::2], words[1::2]))
        self.protocol = {"udp": UDP, "tcp": TCP, "any": None,
                         "icmp": ICMP if self.prefix.four else ICMP6}[kind]
        self.first, self.last = span(rest.get("port", "0-65535"))
        self.uplink = rest.get("uplink")

    def has(self, other, protocol, port, device):
        return (self.prefix.has(other) and self.protocol in (None, protocol)
                and self.first <= port <= self.last and self.uplink in (None, device))


def span(text):
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def ports(lines):
    found = set()
    for word in " ".join(lines).split():
        first, last = span(word)
        found.update(range(first, last + 1))
    return found


class Policy:
    def __init__(self, name, text):
        self.name = name
        sections = sections_of(text)
        fence = dict(sections.get("Fence", [[]])[0])
        allow = sections.get("Allow", [[]])[0]
        one = dict(allow)
        self.cgroup = fence.get("Scope") == "cgroup" or "Cgroup" in fence or "Unit" in fence
        self.observe = fence.get("Mode") == "observe"
        self.resolver = None
        if "BootstrapDNS" in fence:
            text = fence["BootstrapDNS"]
            single = text.count(":") > 1 and "]" not in text or ":" not in text
            host, _, port = (text, "", "53") if single else text.rpartition(":")
            self.resolver = (address(host.strip("[]")), int(port))
        self.tunnels = [Tunnel(section) for section in sections["Tunnel"]]
        self.kinds = {t.name: t.kind for t in self.tunnels}
        self.tunnels_at = {}
        for tunnel in self.tunnels:
            for endpoint in tunnel.endpoints:
                self.tunnels_at.setdefault(endpoint, []).append(tunnel)
        self.hosts = {a for a, _, _ in self.tunnels_at if not is_four(a)}
        self.dhcp = one.get("DHCP", "yes") == "yes"
        self.ingress = not self.cgroup and one.get("Inbound", "drop") == "drop"
        self.inbound = ({(TCP, p) for p in ports(v for k, v in allow if k == "InboundTCP")}
                        | {(UDP, p) for p in ports(v for k, v in allow if k == "InboundUDP")})
        self.patterns = [w for k, v in allow if k == "Inside" for w in v.split()]
        lan = one.get("LAN", "no")
        words = {"no": [], "yes": RANGES}.get(lan, lan.split())
        self.lan = [Prefix(word) for word in words]
        self.rules = [Rule(value) for key, value in allow if key == "Destination"]
        self.exempt = "Exempt" in sections
        self.exempt_names = self.exempt and dict(sections["Exempt"][0]).get("DNS") == "uplink"

    def is_inside(self, name):
        return any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in self.patterns)

    def is_destination(self, other, protocol, port, device):
        return any(rule.has(other, protocol, port, device) for rule in self.rules)

    def is_lan(self, other):
        return any(prefix.has(other) for prefix in self.lan)


def sections_of(text):
    """Name -> its sections, each a list of (key, value) in their order."""
    found = {}
    for line in text.split("\n"):
        line = " ".join(line.split("#")[0].split(";")[0].split())
        if line.startswith("["):
            found.setdefault(line.strip("[]"), []).append([])
            section = found[line.strip("[]")][-1]
        elif line:
            key, _, value = line.partition("=")
            section.append((key.strip(), value.strip()))
    return found
