# SPDX-License-Identifier: GPL-2.0
"""wg-quick as people use it, around a fence that is up: its policy routes, its mark, its own packet
filter, and a PostUp that calls sync."""

import os
import shutil
import subprocess

import frames
import sandbox
import world as w
from sandbox import Failure, Skip, until
from test_4_tunnel import REAL, dead_and_silent, fetches
from wireguard import Tunnel

MARK = 51820  # wg-quick's, and that of the routing table it makes
MARKED = (w.udp(w.OTHER, 9, mark=MARK), w.udp(w.RESOLVER, 53, mark=MARK))


class Quick(Tunnel):
    """The client's end is wg-quick's to make and to take down."""

    hooks = ""
    path = os.environ["PATH"]

    def write_config(self):
        super().write_config()
        path = self.config()
        with open(path) as file:
            text = file.read()
        with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(text.replace("[Interface]\n", f"[Interface]\n{self.hooks}"))

    def config(self):
        return os.path.join(self.world.wireguard_dir, f"{self.name}.conf")

    def run(self, verb, code=0):
        def prepare():
            sandbox.die_with_parent()
            self.world.cgroup.join()
        with self.world.client:
            done = subprocess.run(["wg-quick", verb, self.config()], preexec_fn=prepare,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  env=os.environ | {"LOG_LEVEL": "silent", "PATH": self.path},
                                  check=False)
        self.world.log.append(f"wg-quick {verb} -> {done.returncode}: {done.stderr}")
        if done.returncode != code:
            raise Failure(f"wg-quick {verb}: exit code {done.returncode}: {done.stderr.strip()}")
        return done

    def start(self):
        self.run("up")

    def stop(self):
        self.run("down")
        until(lambda: not self.world.client.has(self.name), 5, f"{self.name} to be gone")


def quick(world, make=Quick):
    """A tunnel by wg-quick, which is taken down whatever happens."""
    for tool in ("wg-quick", "nft", "iptables", "sysctl"):
        if not shutil.which(tool):
            raise Skip(f"'{tool}' is not installed")
    tunnel = make(world)
    world.processes.append(Ending(tunnel))
    return tunnel


class Ending:
    """wireguard-go in the background ends with its interface."""

    def __init__(self, tunnel):
        self.tunnel = tunnel

    def kill(self):
        if self.tunnel.world.client.has(self.tunnel.name):
            self.tunnel.world.ip(self.tunnel.world.client, f"link del {self.tunnel.name}")

    def wait(self):
        until(lambda: not self.tunnel.world.client.has(self.tunnel.name), 5, "wireguard-go's end")


def sync(world):
    """What a PostUp says, with this world's directories."""
    return (f"{world.settings.tool} sync %i --cgroup={world.cgroup.path} --bpffs={world.bpffs} "
            f"--run-dir={world.run_dir}")


def rules(world, command):
    with world.client:
        return subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout


def around_a_fence(world, tunnel):
    fetches(world)
    world.leaks(*MARKED)
    tunnel.stop()
    fetches(world, client=w.CLIENT)  # the leak
    world.up(REAL)
    for _ in range(2):
        dead_and_silent(world)
        tunnel.start()
        fetches(world)
        world.silent(*MARKED)
        world.must(world.tunfence("status"))
        tunnel.stop()
    dead_and_silent(world)
    world.must(world.tunfence("status"))


def test_up_and_down_around_a_fence(world):
    world.serve()
    tunnel = quick(world)
    if "wg-quick-wg0" not in rules(world, "nft list ruleset"):
        raise Failure("wg-quick does not filter by nft: this shows nothing")
    around_a_fence(world, tunnel)


def test_with_iptables(world):
    """Where there is no nft."""
    directory = os.path.join(world.directory, "bin")
    os.mkdir(directory)
    for tool in ("ip", "sysctl", "iptables", "iptables-save", "iptables-restore", "ip6tables",
                 "ip6tables-save", "ip6tables-restore"):
        os.symlink(shutil.which(tool), os.path.join(directory, tool))

    class WithoutNft(Quick):
        path = f"/usr/bin:{directory}"
    if shutil.which("nft", path=WithoutNft.path):
        raise Skip("nft is where wg is")
    world.serve()
    tunnel = quick(world, WithoutNft)
    if "wg-quick(8) rule for wg0" not in rules(world, "iptables-save"):
        raise Failure("wg-quick does not filter by iptables: this shows nothing")
    around_a_fence(world, tunnel)


def test_fence_replaced_and_lowered_under_it(world):
    world.serve()
    tunnel = quick(world)
    world.up(None)  # from wg-quick's own configuration
    fetches(world)
    world.up(REAL)
    fetches(world)
    world.silent(*MARKED)
    tunnel.stop()
    dead_and_silent(world)
    world.down()
    fetches(world, client=w.CLIENT)


def test_sync_as_post_up(world):
    """The provider's address changed in the file since the fence was raised: the tunnel cannot
    connect, unless wg-quick tells the fence."""
    world.serve()
    tunnel = quick(world)
    tunnel.stop()
    world.up(REAL)
    tunnel.endpoint = w.VPN_ROAMED
    tunnel.write_config()
    tunnel.start()
    dead_and_silent(world)
    tunnel.stop()
    tunnel.hooks = f"PostUp = {sync(world)}\n"
    tunnel.write_config()
    world.judge = frames.Judge([(w.VPN_ROAMED, w.VPN_PORT)])
    for _ in range(2):
        tunnel.start()
        fetches(world, seconds=15)  # a handshake before PostUp is tried again after five
        world.silent(*MARKED)
        tunnel.stop()
        dead_and_silent(world)


def test_post_up_without_a_fence(world):
    """wg-quick gives up: whoever asked for a fence has none."""
    world.serve()
    tunnel = quick(world)
    tunnel.stop()
    tunnel.hooks = f"PostUp = {sync(world)}\n"
    tunnel.write_config()
    if "no fence" not in tunnel.run("up", 1).stderr:
        raise Failure("it does not say why")
    until(lambda: not world.client.has("wg0"), 5, "wg0 to be gone")
