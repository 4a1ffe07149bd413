# SPDX-License-Identifier: GPL-2.0
"""The outside of one guest, in the network namespace of this process.

     guest                    here: the router, and the internet behind it
    ,-----------------------.    ,--------------------------------------------------.
    | eth0 192.168.77.2     |    | tap0  192.168.77.1, fe80::1, 2001:db8:77::1      |
    |      2001:db8:77::... +----+       DHCP (option 121 on request), RA           |
    | wg0  10.66.0.2        | ^  | lo    203.0.113.7, 2001:db8:113::7       VPN     |
    |      fd66::2          | |  |       198.51.100.53, .80, .9, .123, and the same |
    `-----------------------' |  |       of 2001:db8:51::    DNS, web, echo, NTP    |
                              |  | vpn0  10.66.0.1, fd66::1  WireGuard              |
      QEMU dumps every frame -'  `--------------------------------------------------'
"""

import ipaddress
import os
import select
import signal
import socket
import struct
import subprocess
import time

import judge  # noqa: F401  (finds the end-to-end tests' modules)
import sandbox
import servers
from sandbox import Failure, until

TAP = "tap0"
GUEST, ROUTER, NEIGHBOUR = "192.168.77.2", "192.168.77.1", "192.168.77.50"
GUEST_MAC, ROUTER_MAC = "02:00:00:00:77:02", "02:00:00:00:77:01"
ROUTER6 = "2001:db8:77::1"
NETWORK, NETWORK6 = "192.168.77.0/24", "2001:db8:77::/64"
VPN, VPN6, VPN_PORT = "203.0.113.7", "2001:db8:113::7", 51820
RESOLVER, WEB, OTHER, TIME = (f"198.51.100.{n}" for n in (53, 80, 9, 123))
RESOLVER6, WEB6, OTHER6, TIME6 = (f"2001:db8:51::{n}" for n in (53, 80, 9, 123))
TUNNEL_SERVER, TUNNEL_GUEST = "10.66.0.1", "10.66.0.2"
TUNNEL_SERVER6, TUNNEL_GUEST6 = "fd66::1", "fd66::2"

# Of the tests' tunnel and of no other: a guest that was saved and woken must know its server again.
SERVER_KEY = "CDECs/s+Q+CGQEiOXFZBHoilsS9/l1Qsjg8Lmk81QHs="
GUEST_KEY = "uOwxySuAQniegqkHalGJv2Bzun71EcMSny1byR74pF0="


def public(private):
    return subprocess.run(["wg", "pubkey"], input=private, text=True, capture_output=True,
                          check=True).stdout.strip()


def ip(*lines):
    done = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                          capture_output=True, check=False)
    if done.returncode:
        raise Failure(f"ip: {done.stderr.strip()}")


def wireguard_config(table="", endpoint=f"{VPN}:{VPN_PORT}"):
    """What the VPN's provider gives to its user."""
    return (f"[Interface]\nPrivateKey = {GUEST_KEY}\n"
            f"Address = {TUNNEL_GUEST}/24, {TUNNEL_GUEST6}/64\n{table}\n"
            f"[Peer]\nPublicKey = {public(SERVER_KEY)}\nEndpoint = {endpoint}\n"
            f"AllowedIPs = 0.0.0.0/0, ::/0\nPersistentKeepalive = 5\n")


class Advertiser:
    """Router advertisements, made here byte by byte: to whoever asks, and every few seconds."""

    ALL_NODES, ALL_ROUTERS = "ff02::1", "ff02::2"

    def __init__(self, routes=(), lifetime=1800):
        self.routes, self.lifetime = routes, lifetime
        self.socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, TAP.encode())
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        index = socket.if_nametoindex(TAP)
        self.socket.bind(("fe80::1", 0, 0, index))
        self.listener = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        self.listener.setsockopt(
            socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
            socket.inet_pton(socket.AF_INET6, self.ALL_ROUTERS) + struct.pack("=I", index))
        self.to = (self.ALL_NODES, 0, 0, index)

    def message(self):
        options = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 3600, 3600, 0,
                              ipaddress.ip_network(NETWORK6).network_address.packed)
        options += struct.pack("!BB6s", 1, 1, bytes.fromhex(ROUTER_MAC.replace(":", "")))
        options += struct.pack("!BBHI16s", 25, 3, 0, 3600, ipaddress.ip_address(RESOLVER6).packed)
        for route in map(ipaddress.ip_network, self.routes):
            options += struct.pack("!BBBBI16s", 24, 3, route.prefixlen, 0x08, 3600,
                                   route.network_address.packed)
        return struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, self.lifetime, 0, 0) + options

    def run(self):
        while True:
            try:
                self.socket.sendto(self.message(), self.to)
            except OSError:
                pass  # there is no guest yet
            deadline = time.monotonic() + 5
            while (left := deadline - time.monotonic()) > 0:
                if sandbox.readable(self.listener, left) and self.listener.recv(2048)[:1] == b"\x85":
                    break


def serve_time():
    """Says what time it is here, to whoever asks by NTP."""
    asked = [servers.open_socket(a, socket.SOCK_DGRAM, 123) for a in (TIME, TIME6)]
    while True:
        for sock in select.select(asked, [], [])[0]:
            query, peer = sock.recvfrom(1024)
            now = struct.pack("!II", int(time.time()) + 2208988800, 0)
            if len(query) >= 48:
                sock.sendto(bytes((0x24, 1, 6, 0xEC)) + struct.pack("!II4s", 0, 0, b"ROOM") + now +
                            query[40:48] + now + now, peer)


class Room:
    """Needs a network namespace, a /run and a process namespace of its own."""

    def __init__(self, directory):
        self.directory = directory
        self.children = {}
        self._build()
        self._start_vpn()
        self.dhcp()
        self.advertise()
        self.child("servers", lambda: servers.Servers(
            [WEB, RESOLVER, OTHER, VPN, WEB6, RESOLVER6, OTHER6]).run(None))
        self.child("time", serve_time)

    def _build(self):
        for name, value in (("net/ipv6/conf/all/accept_dad", 0), ("net/ipv6/conf/all/forwarding", 1),
                            ("net/ipv6/conf/default/accept_dad", 0), ("net/ipv4/ip_forward", 1)):
            with open(f"/proc/sys/{name}", "w") as file:
                file.write(str(value))
        ip("link set lo up", f"tuntap add {TAP} mode tap",
           f"link set {TAP} address {ROUTER_MAC} addrgenmode none", f"link set {TAP} up",
           f"addr add {ROUTER}/24 dev {TAP} noprefixroute",
           f"addr add {ROUTER6}/64 dev {TAP} nodad noprefixroute",
           f"addr add fe80::1/64 dev {TAP} nodad",
           *(f"addr add {a}/32 dev lo" for a in (VPN, RESOLVER, WEB, OTHER, TIME)),
           *(f"addr add {a}/128 dev lo nodad" for a in (VPN6, RESOLVER6, WEB6, OTHER6, TIME6)),
           # wireguard-go answers with the route's source, whatever address it was asked at.
           f"route add {NETWORK} dev {TAP} src {VPN}",
           f"route add {NETWORK6} dev {TAP} src {VPN6}")

    def child(self, name, function, *args):
        """Runs it in a process that ends with this one, and replaces the one of that name."""
        self.stop(name)
        pid = os.fork()
        if pid == 0:
            try:
                sandbox.die_with_parent()
                function(*args)
            finally:
                os._exit(1)
        self.children[name] = pid
        return pid

    def stop(self, name):
        if pid := self.children.pop(name, 0):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def spawn(self, name, *command, **environment):
        def start():
            with open(os.path.join(self.directory, f"{name}.log"), "ab") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            os.execvpe(command[0], command, os.environ | environment)
        return self.child(name, start)

    # The VPN

    def _start_vpn(self):
        os.makedirs("/run/wireguard", exist_ok=True)
        self.spawn("vpn", "wireguard-go", "--foreground", "vpn0", LOG_LEVEL="error",
                   WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD="1")

        def listens():
            with socket.socket(socket.AF_UNIX) as sock:
                return sock.connect_ex("/run/wireguard/vpn0.sock") == 0
        until(listens, 30, "wireguard-go")
        subprocess.run(["wg", "set", "vpn0", "private-key", "/dev/stdin", "listen-port",
                        str(VPN_PORT), "peer", public(GUEST_KEY), "allowed-ips",
                        f"{TUNNEL_GUEST}/32,{TUNNEL_GUEST6}/128"], input=SERVER_KEY, text=True,
                       check=True)
        ip(f"addr add {TUNNEL_SERVER}/24 dev vpn0", f"addr add {TUNNEL_SERVER6}/64 dev vpn0 nodad",
           "link set vpn0 up mtu 1420")

    def suspend_vpn(self):
        """The peer goes silent: it is there and answers nothing."""
        os.kill(self.children["vpn"], signal.SIGSTOP)

    def resume_vpn(self):
        os.kill(self.children["vpn"], signal.SIGCONT)

    # Addresses

    def dhcp(self, *options):
        """The lease, with more options from its next renewal on, such as
        "121,198.51.100.0/24,192.168.77.1"."""
        self.spawn("dhcp", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0",
                   "--user=root", "--group=root", f"--interface={TAP}", "--bind-interfaces",
                   "--dhcp-authoritative", "--no-ping", "--leasefile-ro",
                   f"--dhcp-range={GUEST},{GUEST},255.255.255.0,2m",
                   f"--dhcp-host={GUEST_MAC},{GUEST}", f"--dhcp-option=option:router,{ROUTER}",
                   f"--dhcp-option=option:dns-server,{RESOLVER}",
                   f"--dhcp-option=option:ntp-server,{TIME}",
                   *(f"--dhcp-option-force={option}" for option in options))

    def send_through(self, payload):
        """Somebody on the link takes the guest for a router: UDP for OTHER, all the time."""
        def send():
            packet = b"".join((bytes.fromhex((GUEST_MAC + ROUTER_MAC).replace(":", "")), b"\x08\0",
                               self.ipv4(NEIGHBOUR, OTHER, payload)))
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
                sock.bind((TAP, 0))
                while True:
                    try:
                        sock.send(packet)
                    except OSError:
                        pass  # the guest is off, or its queue full
                    time.sleep(0.005)
        self.child("sender through", send)

    @staticmethod
    def ipv4(source, to, payload):
        """A UDP datagram to the discard port, without the checksum that UDP may leave out."""
        udp = struct.pack("!HHHH", 4000, 9, 8 + len(payload), 0) + payload
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                             socket.inet_aton(source), socket.inet_aton(to))
        total = sum(struct.unpack("!10H", header))
        total = (total & 0xffff) + (total >> 16)
        total = (total & 0xffff) + (total >> 16)
        return header[:10] + struct.pack("!H", ~total & 0xffff) + header[12:] + udp

    def advertise(self, *routes, lifetime=1800):
        """Router advertisements, with these routes in them."""
        self.child("advertiser", lambda: Advertiser(routes, lifetime).run())
