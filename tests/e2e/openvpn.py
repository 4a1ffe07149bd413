# SPDX-License-Identifier: GPL-2.0
"""A real OpenVPN tunnel: a server, and a client that it gives its addresses and routes to.

Both know each other by the fingerprints of certificates that are made here; no authority, no
script, no configuration of the machine's. The client's sockets belong to its machine's cgroup.
"""

import os
import shutil
import signal
import subprocess

import frames
import sandbox
import world as w
from sandbox import Skip, until

PORT = 1194


def find():
    path = shutil.which("openvpn", path=f"{os.environ['PATH']}:/usr/sbin")
    if not path:
        raise Skip("'openvpn' is not installed")
    return path


class Judge(frames.Judge):
    """Beside WireGuard's, frames that one of these functions knows are no leaks."""

    def __init__(self, *known):
        super().__init__([(w.VPN, w.VPN_PORT), (w.VPN6, w.VPN_PORT)])
        self.known = known

    def is_outer(self, frame):
        return any(known(frame) for known in self.known) or super().is_outer(frame)


def outer(address, protocol, port=PORT):
    """What an OpenVPN client sends; a message begins with its kind, 1 to 11, and a number."""
    def match(frame):
        if (str(frame.dst), frame.dport, frame.protocol) != (address, port, protocol):
            return False
        return protocol == frames.TCP or (not frame.later and 1 <= frame.payload[0] >> 3 <= 11)
    return match


def answers(port=PORT):
    """What a server sends over UDP."""
    return lambda frame: frame.protocol == frames.UDP and not frame.later and frame.sport == port


class Side:
    """One process, where it runs, and what it says."""

    def __init__(self, world, name, namespace, cgroup=None):
        self.world, self.name, self.namespace, self.cgroup = world, name, namespace, cgroup
        self.path = os.path.join(world.directory, f"openvpn-{name}-{len(world.processes)}")
        self.process, self.lines = None, []
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                        "-days", "30", "-keyout", f"{self.path}.key", "-out", f"{self.path}.crt"],
                       check=True, capture_output=True)
        self.fingerprint = subprocess.run(
            ["openssl", "x509", "-fingerprint", "-sha256", "-noout", "-in", f"{self.path}.crt"],
            check=True, capture_output=True, text=True).stdout.strip().partition("=")[2]

    def start(self, peer, *lines):
        """With these lines of configuration, beside what every side has."""
        def prepare():
            sandbox.die_with_parent()
            if self.cgroup:
                self.cgroup.join()
        self.lines = lines
        text = [f"dev {self.name}", "dev-type tun", "disable-dco", "verb 3", "suppress-timestamps",
                f"key {self.path}.key", f"cert {self.path}.crt", f"log {self.path}.log",
                f"peer-fingerprint {peer.fingerprint}", *lines]
        with open(f"{self.path}.conf", "w") as file:
            file.write("\n".join(text) + "\n")
        open(f"{self.path}.log", "w").close()
        with self.namespace:
            self.process = subprocess.Popen(
                [find(), "--config", f"{self.path}.conf"], preexec_fn=prepare,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.world.processes.append(self.process)
        self.world.log.append(f"openvpn {self.name} started")

    def said(self, words, times=1):
        with open(f"{self.path}.log") as file:
            return file.read().count(words) >= times

    def has_tentative(self):
        """Until the kernel is done with a new IPv6 address, another device's is used."""
        with self.namespace, open("/proc/thread-self/net/if_inet6") as file:
            rows = [line.split() for line in file]
        return any(int(row[4], 16) & 0x40 for row in rows if row[5] == self.name)

    def is_up(self, times=1):
        """It has its device, addresses and routes; times: since it was started."""
        def look():
            if self.process.poll() is not None:
                raise sandbox.Failure(f"openvpn {self.name} ended: {self.log()}")
            return (self.said("Initialization Sequence Completed", times) and
                    not self.has_tentative())
        try:
            until(look, 30, f"openvpn {self.name}")
        except sandbox.Failure as failure:
            raise sandbox.Failure(f"{failure}: {self.log()}") from None

    def log(self):
        with open(f"{self.path}.log") as file:
            return "; ".join(file.read().splitlines()[-12:])

    def restart(self):
        """By itself, as for a changed configuration: everything of it is made anew."""
        self.process.send_signal(signal.SIGHUP)
        self.is_up(2)

    def kill(self):
        self.process.kill()
        self.process.wait()
        until(lambda: not self.namespace.has(self.name), 5, f"{self.name} to be gone")


class OpenVPN:
    """A client NAME in the world's client and a server in its internet, unless said otherwise."""

    def __init__(self, world, name="tun0", server="vpn1", endpoint=w.VPN, protocol="udp",
                 net="10.88.0", pushes=("redirect-gateway def1 ipv6",), here=None, there=None):
        find()
        self.world, self.endpoint, self.protocol, self.net = world, endpoint, protocol, net
        self.pushes = pushes
        self.address, self.address6 = f"{net}.2", "fd88::1000"
        self.client = Side(world, name, *(here or (world.client, world.cgroup)))
        self.server = Side(world, server, *(there or (world.server, None)))
        self.serve()

    def serve(self):
        proto = "udp" if self.protocol == "udp" else "tcp-server"
        self.server.start(self.client, f"proto {proto}", f"local {self.endpoint}", f"lport {PORT}",
                          "topology subnet", f"server {self.net}.0 255.255.255.0",
                          "server-ipv6 fd88::/64", "dh none", "keepalive 1 30",
                          *(f'push "{line}"' for line in self.pushes))
        self.server.is_up()

    def begin(self, *lines):
        proto = "udp" if self.protocol == "udp" else "tcp-client"
        self.client.start(self.server, "client", f"proto {proto}", f"remote {self.endpoint} {PORT}",
                          "nobind", "connect-retry 1 1", "connect-timeout 5", "tls-timeout 1",
                          "hand-window 10", *lines)

    def start(self, *lines):
        self.begin(*lines)
        self.client.is_up()

    def kill(self):
        self.client.kill()

    def outer(self):
        return outer(self.endpoint, frames.UDP if self.protocol == "udp" else frames.TCP)
