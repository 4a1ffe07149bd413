# SPDX-License-Identifier: GPL-2.0
"""Random configurations, each of which 'tunfence check' accepts, around the addresses, ports and
interfaces that the vectors' packets have."""

import ipaddress

HOSTS = ["203.0.113.7", "203.0.113.8", "[2001:db8:51::7]", "198.51.100.4", "203.0.113.53",
         "vpn.example.net", "192.168.1.9", "[fe80::1]"]
PORTS = [51820, 443, 1194, 53, 853, 4000, 40000, 22]
ADDRESSES = ["192.0.2.123", "192.0.2.99", "198.51.100.200", "9.9.9.9", "203.0.113.7", "10.1.1.1",
             "192.168.1.1", "2001:db8:1::5", "2001:db8:2::1", "2606:4700::1111", "2001:db8:51::7",
             "fe80::1", "ff02::1", "224.0.0.251"]
UPLINKS = ["eth0", "eth1", "raw0", "port0"]
PATTERNS = ["lan0", "br-*", "lan*", "odd*"]
PRIVATE = ["192.168.4.0/22", "10.0.0.0/8", "fd00:1234::/32", "fe80::/10", "169.254.0.0/16",
           "192.168.1.1/32"]


def some(random, things, most):
    return random.sample(things, random.randint(0, most))


def span(random):
    first = random.choice(PORTS + [123, 8000, 9999, 5000])
    return f"{first}-{first + random.randint(1, 100)}" if random.random() < 0.3 else str(first)


def tunnel(random, name):
    anything = random.random() < 0.4
    lines = ["[Tunnel]", f"Interface={name}", f"Kind={random.choice(['tun', 'tun', 'wireguard'])}"]
    found = set()
    for _ in range(random.randint(1, 4)):
        protocol = random.choice(["tcp", "udp"]) if anything else "udp"
        found.add(f"Endpoint={protocol} {random.choice(HOSTS)}:{random.choice(PORTS)}")
    lines += sorted(found)
    if anything:
        lines.append("Protocol=any")
    if random.random() < 0.3:
        lines.append(f"ListenPort={random.choice([51820, 40000, 1111])}")
    if random.random() < 0.2:
        lines.append(f"FwMark={random.choice(['2', '0xca6c'])}")
    if random.random() < 0.2:
        lines.append(f"Uplink={random.choice(UPLINKS)}")
    return lines


def prefix(random):
    a = ipaddress.ip_address(random.choice(ADDRESSES))
    bits = random.choice([a.max_prefixlen, a.max_prefixlen, random.randint(8, a.max_prefixlen)])
    return str(ipaddress.ip_network(f"{a}/{bits}", strict=False))


def destination(random):
    """Refused are rules for name ports alone, and those for everything."""
    kind = random.choice(["udp", "tcp", "icmp", "any"])
    uplink = f" uplink {random.choice(UPLINKS)}" if random.random() < 0.25 else ""
    port = span(random)
    if kind not in ("udp", "tcp") or port in ("53", "853") or random.random() < 0.4:
        return f"Destination={kind} {prefix(random)}{uplink}"
    where = "::/0" if random.random() < 0.2 else prefix(random)
    return f"Destination={kind} {where} port {port}{uplink}"


def ports(random):
    """No port twice."""
    found, taken = [], set()
    for text in (span(random) for _ in range(random.randint(0, 3))):
        first, _, last = text.partition("-")
        these = set(range(int(first), int(last or first) + 1))
        if not these & taken:
            found.append(text)
        taken |= these
    return found


def allow(random, cgroup):
    lines = [f"DHCP={random.choice(['yes', 'no'])}"]
    lines.append("LAN=" + random.choice(["no", "yes", " ".join(some(random, PRIVATE, 3)) or "no"]))
    if not cgroup and random.random() < 0.1:
        lines.append("Inbound=accept")
    lines += [f"{key}={value}" for key in ("InboundTCP", "InboundUDP") for value in ports(random)]
    inside = some(random, PATTERNS, 2)
    if inside:
        lines.append("Inside=" + " ".join(inside))
    rules = {destination(random) for _ in range(random.choice([0, 1, 3, 8]))}
    return lines + sorted(rule.replace("=any ", random.choice(["=any ", "="])) for rule in rules)


def configuration(random):
    cgroup = random.random() < 0.2
    lines = ["[Fence]"]
    if cgroup:
        lines.append("Cgroup=fenced")
    elif random.random() < 0.3:
        lines.append("BootstrapDNS=" + random.choice(["9.9.9.9", "[2606:4700::1111]:5399"]))
    if random.random() < 0.1:
        lines.append("Mode=observe")
    for name in random.sample(["wg0", "wg1", "wg2", "raw0"], random.randint(1, 3)):
        lines += [line for line in tunnel(random, name) if line != f"Uplink={name}"]
    lines += ["[Allow]", *allow(random, cgroup)]
    if random.random() < 0.35:
        lines += ["[Exempt]", f"DNS={random.choice(['tunnel', 'uplink'])}"]
    return "\n".join(lines) + "\n"
