# SPDX-License-Identifier: GPL-2.0
"""`tunfence sync --follow`: nobody else runs sync here. What the kernel tells must be acted on long
before the follower's own 25 s are over, so most deadlines are far shorter than that."""

import contextlib
import ipaddress
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

import craft
import sandbox
import world as w
from craft import ether
from sandbox import Failure, until
from test_3_leaks import second_uplink
from test_4_tunnel import REAL, fetches, nothing_fetched, served
from test_5_loader import long
from test_9_planes import states, status
from wireguard import Tunnel

STRANGER = w.udp(w.OTHER, 9)
FRAME = craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t)))
FRAME1 = craft.sent("AF_PACKET by eth1", lambda t: ether(craft.ip4(t)), device="eth1")
NOWHERE, NOWHERE6 = "203.0.113.9", "2001:db8:113::9"
AT_ONCE = 10  # seconds, on a busy machine; the follower's own period is 25
SLAVE = ("unshare", "--mount", "--propagation", "slave")


class Follower:
    def __init__(self, world, *args, wrapper=(), environment=None):
        self.world = world
        self.path = os.path.join(world.directory, "follower.log")
        options = {"cgroup": world.cgroup.path, "config-dir": world.config_dir,
                   "wireguard-dir": world.wireguard_dir, "bpffs": world.bpffs,
                   "run-dir": world.run_dir, "state-dir": world.state_dir}
        with world.client, open(self.path, "w") as out:
            self.process = subprocess.Popen(
                [*wrapper, world.settings.tool, "sync", "--follow", *args,
                 *(f"--{k}={v}" for k, v in options.items())],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=os.environ | (environment or {}), preexec_fn=sandbox.die_with_parent)
        world.processes.append(self.process)
        until(self._listens, AT_ONCE, "the follower to listen")

    def _listens(self):
        home = f"/proc/{self.process.pid}/fd"
        with contextlib.suppress(FileNotFoundError):
            return any("timerfd" in os.readlink(os.path.join(home, fd)) for fd in os.listdir(home))

    def said(self):
        with open(self.path) as file:
            return file.read().splitlines()

    def says(self, pattern, seconds=AT_ONCE, after=0):
        """Waits for a line, behind those that it had said; gives how many there are then."""
        def look():
            return next((i + after + 1 for i, line in enumerate(self.said()[after:])
                         if re.search(pattern, line)), 0)
        try:
            return until(look, seconds, f"'{pattern}'")
        except Failure as failure:
            raise Failure(f"{failure}; the follower says {self.said()}") from None

    def drops(self):
        """How many news its socket had no room for."""
        sockets = {os.stat(f"/proc/{self.process.pid}/fd/{fd}").st_ino
                   for fd in os.listdir(f"/proc/{self.process.pid}/fd")}
        with self.world.client, open("/proc/thread-self/net/netlink") as lines:
            return sum(int(line.split()[8]) for line in lines
                       if line.split()[-1].isdigit() and int(line.split()[-1]) in sockets)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(AT_ONCE)
        if code:
            raise Failure(f"ended by {number.name} with {code}: {self.said()}")


def shut(world, second):
    """Nothing gets out by either uplink, whoever sends it."""
    world.silent(w.udp(w.OTHER, 9, device="eth1"), FRAME1, sniffer=second, device="eth1")
    world.silent(STRANGER, FRAME)


def unplug(world):
    world.ip(world.client, "link del eth1")


def planes_on(world, device, kind="tcx", **options):
    """Waits until status finds all planes where they should be, on this device too."""
    until(lambda: world.tunfence("status", "wg0", "--json", **options).code == 0, AT_ONCE,
          "all planes")
    found = states(status(world, **options))
    if {found[f"{device} wire"], found[f"{device} ingress"]} != {kind}:
        raise Failure(f"not {kind}: {found}")


def test_new_uplink(world):
    """An AF_PACKET frame by an uplink that came leaks, but where the follower is."""
    world.up()
    world.leaks(FRAME1, sniffer=second_uplink(world))
    unplug(world)
    follower = Follower(world)
    for _ in range(3):
        after = len(follower.said())
        second = second_uplink(world)
        follower.says("hooks put in place", after=after)
        shut(world, second)
        planes_on(world, "eth1")
        unplug(world)
    follower.stop()


def test_says_what_changed_and_ends_when_told(world):
    """One line for each thing, none for nothing."""
    for number in (signal.SIGTERM, signal.SIGINT):
        world.up()
        follower = Follower(world)
        second_uplink(world)
        follower.says("^wg0: [12] hooks? put in place$")
        planes_on(world, "eth1")
        lines = len(follower.said())
        world.ip(world.client, "link add idle0 type bridge", "link del idle0",
                 "addr add 192.168.79.1/24 dev eth1", "link set eth1 down", "link set eth1 up")
        unplug(world)
        second_uplink(world)
        follower.says("^wg0: [12] hooks? put in place$", after=lines)
        follower.stop(number)
        if strange := [line for line in follower.said() if "put in place" not in line]:
            raise Failure(f"it says {strange}")
        unplug(world)
        world.down()


def test_without_a_fence(world):
    """It waits, makes nothing and mounts nothing; named or not."""
    for args in ((), ("wg0",)):
        follower = Follower(world, *args)
        world.ip(world.client, "link add idle0 type bridge", "link del idle0")
        follower.stop()
        if follower.said() or os.path.exists(world.run_dir):
            raise Failure(f"{follower.said()}, {os.listdir(world.directory)}")


@contextlib.contextmanager
def shared(world):
    """What is mounted in the world's directory shows in mount namespaces made from ours."""
    subprocess.run(["mount", "--bind", world.directory, world.directory], check=True)
    subprocess.run(["mount", "--make-shared", world.directory], check=True)
    try:
        yield
    finally:
        sandbox.unmount(world.directory)


def test_fence_raised_later(world):
    """By another process, after the follower began in a mount namespace as a unit has it: each of
    the mounts came later. So again when they were made anew."""
    with shared(world):
        sandbox.mount("bpf", world.bpffs, "bpf", "mode=0700")
        follower = Follower(world, wrapper=SLAVE)
        for _ in range(2):
            after = len(follower.said())
            world.up()
            second = second_uplink(world)
            follower.says("put in place", after=after)
            planes_on(world, "eth1")
            shut(world, second)
            unplug(world)
            world.down()
            world.leaks(STRANGER)
            for mountpoint in (world.run_dir, os.path.join(world.run_dir, "bpf")):
                sandbox.unmount(mountpoint)
        follower.stop()
        sandbox.unmount(world.bpffs)


def test_killed(world):
    """At any time, without and with work to do: the fence is as it was, or better."""
    world.up()
    for _ in range(3):
        follower = Follower(world)
        mark = world.sniffer.mark()
        second_uplink(world)
        follower.process.kill()
        follower.process.wait()
        world.silent(STRANGER, FRAME)
        world.quiet_since(mark)
        world.sync()
        planes_on(world, "eth1")
        unplug(world)
    planes_on(world, "eth0")


def test_pass_killed(world):
    """After each step that it makes. The follower stays, and says so once."""
    world.up()
    for step in range(1, 4):
        follower = Follower(world, environment={"TUNFENCE_FAULT": str(step)})
        second_uplink(world)
        follower.says("ended by signal 9")
        world.silent(STRANGER, FRAME)
        if follower.process.poll() is not None:
            raise Failure("the follower ended")
        world.sync()
        follower.stop()
        unplug(world)
    planes_on(world, "eth0")


def test_missed_news(world):
    """More than its socket holds, and what came last was among the rest."""
    world.up()
    follower = Follower(world)
    second_uplink(world)
    follower.says("put in place")
    planes_on(world, "eth1")
    lines = len(follower.said())
    follower.process.send_signal(signal.SIGSTOP)
    flood = [line for i in range(1000) for line in
             (f"addr add 192.168.79.{i % 200 + 1}/32 dev eth1",
              f"addr del 192.168.79.{i % 200 + 1}/32 dev eth1")]
    with world.client:
        subprocess.run(["ip", "-batch", "-"], input="\n".join(flood) + "\n", text=True, check=True)
    unplug(world)
    second = second_uplink(world)
    if not follower.drops():
        raise Failure("its socket was not overrun")
    follower.process.send_signal(signal.SIGCONT)
    follower.says("put in place", after=lines)
    planes_on(world, "eth1")
    shut(world, second)
    follower.stop()


def test_clsact_deleted(world):
    """Where the kernel has no tcx, anybody's tc takes the planes off: the follower puts them back."""
    old = {"TUNFENCE_FAULT": "no-tcx"}
    world.up(w.BASIC, "wg0", environment=old)
    with world.client:
        subprocess.run(["tc", "qdisc", "del", "dev", "eth0", "clsact"], check=True)
    world.leaks(FRAME)
    world.must(world.tunfence("sync", environment=old))
    world.silent(FRAME)
    follower = Follower(world, environment=old)
    for _ in range(3):
        after = len(follower.said())
        with world.client:
            subprocess.run(["tc", "qdisc", "del", "dev", "eth0", "clsact"], check=True)
        follower.says("hooks? put in place", after=after)  # maybe one by one
        planes_on(world, "eth0", "clsact", environment=old)
        world.silent(FRAME, STRANGER)
    follower.stop()


@long
def test_endpoint_roamed(world):
    """Nothing tells: the follower has to look. The server has no other address any more, by which
    it could make the client come back."""
    tunnel = served(world)
    world.up(REAL)
    follower = Follower(world)
    fetches(world)
    with world.server, open("/proc/sys/net/ipv4/conf/eth0/promote_secondaries", "w") as file:
        file.write("1")
    world.ip(world.server, f"addr del {w.VPN}/24 dev eth0")
    tunnel.set_endpoint(w.VPN_ROAMED)
    world.ip(world.client, f"route replace {w.VPN_ROAMED}/32 via {w.ROUTER}")
    world.judge.endpoints.add((ipaddress.ip_address(w.VPN_ROAMED), w.VPN_PORT))
    mark = world.sniffer.mark()
    follower.says(f"endpoint {w.VPN_ROAMED}:{w.VPN_PORT} allowed", 60)
    fetches(world, seconds=40)
    world.silent(w.udp(w.ROUTER, 9), w.udp(w.VPN_ROAMED, w.VPN_PORT))
    world.quiet_since(mark)
    follower.stop()


# Names

@contextlib.contextmanager
def file_over(world, path, text):
    """The file at path says this, in our mount namespace; gives what changes it."""
    with tempfile.NamedTemporaryFile("w", dir=world.directory) as file:
        def rewrite(new):
            file.seek(0)
            file.truncate()
            file.write(new)
            file.flush()
        os.chmod(file.name, 0o644)
        rewrite(text)
        subprocess.run(["mount", "--bind", file.name, path], check=True)
        try:
            yield rewrite
        finally:
            subprocess.run(["umount", path], check=True)


def by_name(world, tunnel, name):
    """WireGuard's own configuration has the peer's endpoint by name."""
    path = os.path.join(world.wireguard_dir, f"{tunnel.name}.conf")
    with open(path) as file:
        text = re.sub(r"Endpoint = .*", f"Endpoint = {name}:{tunnel.port}", file.read())
    with open(path, "w") as file:
        file.write(text)


def name_moves(world, old, new):
    """The tunnel was set up with an address that no longer is the server's. Its name leads to the
    new one, and the tunnel comes up with nobody touching it."""
    world.serve()
    with file_over(world, "/etc/resolv.conf", "nameserver 127.0.0.1\n"), \
         file_over(world, "/etc/hosts", f"{old} vpn.example\n") as hosts:
        tunnel = Tunnel(world, endpoint=old)
        by_name(world, tunnel, "vpn.example")
        world.judge.endpoints.add((ipaddress.ip_address(old), w.VPN_PORT))
        world.up("[Tunnel]\nInterface=wg0\nWireGuardConfig=wg0.conf\n")
        follower = Follower(world)
        mark = world.sniffer.mark()
        nothing_fetched(world)
        tunnel.endpoint = new
        tunnel.route_outer()
        hosts(f"{new} vpn.example\n")
        place = f"[{new}]" if ":" in new else new
        follower.says(f"endpoint {re.escape(place)}:{w.VPN_PORT} allowed", 30)
        follower.says(f"peer {re.escape(tunnel.server_public)} of wg0 now at "
                      f"{re.escape(place)}:{w.VPN_PORT} .vpn.example.", 30)
        fetches(world, seconds=40)
        world.silent(w.udp(w.ROUTER, 9), w.udp(new, w.VPN_PORT))
        world.quiet_since(mark)
        with world.client:
            said = subprocess.run(["wg", "show", "wg0"], capture_output=True, text=True,
                                  check=True).stdout
        if "0.0.0.0/0, ::/0" not in said or said.count("peer:") != 1:
            raise Failure(f"more than the endpoint was changed: {said}")
        follower.stop()


def test_name_moved(world):
    name_moves(world, NOWHERE, w.VPN)


def test_name_moved_ipv6(world):
    name_moves(world, NOWHERE6, w.VPN6)


def test_name_moved_for_sync(world):
    """The short form does the same, once."""
    world.serve()
    with file_over(world, "/etc/resolv.conf", "nameserver 127.0.0.1\n"), \
         file_over(world, "/etc/hosts", f"{NOWHERE} vpn.example\n") as hosts:
        tunnel = Tunnel(world, endpoint=NOWHERE)
        world.up(f"[Tunnel]\nInterface=wg0\nEndpoint=vpn.example:{w.VPN_PORT}\n")
        if "now at" in world.sync().out:
            raise Failure("moved to where it is")
        hosts(f"{w.VPN} vpn.example\n")
        said = world.sync().out
        if f"peer {tunnel.server_public} of wg0 now at {w.VPN}:{w.VPN_PORT}" not in said:
            raise Failure(said)
        tunnel.endpoint = w.VPN
        tunnel.route_outer()
        fetches(world, seconds=40)
        hosts(f"{NOWHERE} vpn.example\n")
        if "now at" in world.sync().out:
            raise Failure("a peer that was heard of just now was moved")
        fetches(world, seconds=40)


def listen_in_vain():
    """In the agent: a name server that never answers."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 53))
    listen_in_vain.kept = sock


def asked():
    return sandbox.readable(listen_in_vain.kept, AT_ONCE)


def test_resolver_that_hangs(world):
    """Neither the lock is held meanwhile, nor do new uplinks wait."""
    world.agent.call(listen_in_vain)
    with file_over(world, "/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:20\n"), \
         file_over(world, "/etc/hosts", f"{w.VPN} vpn.example\n") as hosts:
        world.up("[Tunnel]\nInterface=wg0\nKind=tun\nEndpoint=vpn.example:51820\n")
        hosts("")
        follower = Follower(world)
        if not world.agent.call(asked):
            raise Failure("the resolver was not asked")
        start = time.monotonic()
        second = second_uplink(world)
        follower.says("put in place", 3)
        shut(world, second)
        world.passes(w.outer())
        world.down()
        if time.monotonic() - start > AT_ONCE:
            raise Failure("somebody waited for the resolver")
        world.log.append(f"{time.monotonic() - start:.1f} s")
        follower.stop()
