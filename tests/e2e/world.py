# SPDX-License-Identifier: GPL-2.0
"""
The world of one test.

     client                       router                          server: the internet
    ,-----------------------.    ,---------------------------.    ,--------------------------------.
    | agents, in a cgroup   |    |                           |    | eth0  203.0.113.7, .8   VPN    |
    | wg0 (wireguard-go,    |    |         forwards          |    |       2001:db8:113::7          |
    |   tun or none)        |    |                           |    | lo    198.51.100.80, .53, .9   |
    | eth0 192.168.77.2 ----+----+- client 192.168.77.1      |    |       2001:db8:51::80, ::53    |
    |      2001:db8:77::2   | ^  |         fe80::1           |    |                                |
    | lan0 192.168.88.1 --. | |  |  server 203.0.113.1   ----+----+- eth0        vpn0 10.66.0.1    |
    `---------------------|-' |  `---------------------------'    `--------------------------------'
        lan: 192.168.88.2 '   the judge: a sniffer on the router's side of this wire

The agents' cgroup stands for the whole machine (--cgroup). A test sends a packet that must pass
and sees it on the wire, then the one that must not. Absence is proved by order, not by time: after
the forbidden packet an ARP request with a random target leaves from every processor, and when all
have reached the judge, whatever was sent before them would have too.
"""

import dataclasses
import os
import secrets
import socket
import struct
import subprocess
from collections import namedtuple

import frames
import sandbox
import senders
import servers
from sandbox import Agent, Failure, Namespace, until

CLIENT, CLIENT6 = "192.168.77.2", "2001:db8:77::2"
ROUTER, ROUTER6 = "192.168.77.1", "2001:db8:77::1"
VPN, VPN_ROAMED, VPN6 = "203.0.113.7", "203.0.113.8", "2001:db8:113::7"
VPN_PORT = 51820
WEB, WEB6 = "198.51.100.80", "2001:db8:51::80"
RESOLVER, RESOLVER6 = "198.51.100.53", "2001:db8:51::53"
OTHER = "198.51.100.9"
TUNNEL_SERVER, TUNNEL_CLIENT = "10.66.0.1", "10.66.0.2"
TUNNEL_SERVER6, TUNNEL_CLIENT6 = "fd66::1", "fd66::2"
LAN_HOST = "192.168.88.2"

CLIENT_MAC, ROUTER_MAC = "02:00:00:00:77:02", "02:00:00:00:77:01"

# A fence around a tunnel that need not exist. Of kind tun, so that a test's ordinary UDP socket can
# stand for its outer packets: where the kernel has WireGuard of its own, no socket could.
BASIC = f"""
[Tunnel]
Interface=wg0
Kind=tun
Endpoint=udp {VPN}:{VPN_PORT}
Endpoint=udp [{VPN6}]:{VPN_PORT}
"""

Result = namedtuple("Result", "code out err")


@dataclasses.dataclass
class Settings:
    """What the runner gives to every world."""
    directory: str   # a tmpfs of ours
    cgroup: sandbox.Cgroup
    tool: str        # path of the tunfence under test
    replaces: int    # how often to replace a fence under load


def pins(directory):
    """Every path below a bpffs, but for the two files that the kernel puts into each and the
    directories that all fences share."""
    found = {os.path.relpath(os.path.join(where, name), directory)
             for where, below, files in os.walk(directory) for name in below + files}
    return sorted(found - {"maps.debug", "progs.debug", "tunfence", "tunfence-held"})


class Sniffer:
    """Every frame that arrives at a device, in order. Read when asked: the kernel keeps them."""

    AUXDATA, STATISTICS, IGNORE_OUTGOING = 8, 6, 23
    VLAN_VALID, TPID_VALID = 1 << 4, 1 << 6

    def __init__(self, namespace, device, outgoing=False, ethernet=True):
        self.frames = []
        self.ethernet = ethernet
        self.outgoing = outgoing
        self.lost = 0
        with namespace:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, 33, 128 << 20)  # SO_RCVBUFFORCE
            self.socket.setsockopt(263, self.AUXDATA, 1)              # SOL_PACKET
            self.socket.setsockopt(263, self.IGNORE_OUTGOING, 0 if outgoing else 1)
            self.socket.bind((device, 0x0003))                        # ETH_P_ALL
        self.socket.setblocking(False)

    def drain(self):
        """Takes what has arrived; a VLAN tag that the kernel took off is put back."""
        while True:
            try:
                data, ancillary, _, address = self.socket.recvmsg(65600, 256)
            except (BlockingIOError, OSError):
                break
            if self.outgoing and address[2] != socket.PACKET_OUTGOING:
                continue
            for _, kind, aux in ancillary:
                if kind == self.AUXDATA:
                    data = self._with_tag(data, aux)
            self.frames.append(frames.parse(data, self.ethernet))
        self.lost += struct.unpack("II", self.socket.getsockopt(263, self.STATISTICS, 8))[1]
        return self.frames

    def _with_tag(self, data, aux):
        status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", aux)
        if not status & self.VLAN_VALID:
            return data
        tpid = tpid if status & self.TPID_VALID else 0x8100
        return data[:12] + struct.pack("!HH", tpid, tci) + data[12:]

    def mark(self):
        return len(self.drain())

    def since(self, mark):
        self.drain()
        if self.lost:
            raise Failure(f"the judge lost {self.lost} frames: no verdict is possible")
        return self.frames[mark:]

    def wait(self, match, mark, what, seconds=5.0):
        def look():
            return next((f for f in self.since(mark) if match(f)), None)

        def seen():
            return look() or (sandbox.readable(self.socket, 0.05) and look())
        try:
            return until(seen, seconds, what)
        except Failure as failure:
            raise Failure(f"{failure}; on the wire: {describe(self.since(mark))}") from None

    def close(self):
        self.socket.close()


def describe(seen, limit=8):
    text = [str(f) for f in seen[:limit]] + ["..."] * (len(seen) > limit)
    return "; ".join(text) if text else "nothing"


class Shot:
    """One packet that can be sent again and again and recognised on the wire each time."""

    def __init__(self, text, function, *args, match=None, **options):
        self.text, self.function, self.args, self.options = text, function, args, options
        self._match = match

    def fire(self, agent):
        """Sends it. Returns what the sender was told, and how to recognise this very packet."""
        token = secrets.token_bytes(16)
        args = [a(token) if callable(a) else a for a in self.args]
        answer = agent.call(self.function, *args, **self.options)
        return answer, self._match or (lambda frame: token[:6] in frame.raw)

    def __str__(self):
        return self.text


def same(token):
    return token


def udp(address, port, payload=same, **options):
    return Shot(f"udp {address}:{port}", senders.udp, address, port, payload, **options)


def outer(address=VPN, port=VPN_PORT, **options):
    """What the tunnel itself sends: UDP in the shape of a handshake."""
    return udp(address, port, senders.handshake, **options)


def tcp(address, port, **options):
    def match(frame):
        return (frame.protocol, str(frame.dst), frame.dport) == (frames.TCP, address, port)
    return Shot(f"tcp {address}:{port}", senders.tcp, address, port, match=match, **options)


def ping(address, **options):
    return Shot(f"ping {address}", senders.ping, address, same, **options)


def ethernet(kind, payload, dst=ROUTER_MAC, src=CLIENT_MAC):
    """A frame; kind and further tags are two-byte fields in front of the payload."""
    def mac(text):
        return bytes.fromhex(text.replace(":", ""))
    return mac(dst) + mac(src) + kind.to_bytes(2, "big") + payload


def arp_probe(target):
    """Has anyone target (four bytes)? From the client, who claims no address (RFC 5227): a fence
    lets that out on a device without any."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    body += bytes.fromhex(CLIENT_MAC.replace(":", "")) + bytes(4)
    return ethernet(frames.ARP, body + bytes(6) + target, dst="ff:ff:ff:ff:ff:ff")


class World:
    def __init__(self, name, settings):
        self.settings = settings
        self.log, self.built = [], False
        self.directory = os.path.join(settings.directory, name)
        self.bpffs = os.path.join(self.directory, "bpf")
        self.run_dir = os.path.join(self.directory, "run")
        self.state_dir = os.path.join(self.directory, "state")
        self.config_dir = os.path.join(self.directory, "etc")
        self.wireguard_dir = os.path.join(self.directory, "wireguard")
        for directory in (self.bpffs, self.config_dir, self.wireguard_dir):
            os.makedirs(directory)
        sandbox.mount("bpf", self.bpffs, "bpf")
        self.cgroup = settings.cgroup.child(name)
        self.namespaces, self.agents, self.sniffers, self.processes = [], [], [], []
        self.devices = []
        self.client, self.router, self.server = (self.namespace() for _ in range(3))
        self._build()
        self.agent = self.new_agent(self.client, self.cgroup)
        self.outside = self.new_agent(self.client)
        self.sniffer = self.sniff(self.router, "client")
        self.judge = frames.Judge([(VPN, VPN_PORT), (VPN6, VPN_PORT)])
        self.built = True

    # Building

    def namespace(self):
        namespace = Namespace()
        self.namespaces.append(namespace)
        with namespace:
            _sysctl("net/ipv6/conf/all/accept_dad", 0)
            _sysctl("net/ipv6/conf/default/accept_dad", 0)
            # The second of two reports comes up to a second after a device is up: with a fence there,
            # that counts it. A day is long enough.
            _sysctl("net/ipv6/conf/default/mldv2_unsolicited_report_interval", 86400000)
            _sysctl("net/ipv4/ping_group_range", "0 0")
        self.ip(namespace, "link set lo up")
        return namespace

    def _build(self):
        self.veth(self.client, "eth0", self.router, "client")
        self.veth(self.router, "server", self.server, "eth0")
        self.ip(self.client,
                f"link set eth0 address {CLIENT_MAC} up",
                f"addr add {CLIENT}/24 dev eth0", f"addr add {CLIENT6}/64 dev eth0 nodad",
                f"route add default via {ROUTER}", "route add default via fe80::1 dev eth0",
                f"neigh add {ROUTER} lladdr {ROUTER_MAC} dev eth0 nud permanent",
                f"neigh add fe80::1 lladdr {ROUTER_MAC} dev eth0 nud permanent",
                f"neigh add {ROUTER6} lladdr {ROUTER_MAC} dev eth0 nud permanent")
        self.ip(self.router,
                f"link set client address {ROUTER_MAC} up", "link set server up",
                f"addr add {ROUTER}/24 dev client", f"addr add {ROUTER6}/64 dev client nodad",
                "addr add fe80::1/64 dev client nodad",
                f"neigh add {CLIENT} lladdr {CLIENT_MAC} dev client nud permanent",
                f"neigh add {CLIENT6} lladdr {CLIENT_MAC} dev client nud permanent",
                "addr add 203.0.113.1/24 dev server",
                "addr add 2001:db8:113::1/64 dev server nodad",
                f"route add 198.51.100.0/24 via {VPN}",
                f"route add 2001:db8:51::/64 via {VPN6}")
        self.ip(self.server, "link set eth0 up",
                *(f"addr add {a}/24 dev eth0" for a in (VPN, VPN_ROAMED)),
                f"addr add {VPN6}/64 dev eth0 nodad",
                *(f"addr add {a} dev lo" for a in (WEB, RESOLVER, OTHER)),
                *(f"addr add {a}/128 dev lo nodad" for a in (WEB6, RESOLVER6)),
                "route add default via 203.0.113.1", "route add default via 2001:db8:113::1")
        self.forward(self.router)

    def ip(self, namespace, *lines):
        if self.built:
            self.log += [f"ip {line}" for line in lines]
        with namespace:
            done = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                                  capture_output=True, check=False)
        if done.returncode:
            raise Failure(f"ip: {done.stderr.strip()}")

    def ip_can(self, namespace, line):
        """Whether this kernel can: for devices that not every kernel has."""
        with namespace:
            return subprocess.run(["ip", *line.split()], capture_output=True,
                                  check=False).returncode == 0

    def veth(self, here, name, there, peer):
        self.ip(here, f"link add {name} type veth peer name {peer} netns {there.path}")

    @staticmethod
    def forward(namespace):
        with namespace:
            _sysctl("net/ipv4/ip_forward", 1)
            _sysctl("net/ipv6/conf/all/forwarding", 1)

    def new_agent(self, namespace, cgroup=None):
        agent = Agent(namespace, cgroup, [s.socket for s in self.sniffers])
        self.agents.append(agent)
        return agent

    def sniff(self, namespace, device, **options):
        sniffer = Sniffer(namespace, device, **options)
        self.sniffers.append(sniffer)
        return sniffer

    def serve(self):
        """Web, name and echo servers on every address of the internet."""
        agent = self.new_agent(self.server)
        agent.call(servers.prepare, [WEB, RESOLVER, OTHER, VPN, WEB6, RESOLVER6])
        agent.begin(servers.serve_forever)

    def tun(self, name="wg0", namespace=None, address=f"{TUNNEL_CLIENT}/24"):
        """A tunnel without a far end: what is sent into it can be read from what this returns."""
        namespace = namespace or self.client
        with namespace:
            fd = sandbox.open_tun(name)
        self.devices.append(fd)
        self.ip(namespace, f"addr add {address} dev {name}", f"link set {name} up")
        return fd

    def lan(self):
        """The namespace lan behind the client, which becomes its gateway. Gives an agent there."""
        lan = self.namespace()
        self.veth(self.client, "lan0", lan, "eth0")
        self.ip(self.client, "link set lan0 up", "addr add 192.168.88.1/24 dev lan0")
        self.ip(lan, "link set eth0 up", f"addr add {LAN_HOST}/24 dev eth0",
                "route add default via 192.168.88.1")
        self.ip(self.router, f"route add 192.168.88.0/24 via {CLIENT}")
        self.forward(self.client)
        return self.new_agent(lan)

    # The tool

    def below(self, function, *args):
        """What it gives below the cover of the run directory: where the tool works, and who may
        not mount cannot get to."""
        agent = Agent(self.client)
        try:
            agent.call(sandbox.uncover, self.run_dir)
            return agent.call(function, *args)
        finally:
            agent.stop()

    def own_pins(self):
        return self.below(pins, os.path.join(self.run_dir, "bpf"))

    def write_config(self, text, name="wg0"):
        path = os.path.join(self.config_dir, f"{name}.conf")
        with open(path, "w", errors="surrogateescape") as file:
            file.write(text)
        return path

    def tunfence(self, *args, environment=None, wrapper=(), namespace=None, **options):
        """Runs the tool in the client. options replace its usual ones: cgroup="/x", bpffs=None."""
        chosen = {"cgroup": self.cgroup.path, "config_dir": self.config_dir,
                  "wireguard_dir": self.wireguard_dir, "bpffs": self.bpffs,
                  "run_dir": self.run_dir, "state_dir": self.state_dir} | options
        extra = [f"--{k.replace('_', '-')}={v}" for k, v in chosen.items() if v is not None]
        if args[0] not in ("up", "down", "status", "blocked", "watch", "metrics", "sync", "explain",
                           "prepare", "gate"):
            extra = []
        command = [*wrapper, self.settings.tool, *args, *extra]
        env = {k: v for k, v in os.environ.items() if not k.startswith("SSH_")}
        with namespace or self.client:
            done = subprocess.run(command, text=True, errors="backslashreplace", timeout=300,
                                  capture_output=True, check=False, stdin=subprocess.DEVNULL,
                                  env=env | (environment or {}))
        self.log.append(f"{(environment or '')} tunfence {' '.join(args)} -> {done.returncode}")
        said = (done.stderr + done.stdout).splitlines()
        self.log += [f"    {line}" for line in (said if done.returncode else said[:1])]
        return Result(done.returncode, done.stdout, done.stderr)

    def up(self, config=BASIC, name="wg0", *args, **options):
        """Raises or replaces a fence that must be fine."""
        if config is not None:
            self.write_config(config, name)
        return self.must(self.tunfence("up", name, *args, **options))

    def down(self, name="wg0"):
        return self.must(self.tunfence("down", name))

    def sync(self, *args):
        return self.must(self.tunfence("sync", *args))

    @staticmethod
    def must(result, code=0):
        if result.code != code:
            raise Failure(f"exit code {result.code} instead of {code}: "
                          f"{(result.err or result.out).strip()}")
        return result

    # The judge

    def passes(self, *shots, agent=None, sniffer=None):
        """Each is sent and seen on the wire."""
        sniffer = sniffer or self.sniffer
        for shot in shots:
            mark = sniffer.mark()
            answer, match = shot.fire(agent or self.agent)
            self.log.append(f"{shot}: {answer}, must be seen")
            sniffer.wait(match, mark, f"{shot} on the wire (sender was told {answer})")

    leaks = passes  # the same, where it is said of a world without a fence

    def settle(self, sniffer=None, device="eth0"):
        """Returns when everything that was sent so far has reached the judge."""
        sniffer = sniffer or self.sniffer
        if sniffer.outgoing:
            return  # it taps the sender itself, within the sender's own system call
        mark = sniffer.mark()
        targets = [secrets.token_bytes(4) for _ in os.sched_getaffinity(0)]
        answer = self.outside.call(senders.frame_on_each_cpu, device,
                                   [arp_probe(target) for target in targets])
        if answer != "sent":
            raise Failure(f"the ARP probe that ends the test's silence was refused: {answer}")
        for target in targets:
            sniffer.wait(lambda f, t=target: frames.is_arp(f) and f.payload[24:28] == t, mark,
                         "the ARP probe that follows")

    def silent(self, *shots, agent=None, sniffer=None, device="eth0", told=None):
        """Each is sent and nothing but plumbing and the tunnel's own packets is seen since."""
        sniffer = sniffer or self.sniffer
        for shot in shots:
            mark = sniffer.mark()
            answer, match = shot.fire(agent or self.agent)
            self.log.append(f"{shot}: {answer}, must not be seen")
            self.settle(sniffer, device)
            seen = sniffer.since(mark)
            if found := [f for f in seen if match(f)] + self.judge.leaks(seen):
                raise Failure(f"{shot} leaked (sender was told {answer}): {describe(found)}")
            if told and answer != told:
                raise Failure(f"{shot}: the sender was told {answer}, not {told}")

    def quiet_since(self, mark, sniffer=None, device="eth0"):
        """Nothing but plumbing and the tunnel's own packets has been seen since mark."""
        sniffer = sniffer or self.sniffer
        self.settle(sniffer, device)
        if found := self.judge.leaks(sniffer.since(mark)):
            raise Failure(f"leaked: {describe(found)}")

    # The end

    def close(self):
        for agent in self.agents:
            agent.stop()
        for process in self.processes:
            process.kill()
            process.wait()
        for fd in self.devices:
            os.close(fd)
        for sniffer in self.sniffers:
            sniffer.close()
        for mountpoint in (self.run_dir, os.path.join(self.run_dir, "bpf"), self.bpffs):
            sandbox.unmount(mountpoint)
        for namespace in self.namespaces:
            namespace.close()
        self.cgroup.remove()


def _sysctl(name, value):
    with open(f"/proc/sys/{name}", "w") as file:
        file.write(str(value))
