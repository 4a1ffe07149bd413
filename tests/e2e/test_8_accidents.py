# SPDX-License-Identifier: GPL-2.0
"""Accidents: what happens to a machine and must not open its fence, each with traffic running.

Every accident that we know has a test. Here are those that have no other file; there:

    killed at each step of up, a replace, sync, down   5_loader/killed_after_each_step_of_*
    a foreign pin in the place of one of ours          5_loader/foreign_pins*
    a link detached by hand                            9_planes/each_link_detached
    a bad value in a configuration, a full map         5_loader/broken_configuration, full_map
    no cgroup2, no bpffs, no rights                    5_loader/no_cgroup2, no_bpffs*, unprivileged
    /run is full, has no inode left, is read-only      9_planes/full_run, no_inode_left_in_run,
                                                       read_only_run
    an uplink plugged in                               3_leaks/uplink_plugged_in_later,
                                                       9_planes/fresh_uplink,
                                                       8_guard/*_by_a_device_that_is_new
    an uplink moved away for good                      3_leaks/uplink_moved_to_another_namespace
    the tunnel dies, is made again, renamed, moved     4_tunnel/wireguard_go_killed,
                                                       deleted_and_made_again, renamed_away, moved_*
    something else under the tunnel's name or index    4_tunnel/replaced_by_*
    a second system fence raised and lowered           4_tunnel/two_fences
    the kernel changed between boots                   5_loader/from_clsact_to_tcx_and_back,
                                                       9_planes/without_netfilter
    the resolver is gone                               9_planes/names_that_no_longer_resolve

daemon-reexec, soft-reboot and isolate need a booted machine.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time

import craft
import kernel
import sandbox
import senders
import world as w
from craft import ether
from sandbox import Failure, Skip
from test_2_verdict import relative
from test_3_leaks import second_uplink
from test_5_loader import bpftool, long, opened, own_link
from test_9_planes import FORWARDED, FRAME, GATEWAY, STRANGER, link_pins, states, status, tc

NOISE = bytes.fromhex("acc1de47acc1de47") * 2
TARGETS = ((w.OTHER, 9), (w.WEB6, 9), (w.RESOLVER, 53))
FORWARDED6 = "2001:db8:99::9"  # by the second uplink


def keep_sending(targets, frames, devices):
    """Datagrams and frames in turn until the next request, with a moment for the others between. A
    frame goes to whatever is called so at the time: devices come and go."""
    sockets = [(socket.socket(senders.family_of(a), socket.SOCK_DGRAM), (a, p)) for a, p in targets]
    while not sandbox.request_waiting(0.0005):
        for sock, target in sockets:
            try:
                sock.sendto(NOISE, target)
            except OSError:
                pass
        for device in devices:
            for data in frames:
                senders.frame(device, data)
        sandbox.progress()


class Fire:
    """What wants out while an accident happens: programs' datagrams, frames by AF_PACKET, and what
    others (agent: targets) would have the client forward. Nothing of it may be seen by the judges,
    from before the accident until after it."""

    def __init__(self, world, frames=True, devices=("eth0",), forwarded=None, judges=()):
        self.world = world
        self.judges = {sniffer: sniffer.mark() for sniffer in (world.sniffer, *judges)}
        data = [ether(craft.ip4(NOISE)), ether(craft.ip6(NOISE))] if frames else []
        self.agents = [world.new_agent(world.client, world.cgroup)]
        self.agents[0].begin(keep_sending, TARGETS, data, devices)
        for agent, targets in (forwarded or {}).items():
            agent.begin(keep_sending, targets, [], ())
            self.agents.append(agent)

    def judge(self, sniffer):
        """Another one, who must not have seen anything yet."""
        self.judges[sniffer] = 0

    def round(self):
        """Returns when each packet has been tried at least once from now on."""
        for agent in self.agents:
            goal = agent.rounds() + 2
            sandbox.until(lambda a=agent, g=goal: a.rounds() >= g, 10, "the traffic")

    def end(self):
        for agent in self.agents:
            agent.begin(senders.nothing)
            agent.end()
            agent.end()

    def quiet(self, device="eth0"):
        self.world.quiet_since(self.judges[self.world.sniffer], device=device)
        for sniffer, mark in self.judges.items():
            if found := self.world.judge.leaks(sniffer.since(mark)):
                raise Failure(f"leaked: {w.describe(found)}")


@contextlib.contextmanager
def under_fire(world, device="eth0", **options):
    """Around an accident. device: the uplink's name when it is over."""
    fire = Fire(world, **options)
    fire.round()
    yield fire
    fire.round()
    fire.end()
    fire.quiet(device)


def fenced(world, config=w.BASIC, **options):
    """A fence whose tunnel is up: then what goes the wrong way is dropped, not refused early."""
    if not world.client.has("wg0"):
        world.tun()
    return world.up(config, **options)


def opens(world, *shots, **options):
    """After down all of it is seen: the silence before was the fence's."""
    world.must(world.tunfence("down", "wg0", **options))
    world.leaks(*(shots or (STRANGER, FRAME)))
    if left := w.pins(world.bpffs) + world.own_pins():
        raise Failure(f"left behind: {left}")


def says(result, *words):
    for word in words:
        if word not in result.out + result.err:
            raise Failure(f"'{word}' is not in: {(result.out + result.err).strip()}")


def has_states(world, code=0, environment=None, **wanted):
    """Status has these hooks in these states (keys have '_' for ' ')."""
    found = states(status(world, code, environment=environment))
    wanted = {key.replace("_", " "): state for key, state in wanted.items()}
    if wrong := {key: found.get(key) for key in wanted if found.get(key) != wanted[key]}:
        raise Failure(f"status says {wrong} instead of {wanted}")


# Who is killed


def processes_of(path):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") == path:
                found.append(int(pid))
        except OSError:
            pass
    return found


def test_every_process_killed(world):
    """At moments of up and of sync; after each nothing of tunfence runs."""
    fenced(world)
    start = time.monotonic()
    world.up()
    took = time.monotonic() - start
    with under_fire(world) as fire:
        for command in ("up", "sync"):
            for part in range(1, 6):
                killer = ("timeout", "--signal=KILL", f"{took * part / 6:.3f}")
                world.tunfence(command, "wg0", wrapper=killer)
                sandbox.until(lambda: not processes_of(world.settings.tool), 5, "its end")
                fire.round()
            world.must(world.tunfence("up", "wg0"))
            status(world)
    if not [line for line in world.log if "up wg0 -> -9" in line]:
        raise Failure("no up was killed")
    world.passes(w.outer())
    opens(world)


# Pins and their file systems


def complains_but_holds(world, *words):
    """Status is 0, as nothing of it opens the fence, and says what is wrong."""
    says(world.must(world.tunfence("status", "wg0")), "do first", *words)
    world.sync("wg0")


def well(world):
    if "do first" in world.must(world.tunfence("status", "wg0")).out:
        raise Failure("status still complains")


def test_pins_removed(world):
    """Those that are shown, and all that can be seen of /run/tunfence. up restores what was."""
    fenced(world)
    before = running(world)[0].keys(), w.pins(world.bpffs), world.own_pins()
    for victim in (world.bpffs, world.run_dir):
        with under_fire(world):
            done = subprocess.run(["rm", "-rf", victim], check=False, stderr=subprocess.DEVNULL)
            if done.returncode == 0:
                raise Failure(f"'{victim}' is a mount point and cannot be removed")
            if victim == world.bpffs:
                complains_but_holds(world, f"{world.bpffs}/tunfence/wg0", "tunfence up wg0")
            else:
                well(world)
        world.up()
        well(world)
        now = running(world)[0].keys(), w.pins(world.bpffs), world.own_pins()
        if [len(pins) for pins in now] != [len(pins) for pins in before]:
            raise Failure(f"up restored only {now}")
    opens(world)


def unmounted(world, umount):
    """First the file system of the pins that are shown, then the cover of the others."""
    with under_fire(world):
        umount(world.bpffs)
        complains_but_holds(world, f"{world.bpffs}/tunfence/wg0")
        says(world.must(world.tunfence("up", "wg0"), 1), "mount -t bpf")
        sandbox.mount("bpf", world.bpffs, "bpf")
        world.up()
        well(world)
    with under_fire(world):
        for command in ("sync", "up"):
            umount(world.run_dir)
            says(world.must(world.tunfence("status", "wg0")), "do first",
                 f"nothing covers '{world.run_dir}'", "tunfence sync wg0")
            world.must(world.tunfence(command, "wg0"))
            if not sandbox.has_cover(world.run_dir):
                raise Failure(f"{command} put no cover back")
            well(world)


def plain_umount(path):
    """With what is mounted in it, since that keeps it busy."""
    if subprocess.run(["umount", path], check=False, stderr=subprocess.DEVNULL).returncode:
        subprocess.run(["umount", "--recursive", path], check=True)


def lazy_umount(path):
    """Somebody is still in there: the plain one is refused."""
    held = os.open(path, os.O_RDONLY)
    if subprocess.run(["umount", path], check=False, stderr=subprocess.DEVNULL).returncode == 0:
        raise Failure(f"'{path}' is not busy")
    subprocess.run(["umount", "--lazy", path], check=True)
    os.close(held)


def test_bpffs_unmounted(world):
    fenced(world)
    unmounted(world, plain_umount)
    opens(world)


def test_bpffs_lazily_unmounted(world):
    fenced(world)
    unmounted(world, lazy_umount)
    opens(world)


def test_bpffs_mounted_over(world):
    """By a file system that is none of BPF's, then by another bpffs, in which up then pins. What is
    left below is no fence once that one is down."""
    fenced(world)
    with under_fire(world):
        sandbox.mount("tmpfs", world.bpffs, "tmpfs")
        says(world.must(world.tunfence("status", "wg0")), "do first")
        world.sync("wg0")
        says(world.must(world.tunfence("up", "wg0"), 1), "mount -t bpf")
        plain_umount(world.bpffs)
        status(world)
        sandbox.mount("bpf", world.bpffs, "bpf")
        says(world.must(world.tunfence("status", "wg0")), "do first")
        world.up()
        status(world)
    opens(world)
    plain_umount(world.bpffs)
    world.must(world.tunfence("status", "wg0"), 3)
    world.leaks(STRANGER, FRAME)
    world.up()
    world.silent(STRANGER, FRAME)
    opens(world)


# What is told to `tc`


def lan_behind(world):
    """Somebody behind the client, and the targets that would be reached through it."""
    lan = world.lan()
    world.ip(world.client, "addr add fd00:88::1/64 dev lan0 nodad")
    with lan_namespace(world):
        subprocess.run(["ip", "-batch", "-"], text=True, check=True, input=(
            "addr add fd00:88::2/64 dev eth0 nodad\nroute add default via fd00:88::1\n"))
    return {lan: ((w.OTHER, 9), (w.WEB6, 9))}


def lan_namespace(world):
    return world.namespaces[-1]


def test_clsact_deleted(world):
    """Where the kernel has tcx it does not matter."""
    kernel.need_tcx()
    forwarded = lan_behind(world)
    fenced(world, GATEWAY)
    with under_fire(world, forwarded=forwarded) as fire:
        for words in (("qdisc", "add", "dev", "eth0", "clsact"), ("qdisc", "del", "dev", "eth0",
                                                                 "clsact")):
            tc(world, *words)
            fire.round()
            has_states(world, eth0_wire=kernel.device_hook(), eth0_ingress=kernel.device_hook())
    opens(world)


def without_wire(world, forwarded, *words, environment, ingress, namespace):
    """Runs tc with these words, which take the wire plane off the uplink."""
    world.silent(FRAME)
    with under_fire(world, frames=False, forwarded=forwarded):
        tc(world, *words)
        has_states(world, 3, environment=environment, eth0_wire="missing", eth0_ingress=ingress,
                   socket="attached", IPv4=namespace, IPv6=namespace)
    world.leaks(FRAME)
    says(world.must(world.tunfence("status", "wg0", environment=environment), 3),
         "wire plane on eth0 is missing", "tunfence sync wg0")
    with under_fire(world, frames=False, forwarded=forwarded):
        world.must(world.tunfence("sync", "wg0", environment=environment))
    has_states(world, environment=environment, eth0_wire="clsact", eth0_ingress="clsact")
    world.silent(FRAME)


def test_clsact_deleted_on_an_older_kernel(world):
    """The wire and ingress planes are gone and status says so; what programs send is held by the
    socket plane, what is forwarded by the namespace plane. sync brings the others back."""
    kernel.need_netfilter()
    environment = {"TUNFENCE_FAULT": "no-tcx"}
    forwarded = lan_behind(world)
    fenced(world, GATEWAY, environment=environment)
    for words, ingress in ((("qdisc", "del", "dev", "eth0", "clsact"), "missing"),
                           (("filter", "del", "dev", "eth0", "egress"), "clsact")):
        without_wire(world, forwarded, *words, environment=environment, ingress=ingress,
                     namespace="attached")
    opens(world, environment=environment)


def test_clsact_deleted_without_namespace_plane(world):
    """On a still older kernel the socket plane alone is left, and it holds what programs send."""
    environment = {"TUNFENCE_FAULT": "no-tcx,no-netfilter"}
    fenced(world, environment=environment)
    without_wire(world, {}, "qdisc", "del", "dev", "eth0", "clsact", environment=environment,
                 ingress="missing", namespace="not on this kernel")
    opens(world, environment=environment)


# What is told to the firewall

FIREWALLD = """flush ruleset
table inet firewalld {
	chain output { type filter hook output priority 10; policy accept; accept; }
	chain forward { type filter hook forward priority 10; policy accept; accept; }
	chain nat { type nat hook postrouting priority 110; policy accept; masquerade; }
}
"""
DOCKER = """*nat
-F
-A POSTROUTING -j MASQUERADE
COMMIT
*filter
:FORWARD ACCEPT
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -j ACCEPT
COMMIT
"""
FLUSHED = (("-F",), ("-t", "nat", "-F"), ("-t", "mangle", "-F"), ("-X",), ("-P", "INPUT", "ACCEPT"),
           ("-P", "OUTPUT", "ACCEPT"), ("-P", "FORWARD", "ACCEPT"))


def firewall(world, *command, text=None):
    with world.client:
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")


def unharmed_by(world, *accidents):
    """By the new uplink, which sync has not seen yet, the namespace plane alone judges what is
    forwarded. Each accident is a command and its input."""
    kernel.need_netfilter()
    forwarded = {agent: ((FORWARDED, 9), (FORWARDED6, 9)) for agent in lan_behind(world)}
    fenced(world, GATEWAY)
    second = second_uplink(world)
    world.ip(world.client, f"route add {FORWARDED} via 192.168.78.1",
             f"route add {FORWARDED6} via fe80::99 dev eth1",
             f"neigh add fe80::99 lladdr {w.ROUTER_MAC} dev eth1 nud permanent")
    with under_fire(world, forwarded=forwarded, judges=[second]) as fire:
        for command, text in accidents:
            firewall(world, *command, text=text)
            fire.round()
        has_states(world, 3, IPv4="attached", IPv6="attached", eth0_wire=kernel.device_hook(),
                   eth1_wire="missing")
    world.sync()
    has_states(world, eth1_wire=kernel.device_hook())
    opens(world)
    for agent, targets in forwarded.items():
        world.leaks(*(w.udp(*target) for target in targets), agent=agent, sniffer=second)


def test_nft_ruleset_flushed_and_replaced(world):
    unharmed_by(world, (("nft", "-f", "-"), FIREWALLD), (("nft", "-f", "-"), FIREWALLD),
                (("nft", "flush", "ruleset"), None))


def test_iptables_flushed_and_replaced(world):
    unharmed_by(world, (("iptables-restore", "--noflush"), DOCKER), (("iptables-restore",), DOCKER),
                *((("iptables", *words), None) for words in FLUSHED))


def test_ip6tables_flushed_and_replaced(world):
    unharmed_by(world, (("ip6tables-restore", "--noflush"), DOCKER),
                (("ip6tables-restore",), DOCKER),
                *((("ip6tables", *words), None) for words in FLUSHED))


# What happens to the uplink


def plug_in(world, more=""):
    """The client's uplink anew, as it was. Gives a judge who was there before it could send."""
    world.ip(world.client, f"link add eth0 {more} type veth peer name client netns "
                           f"{world.router.path}")
    sniffer = world.sniff(world.router, "client")
    world.ip(world.router, f"link set client address {w.ROUTER_MAC} up",
             f"addr add {w.ROUTER}/24 dev client", f"addr add {w.ROUTER6}/64 dev client nodad",
             "addr add fe80::1/64 dev client nodad")
    world.ip(world.client, f"link set eth0 address {w.CLIENT_MAC} up")
    address(world, "eth0")
    return sniffer


def address(world, device):
    """Addresses, routes and neighbours of the uplink: what does not survive that it was down."""
    world.ip(world.client, f"addr replace {w.CLIENT}/24 dev {device}",
             f"addr replace {w.CLIENT6}/64 dev {device} nodad",
             f"route replace default via {w.ROUTER} dev {device}",
             f"route replace default via fe80::1 dev {device}",
             *(f"neigh replace {a} lladdr {w.ROUTER_MAC} dev {device} nud permanent"
               for a in (w.ROUTER, "fe80::1", w.ROUTER6)))


def made_again(world, same_index):
    """Without a namespace plane, what is forwarded is free until sync: this is about the rest."""
    forwarded = lan_behind(world) if kernel.has_netfilter() else {}
    fenced(world, GATEWAY)
    index = world.client.has("eth0")
    world.ip(world.client, "link set eth0 down")  # what was queued is on the wire or gone
    with under_fire(world, frames=False, forwarded=forwarded, device="eth0") as fire:
        world.ip(world.client, "link del eth0")
        sandbox.until(lambda: not world.client.has("eth0"), 5, "eth0 to be gone")
        fire.round()
        status(world)  # there is no uplink to fence
        world.sniffer = plug_in(world, f"index {index}" if same_index else "")
        fire.judge(world.sniffer)
        if (world.client.has("eth0") == index) != same_index:
            raise Failure("the index is not what this test is about")
        fire.round()
        has_states(world, 3, eth0_wire="missing", eth0_ingress="missing", socket="attached",
                   IPv4=kernel.namespace_hook(), IPv6=kernel.namespace_hook())
    world.leaks(FRAME)
    world.sync()
    has_states(world, eth0_wire=kernel.device_hook(), eth0_ingress=kernel.device_hook())
    with under_fire(world, forwarded=forwarded):
        world.silent(FRAME)
    opens(world)


def test_uplink_deleted_and_made_again(world):
    made_again(world, same_index=False)


def test_uplink_made_again_with_the_same_index(world):
    """The index is the old one's; the plane went with the device."""
    made_again(world, same_index=True)


def test_uplink_renamed(world):
    fenced(world)
    with under_fire(world, device="wan7", devices=("eth0", "wan7")) as fire:
        world.ip(world.client, "link set eth0 down", "link set eth0 name wan7", "link set wan7 up")
        address(world, "wan7")
        fire.round()
        has_states(world, wan7_wire=kernel.device_hook(), wan7_ingress=kernel.device_hook())
        world.sync()
        world.up()
        has_states(world, wan7_wire=kernel.device_hook(), wan7_ingress=kernel.device_hook())
    world.passes(w.outer())
    world.must(world.tunfence("down", "wg0"))
    world.leaks(STRANGER)


def test_uplink_renamed_to_the_tunnels_name(world):
    """It is no tunnel by that: its kind is another."""
    world.up()
    with under_fire(world, device="wg0", devices=("eth0", "wg0")) as fire:
        world.ip(world.client, "link set eth0 down", "link set eth0 name wg0", "link set wg0 up")
        address(world, "wg0")
        fire.round()
        says(world.must(world.tunfence("status", "wg0")), "wg0 is of kind 'veth'", "nothing passes")
        has_states(world, wg0_wire=kernel.device_hook(), wg0_ingress=kernel.device_hook())
        world.sync()
    world.must(world.tunfence("down", "wg0"))
    world.leaks(STRANGER)


def test_uplink_moved_away_and_back(world):
    """The wire plane stays on it, there and here."""
    kernel.need_tcx()
    fenced(world)
    elsewhere = world.namespace()
    there = world.new_agent(elsewhere)
    data = [ether(craft.ip4(NOISE)), ether(craft.ip6(NOISE))]
    with under_fire(world) as fire:
        there.begin(keep_sending, (), data, ["eth0"])
        fire.agents.append(there)
        world.ip(world.client, f"link set eth0 netns {elsewhere.path}")
        world.ip(elsewhere, "link set eth0 up")
        fire.round()
        status(world)
        world.sync()
        world.ip(elsewhere, f"link set eth0 netns {world.client.path}")
        world.ip(world.client, "link set eth0 up")
        address(world, "eth0")
        fire.round()
        has_states(world, eth0_wire=kernel.device_hook(), eth0_ingress=kernel.device_hook())
    world.passes(w.outer())
    opens(world)


def test_uplink_moved_away_and_back_on_an_older_kernel(world):
    """A clsact filter is lost on the way: status says so, the socket plane holds, sync heals."""
    environment = {"TUNFENCE_FAULT": "no-tcx"}
    fenced(world, environment=environment)
    elsewhere = world.namespace()
    with under_fire(world, frames=False) as fire:
        world.ip(world.client, f"link set eth0 netns {elsewhere.path}")
        world.ip(elsewhere, f"link set eth0 netns {world.client.path}")
        world.ip(world.client, "link set eth0 up")
        address(world, "eth0")
        fire.round()
        has_states(world, 3, environment=environment, eth0_wire="missing", eth0_ingress="missing",
                   socket="attached")
    world.leaks(FRAME)
    world.must(world.tunfence("sync", "wg0", environment=environment))
    has_states(world, environment=environment, eth0_wire="clsact", eth0_ingress="clsact")
    world.silent(STRANGER, FRAME)
    opens(world, environment=environment)


# What happens to the tunnel


def test_tunnel_replaced_by_an_impostor(world):
    """Of another kind: named by status, an uplink for sync, and no harm to the tunnel's return."""
    inner = w.udp(w.TUNNEL_SERVER, 9)
    fenced(world)
    with under_fire(world) as fire:
        world.ip(world.client, "link del wg0")
        sandbox.until(lambda: not world.client.has("wg0"), 5, "wg0 to be gone")
        fire.round()
        status(world)
        world.veth(world.client, "wg0", world.router, "fake")
        fake = world.sniff(world.router, "fake")
        fire.judge(fake)
        world.ip(world.router, "link set fake up")
        world.ip(world.client, "link set wg0 up", f"addr add {w.TUNNEL_CLIENT}/24 dev wg0",
                 f"neigh add {w.TUNNEL_SERVER} lladdr {w.ROUTER_MAC} dev wg0 nud permanent")
        world.silent(inner, sniffer=fake, device="wg0")
        says(world.must(world.tunfence("status", "wg0"), 3), "wg0 is of kind 'veth'",
             "wire plane on wg0 is missing")
        world.sync()
        has_states(world, wg0_wire=kernel.device_hook())
        world.silent(inner, craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t)), device="wg0"),
                     sniffer=fake, device="wg0")
        world.ip(world.client, "link del wg0")
        world.tun()
        world.passes(inner, sniffer=world.sniff(world.client, "wg0", outgoing=True, ethernet=False))
        status(world)
    opens(world)


# Other fences, other versions


def test_second_fence_up_and_down(world):
    """One of the system and one of an app, each lowered while the other is up."""
    tree = world.cgroup.child("app")
    app = world.new_agent(world.client, tree)
    second = f"[Fence]\nScope=cgroup\nCgroup={relative(world, tree)}\n{w.BASIC}"
    fenced(world)
    with under_fire(world):
        for _ in range(2):
            world.up(second, "app")
            world.must(world.tunfence("status"))
            world.down("app")
            status(world)
            world.silent(STRANGER, FRAME, agent=app)
        world.up(second, "app")
    world.down()
    world.must(world.tunfence("status", "wg0"), 3)
    world.must(world.tunfence("status", "app"))
    world.leaks(STRANGER)
    world.silent(STRANGER, FRAME, agent=app)
    world.up()
    world.down("app")
    world.silent(STRANGER, FRAME, agent=app)
    opens(world)


ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def git(*words, **options):
    done = subprocess.run(["git", "-C", ROOT, "-c", f"safe.directory={ROOT}", *words],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, **options)
    if done.returncode:
        raise Skip("there is no history to build the previous version from, and OLD_TUNFENCE does "
                   "not name one")
    return done.stdout


def previous_version():
    """The tool as it was before TF_ABI last changed: OLD_TUNFENCE, or built in build-old/."""
    if older := os.environ.get("OLD_TUNFENCE"):
        return older
    if missing := [tool for tool in ("git", "make", "gcc", "clang") if not shutil.which(tool)]:
        raise Skip(f"there is no {missing[0]} to build the previous version with")
    if not os.access(ROOT, os.W_OK):
        raise Skip(f"'{ROOT}' is read-only: the previous version cannot be built there")
    changed = git("log", "-1", "--format=%H", "-G^#define TF_ABI", "--",
                  "include/tunfence/policy.h").decode().strip()
    commit = git("rev-parse", "--verify", f"{changed}^").decode().strip()
    directory = os.path.join(ROOT, "build-old", commit)
    tool = os.path.join(directory, "build", "tunfence")
    if not os.path.exists(tool):
        os.makedirs(directory, exist_ok=True)
        subprocess.run(["tar", "-x", "-C", directory], input=git("archive", commit), check=True)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        made = subprocess.run(["nice", "make", "-C", directory, "build/tunfence"], env=clean,
                              check=False, capture_output=True, text=True)
        if made.returncode:
            raise Failure(f"the previous version cannot be built: {made.stderr[-500:]}")
    return tool


@contextlib.contextmanager
def by(world, tool):
    newer, world.settings.tool = world.settings.tool, tool
    state_dir, world.state_dir = world.state_dir, None  # an option it may not know
    try:
        yield
    finally:
        world.settings.tool, world.state_dir = newer, state_dir


@long
def test_upgrade_from_the_previous_version(world):
    """Its fence goes on, is named by status and sync, replaced by up and lowered by down."""
    older = previous_version()
    with by(world, older):
        fenced(world)
    world.silent(STRANGER, FRAME)
    with under_fire(world) as fire:
        says(world.must(world.tunfence("status", "wg0"), 3), "another version",
             "goes on working", "tunfence up wg0")
        says(world.must(world.tunfence("sync", "wg0"), 1), "another version", "tunfence up wg0")
        for step in range(1, 400, 17):
            killed = world.tunfence("up", "wg0", environment={"TUNFENCE_FAULT": str(step)})
            fire.round()
            del world.log[:-40]
            if killed.code == 0:
                break
            with by(world, older):
                world.tunfence("up", "wg0")
            fire.round()
        status(world)
    if extra := {p.split("-")[0] for p in link_pins(world)} - PINS:
        raise Failure(f"left of the previous version: {extra}")
    world.passes(w.outer())
    opens(world)
    sandbox.unmount(world.run_dir)  # the older one knows of no cover
    with by(world, older):
        world.up()
    world.silent(STRANGER, FRAME)
    opens(world)


def pin_as_before(world):
    """Links where they are shown, as versions before did."""
    directory = os.path.join(world.bpffs, "tunfence", "wg0", "links")
    os.mkdir(directory)
    for name in link_pins(world):
        world.below(shown, "link", "pin", "pinned", own_link(world, name),
                    os.path.join(directory, name))


@long
def test_links_shown_by_an_earlier_version(world):
    """Both where they are shown and in a place of its own, or in the first alone: up takes them
    over without a gap, killed after whichever step, and down leaves none."""
    fenced(world)
    pins = w.pins(world.bpffs)
    with under_fire(world) as fire:
        for step in (*range(1, 14), 0):
            pin_as_before(world)
            if step % 2:
                for path in (world.run_dir, os.path.join(world.run_dir, "bpf"),
                             os.path.join(world.bpffs, "tunfence-held")):
                    sandbox.unmount(path)
            else:
                says(world.must(world.tunfence("status", "wg0")), "do first", "earlier version")
            world.tunfence("up", "wg0", environment={"TUNFENCE_FAULT": str(step)})
            fire.round()
            world.must(world.tunfence("up", "wg0"))
            well(world)
            if w.pins(world.bpffs) != pins:
                raise Failure(f"{w.pins(world.bpffs)} instead of {pins}")
            del world.log[:-40]
        pin_as_before(world)
    opens(world)


PINS = {"socket", "wire", "in", "ns4", "ns6", "guard", "who"}


# Files


def shown(*words):
    done = bpftool("-j", *words)
    if done.returncode:
        raise Failure(f"bpftool {' '.join(words)}: {done.stderr or done.stdout}")
    return done.stdout


def running(world):
    """All that a fence judges by: its links, the programs that they run, and what is in every map
    that is shown, but for what counts packets and who made which socket."""
    maps = os.path.join(world.bpffs, "tunfence", "wg0", "maps")
    dumps = {name: shown("map", "dump", "pinned", os.path.join(maps, name))
             for name in os.listdir(maps) if name not in ("counters", "owners")}
    programs = {pin: json.loads(world.below(shown, "link", "show", "pinned", own_link(world, pin)))
                for pin in link_pins(world)}
    return dumps, {pin: link["prog_id"] for pin, link in programs.items()}


def test_configuration_broken(world):
    """Whatever is found where the file should be: up fails, and what runs is as it was."""
    fenced(world, w.BASIC + "[Allow]\nDestination=udp 192.0.2.1 port 123\n")
    path = os.path.join(world.config_dir, "wg0.conf")
    good = w.BASIC.encode()
    before = running(world)
    with under_fire(world):
        for data in (b"", b"\0" * 4096, bytes(range(256)) * 64, good + b"\xff\xfe=1\n",
                     good[:-20], good + b"[Allow]\nLAN", good.replace(b"Endpoint", b"Endpont"),
                     b"#" * (1 << 20), good + b"Endpoint=" + b"9" * 70000):
            write(path, data)
            refused(world, before, path)
        unreadable = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        write(path, good)
        os.chmod(path, 0)
        refused(world, before, path, wrapper=unreadable)
        os.chmod(path, 0o666)
        refused(world, before, "chmod go-w")
        os.unlink(path)
        refused(world, before, path)
        status(world)
    world.up()
    if running(world) == before:
        raise Failure("a good configuration changes nothing: this shows nothing")
    opens(world)


def test_configuration_is_no_file(world):
    """Nothing else is taken instead, though there would be a WireGuard configuration."""
    fenced(world, w.BASIC + "[Allow]\nDestination=udp 192.0.2.1 port 123\n")
    write(os.path.join(world.wireguard_dir, "wg0.conf"),
          f"[Peer]\nPublicKey={'A' * 43}=\nEndpoint={w.VPN}:{w.VPN_PORT}\n".encode())
    path = os.path.join(world.config_dir, "wg0.conf")
    before = running(world)
    with under_fire(world):
        for target in ("/missing/wg0.conf", path, "/dev/zero", "/"):
            os.unlink(path)
            os.symlink(target, path)
            refused(world, before, path)
        os.unlink(path)
        os.mkfifo(path)
        refused(world, before, path)
        os.unlink(path)
        world.must(world.tunfence("up", "wg0"))  # with none at all the other is right
        status(world)
    opens(world)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def refused(world, before, *words, **options):
    says(world.must(world.tunfence("up", "wg0", **options), 1), *words)
    if running(world) != before:
        raise Failure("the running fence was changed")


def test_state_file_lost_or_broken(world):
    """The fence does not need it: status and sync say what cannot be done without, up restores."""
    fenced(world)
    path = os.path.join(world.run_dir, "wg0.json")
    good = world.below(read, path).decode()
    with under_fire(world):
        for text in (None, "", good[:-10], "\0" * 4096, "[" * 100000,
                     re.sub(r'"version": \d+', '"version": 999', good)):
            world.below(os.unlink, path)
            if text is not None:
                world.below(write, path, text.encode())
            status(world)
            says(world.sync("wg0"), path, "tunfence up wg0")
            world.up()
            if world.below(os.path.getsize, path) != len(good):
                raise Failure("up did not write it again")
        other = good.replace(world.cgroup.path, os.path.dirname(world.cgroup.path))
        world.below(write, path, other.encode())
        says(world.must(world.tunfence("status", "wg0"), 3), "does not hold the cgroup")
        world.must(world.tunfence("sync", "wg0"), 1)
        world.below(os.unlink, path)
    opens(world)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def test_started_with_what_another_boot_left(world):
    """No program runs, but files say so: nobody believes them, and up comes up."""
    fenced(world)
    own = os.path.join(world.run_dir, "bpf")
    for mountpoint in (world.bpffs, world.run_dir, own):
        sandbox.unmount(mountpoint)
    sandbox.mount("bpf", world.bpffs, "bpf")
    for directory in (os.path.join(world.bpffs, "tunfence"), own):
        for kind in ("links", "progs", "maps"):
            os.makedirs(os.path.join(directory, "wg0", kind))
    write(os.path.join(own, "wg0", "links", "socket"), b"of another boot")
    opened(world)
    says(world.tunfence("status", "wg0"), "wg0")
    world.must(world.tunfence("sync", "wg0"), 1)
    world.up()
    status(world)
    world.silent(STRANGER, FRAME)
    opens(world)


# Cgroups


def test_process_moved_within_the_scope(world):
    """Its old sockets stay where they were made and its new ones are judged where it is now."""
    fenced(world)
    places = [world.cgroup.child("one"), world.cgroup.child("two"), world.cgroup]
    with under_fire(world) as fire:
        for place in places:
            with open(os.path.join(place.path, "cgroup.procs"), "w") as procs:
                procs.write(str(fire.agents[0].pid))
            fire.round()
            world.agent.call(place.join)
            world.silent(STRANGER, w.tcp(w.WEB, 80), w.ping(w.OTHER))
    status(world)
    opens(world)


def test_scope_of_an_app_made_anew(world):
    """As systemd does when a unit restarts: the new cgroup is not the fenced one. Status says so,
    sync cannot help; up fences it."""
    tree = world.cgroup.child("app")
    app = world.new_agent(world.client, tree)
    config = f"[Fence]\nScope=cgroup\nCgroup={relative(world, tree)}\n{w.BASIC}"
    fenced(world, config)
    world.silent(STRANGER, agent=app)
    status(world)
    app.stop()
    tree.remove()
    for _ in range(2):
        says(world.must(world.tunfence("status", "wg0"), 3), tree.path, "tunfence up wg0")
        says(world.must(world.tunfence("sync", "wg0"), 1), tree.path, "tunfence up wg0")
        if not os.path.exists(tree.path):
            tree = world.cgroup.child("app")
            app = world.new_agent(world.client, tree)
            world.leaks(STRANGER, agent=app)
    world.up(None)
    status(world)
    world.silent(STRANGER, agent=app)
    world.must(world.tunfence("down", "wg0"))
    world.leaks(STRANGER, agent=app)
