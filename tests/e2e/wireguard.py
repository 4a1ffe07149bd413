# SPDX-License-Identifier: GPL-2.0
"""A real WireGuard tunnel: the kernel's where it has one, wireguard-go's else.

Both ends are ours: NAME in the client, whose outer packets belong to the world's cgroup, and a
server behind the router. Routes are laid as a full tunnel has them: two halves of the address
space by the tunnel, the server itself past it, so that when the tunnel dies the old default route
is there to leak by.
"""

import os
import socket
import subprocess

import sandbox
import world as w
from sandbox import until


def kernel_has_wireguard(world):
    probe = sandbox.Namespace()
    try:
        return world.ip_can(probe, "link add probe type wireguard")
    finally:
        probe.close()


def keypair():
    private = subprocess.run(["wg", "genkey"], capture_output=True, text=True, check=True).stdout
    public = subprocess.run(["wg", "pubkey"], input=private, capture_output=True, text=True,
                            check=True).stdout
    return private.strip(), public.strip()


class Tunnel:
    def __init__(self, world, name="wg0", server="vpn0", endpoint=w.VPN, port=w.VPN_PORT,
                 number=66, user_space=False, listen_port=None, full=True):
        self.world, self.name, self.server, self.full = world, name, server, full
        self.endpoint, self.port, self.listen_port = endpoint, port, listen_port
        self.address = f"10.{number}.0.2"
        self.user_space = user_space or not kernel_has_wireguard(world)
        self.process = None
        self.private, self.public = keypair()
        self.server_private, self.server_public = keypair()
        self.number = number
        self.write_config()
        self._start_server()
        self.start()

    def write_config(self):
        host = f"[{self.endpoint}]" if ":" in self.endpoint else self.endpoint
        listen = f"ListenPort = {self.listen_port}\n" if self.listen_port else ""
        with open(os.path.join(self.world.wireguard_dir, f"{self.name}.conf"), "w") as file:
            file.write(f"[Interface]\nPrivateKey = {self.private}\n{listen}"
                       f"Address = {self.address}/24, fd{self.number}::2/64\n\n"
                       f"[Peer]\nPublicKey = {self.server_public}\n"
                       f"Endpoint = {host}:{self.port}\nAllowedIPs = 0.0.0.0/0, ::/0\n")

    def _make(self, namespace, name, cgroup):
        """The interface, unconfigured. Returns wireguard-go's process, None for the kernel's."""
        if not self.user_space:
            self.world.ip(namespace, f"link add {name} type wireguard")
            return None

        def prepare():
            sandbox.die_with_parent()
            if cgroup:
                cgroup.join()
        with namespace:
            process = subprocess.Popen(
                ["wireguard-go", "--foreground", name], preexec_fn=prepare,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=os.environ | {"WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD": "1",
                                  "LOG_LEVEL": "silent"})
        self.world.processes.append(process)
        until(lambda: self._listens(name), 5, f"wireguard-go {name}")
        return process

    @staticmethod
    def _listens(name):
        """Not asked by wg: it removes a socket that is bound and not yet listening."""
        with socket.socket(socket.AF_UNIX) as sock:
            return sock.connect_ex(f"/var/run/wireguard/{name}.sock") == 0

    def wg(self, namespace, *words):
        self.world.log.append(f"wg {' '.join(words)}")
        with namespace:
            subprocess.run(["wg", *words], check=True, capture_output=True)

    def _key_file(self, name, key):
        path = os.path.join(self.world.wireguard_dir, f"{name}.key")
        with open(path, "w") as file:
            file.write(key)
        return path

    def _start_server(self):
        here = self.world.server
        self._make(here, self.server, None)
        self.wg(here, "set", self.server, "private-key",
                self._key_file(self.server, self.server_private),
                "listen-port", str(self.port), "peer", self.public,
                "allowed-ips", f"{self.address}/32,fd{self.number}::2/128,192.168.88.0/24")
        self.world.ip(here, f"addr add 10.{self.number}.0.1/24 dev {self.server}",
                      f"addr add fd{self.number}::1/64 dev {self.server} nodad",
                      f"link set {self.server} up mtu 1420")
        if self.full:
            self.world.ip(here, f"route add 192.168.88.0/24 dev {self.server}")

    def start(self):
        """The client's end, routes and all: at first, and again after it died."""
        self.process = self._make(self.world.client, self.name, self.world.cgroup)
        options = ["listen-port", str(self.listen_port)] if self.listen_port else []
        self.wg(self.world.client, "set", self.name, "private-key",
                self._key_file(self.name, self.private), *options)
        self.set_endpoint(self.endpoint)
        self.world.ip(self.world.client, f"addr add {self.address}/24 dev {self.name}",
                      f"addr add fd{self.number}::2/64 dev {self.name} nodad",
                      f"link set {self.name} up mtu 1420")
        if self.full:
            self.route()

    def route_outer(self):
        via = "fe80::1 dev eth0" if ":" in self.endpoint else w.ROUTER
        size = 128 if ":" in self.endpoint else 32
        self.world.ip(self.world.client, f"route replace {self.endpoint}/{size} via {via}")

    def route(self):
        self.route_outer()
        self.world.ip(self.world.client,
                      *(f"route add {half} dev {self.name}"
                        for half in ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")))

    def set_endpoint(self, address):
        host = f"[{address}]" if ":" in address else address
        self.wg(self.world.client, "set", self.name, "peer", self.server_public,
                "endpoint", f"{host}:{self.port}", "allowed-ips", "0.0.0.0/0,::/0")

    def kill(self):
        """wireguard-go dies by SIGKILL, or the kernel's device is deleted: the routes are gone."""
        if self.process:
            self.process.kill()
            self.process.wait()
        else:
            self.world.ip(self.world.client, f"link del {self.name}")
        until(lambda: not self.world.client.has(self.name), 5, f"{self.name} to be gone")
