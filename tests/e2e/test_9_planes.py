# SPDX-License-Identifier: GPL-2.0
"""Every plane is there after up, seen when it is taken off, put back by sync, and gone after down."""

import bisect
import errno
import json
import os
import re
import socket
import subprocess
import tempfile

import craft
import hostile
import kernel
import sandbox
import senders
import world as w
from craft import ether
from sandbox import Failure, Skip
from test_3_leaks import second_uplink
from test_5_loader import own_link

STRANGER = w.udp(w.OTHER, 9)
FRAME = craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t)))
GATEWAY = w.BASIC + "[Allow]\nInside=lan0\n"
FORWARDED = "198.51.100.77"  # by the second uplink
SOL_PACKET, QDISC_BYPASS, AF_XDP = 263, 20, 44

# Without these nothing opens: what they refuse, other planes would drop; one refuses nothing.
CONVENIENCE = {"connect4", "connect6", "sendmsg4", "sendmsg6", "sock_create"}


def status(world, code=0, **options):
    """The fence wg0, as status tells it."""
    said = world.must(world.tunfence("status", "wg0", "--json", **options), code)
    return json.loads(said.out)["fences"][0]


def states(fence):
    """{hook: state} of all hooks; those of devices as "device hook"."""
    found = {h["hook"]: h["state"] for h in fence["hooks"]}
    for interface in fence["interfaces"]:
        for plane in ("wire", "ingress"):
            if plane in interface and interface["name"] not in kernel.FALLBACK:
                found[f"{interface['name']} {plane}"] = interface[plane]
    return found


def expect(world, code=0, config=None, **wanted):
    """The states are as usual on this kernel but for those wanted: keys have '_' for ' '."""
    usual = {"socket": "attached", "IPv4": kernel.namespace_hook(),
             "IPv6": kernel.namespace_hook(), "setsockopt": "attached", "connect4": "attached",
             "connect6": "attached", "sendmsg4": "attached", "sendmsg6": "attached",
             "sock_create": "attached",
             "eth0 wire": kernel.device_hook(), "eth0 ingress": kernel.device_hook()}
    wanted = {k if k in usual else k.replace("_", " "): v for k, v in wanted.items()}
    found = states(status(world, code))
    found.pop("LSM")  # as the kernel has it
    if found != usual | wanted:
        raise Failure(f"status says {found} instead of {usual | wanted}")


def link_pins(world):
    """The names of the fence's pinned links."""
    return world.below(os.listdir, own_link(world, ""))


def bpftool(*words):
    done = subprocess.run(["bpftool", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"bpftool {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")


def tc(world, *words):
    with world.client:
        return subprocess.run(["tc", *words], capture_output=True, text=True, check=True).stdout


def bypass():
    """Whether a program may ask to send past tc."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        try:
            sock.setsockopt(SOL_PACKET, QDISC_BYPASS, 1)
        except OSError as error:
            return errno.errorcode[error.errno]
    return "may"


def connect(address):
    """A connection is tried; refused at once, or left hanging."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        return errno.errorcode[sock.connect_ex((address, 80))]


def received(name):
    """The datagrams that have arrived at a socket made by senders.listen."""
    found = []
    senders.kept[name].setblocking(False)
    while True:
        try:
            found.append(senders.kept[name].recv(2048))
        except BlockingIOError:
            return found


def hold(name, family=socket.AF_PACKET, option=False):
    """A socket that outlives the call, told to send past tc or not."""
    senders.kept[name] = socket.socket(family, socket.SOCK_RAW, 0)
    if option:
        senders.kept[name].setsockopt(SOL_PACKET, QDISC_BYPASS, 1)


class WayIn:
    """A stranger who sends to the client's port 7777, and to 7778, which is open."""

    def __init__(self, world):
        self.world = world
        self.stranger = world.new_agent(world.router)
        for port in (7777, 7778):
            world.agent.call(senders.listen, str(port), "0.0.0.0", port, socket.SOCK_DGRAM)
            world.agent.call(senders.listen, f"{port}-6", "::", port + 2, socket.SOCK_DGRAM)

    def opened(self):
        """Whether the datagram to 7777 came in: the one to 7778 came after it."""
        for port in (7777, 7778):
            self.stranger.call(senders.udp, w.CLIENT, port, b"in")
        sandbox.until(lambda: self.world.agent.call(received, "7778"), 5, "the allowed datagram")
        return bool(self.world.agent.call(received, "7777"))

    def must(self, wanted):
        if self.opened() != wanted:
            raise Failure(f"what came in unasked was {'dropped' if wanted else 'not dropped'}")


OPEN = "[Allow]\nInboundUDP=7778\n"


def test_up_and_down(world):
    """Each plane does what it alone can do, and nothing of it is left after down."""
    way_in = WayIn(world)

    def must(fenced):
        way_in.must(not fenced)
        for function, args, closed, opened in ((bypass, (), "EPERM", "may"),
                                               (connect, (w.WEB,), "EPERM", "EINPROGRESS")):
            if (told := world.agent.call(function, *args)) != (closed if fenced else opened):
                raise Failure(f"{function.__name__}: {told}")
    must(False)
    world.up(w.BASIC + OPEN)
    expect(world)
    must(True)
    world.silent(STRANGER, FRAME)
    world.down()
    must(False)
    world.leaks(STRANGER, FRAME)
    if left := w.pins(world.bpffs) + world.own_pins():
        raise Failure(f"left behind: {left}")


def test_each_link_detached(world):
    """By bpftool, which leaves the pins: status tells, exit 3 where something opens, sync heals."""
    world.up()
    for pin in sorted(link_pins(world)):
        if pin.startswith(("wire-", "in-")) and pin.split("-")[1] != "eth0":
            continue
        world.below(bpftool, "link", "detach", "pinned", own_link(world, pin))
        kind = pin.rpartition("-")[0] if pin[:5] == "guard" else pin.split("-")[0]
        hook = {"wire": "eth0 wire", "in": "eth0 ingress", "ns4": "IPv4", "ns6": "IPv6",
                "guard-opt": "setsockopt", "socket": "socket", "who": "sock_create"}.get(
                    kind, kind.replace("guard-conn", "connect").replace("guard-send", "sendmsg"))
        if hook == "guard-lsm":
            continue
        expect(world, 0 if hook in CONVENIENCE else 3, **{hook.replace(" ", "_"): "missing"})
        world.sync("wg0")
        expect(world)
        world.silent(STRANGER, FRAME)
    world.down()


def test_another_program_in_front(world):
    """It may let packets pass the wire plane: status says so, and up stands first again."""
    kernel.need_tcx()
    world.up()
    with world.client:
        intruder = hostile.stand_in_front(world.client.has("eth0"))
    try:
        world.leaks(FRAME)
        said = world.must(world.tunfence("status", "wg0"), 3).out
        if "in front of" not in said or "'tunfence up wg0'" not in said:
            raise Failure(f"status: {said}")
        expect(world, 3, eth0_wire="tcx-behind")
        world.up()
        expect(world)
        world.silent(STRANGER, FRAME)
        if len(wires := [pin for pin in link_pins(world) if pin.startswith("wire-eth0")]) != 1:
            raise Failure(f"links on eth0: {wires}")
    finally:
        os.close(intruder)
    world.sync("wg0")
    expect(world)
    world.silent(STRANGER, FRAME)


def test_sync_replaces_what_is_stale(world):
    """A replace that was killed half way leaves two policies; sync brings all to the newer one."""
    world.up()
    for step in range(60, 400):
        killed = world.tunfence("up", "wg0", environment={"TUNFENCE_FAULT": str(step)})
        if killed.code == 0:
            raise Failure("no step left a hook with the earlier policy")
        said = world.tunfence("status", "wg0", "--json")
        if "stale" in states(json.loads(said.out)["fences"][0]).values():
            break
        del world.log[:-40]
    world.must(said, 3)
    world.sync("wg0")
    if "stale" in states(status(world)).values():
        raise Failure("sync left a hook with the earlier policy")
    world.silent(STRANGER, FRAME)


def test_inbound_accept(world):
    """Who says so gets no ingress program at all, and it comes and goes with a replace."""
    way_in = WayIn(world)
    world.up(w.BASIC + OPEN)
    way_in.must(False)
    world.up(w.BASIC + OPEN + "Inbound=accept\n")
    way_in.must(True)
    if left := [p for p in link_pins(world) if p.startswith("in-")]:
        raise Failure(f"left behind: {left}")
    if "ingress" in str(states(status(world))):
        raise Failure("status shows an ingress plane")
    world.up(w.BASIC + OPEN)
    way_in.must(False)
    expect(world)


def test_inbound_by_clsact(world):
    """The same where there is no tcx, and what `tc` does to it is seen and healed."""
    old = {"TUNFENCE_FAULT": "no-tcx"}
    way_in = WayIn(world)
    world.up(w.BASIC + OPEN, environment=old)
    way_in.must(False)
    if "clsact" != states(status(world, environment=old))["eth0 ingress"]:
        raise Failure("no clsact filter")
    tc(world, "filter", "del", "dev", "eth0", "ingress")
    found = states(status(world, 3, environment=old))
    if (found["eth0 ingress"], found["eth0 wire"]) != ("missing", "clsact"):
        raise Failure(f"status says {found}")
    way_in.must(True)
    world.must(world.tunfence("sync", environment=old))
    way_in.must(False)
    tc(world, "qdisc", "del", "dev", "eth0", "clsact")
    found = states(status(world, 3, environment=old))
    if (found["eth0 ingress"], found["eth0 wire"]) != ("missing", "missing"):
        raise Failure(f"status says {found}")
    world.silent(STRANGER)  # by the socket plane
    world.must(world.tunfence("sync", environment=old))
    status(world, environment=old)
    way_in.must(False)
    world.up(w.BASIC + OPEN + "Inbound=accept\n", environment=old)
    way_in.must(True)
    if tc(world, "filter", "show", "dev", "eth0", "ingress").strip():
        raise Failure("a filter is left")
    world.must(world.tunfence("down", "wg0", environment=old))
    world.leaks(STRANGER, FRAME)


def test_device_becomes_inside_or_tunnel(world):
    """It loses both programs of the uplink it was."""
    world.up()
    expect(world)
    world.up(w.BASIC + "[Allow]\nInside=eth0\n")
    if left := [p for p in link_pins(world) if p.startswith(("wire-eth0", "in-eth0"))]:
        raise Failure(f"left behind: {left}")
    world.up()
    expect(world)


def forward_by(world):
    """What the client forwards from its LAN leaves by a second uplink."""
    world.ip(world.client, f"route add {FORWARDED} via 192.168.78.1")


def test_fresh_uplink(world):
    """Forwarded by an interface that came a moment ago: the namespace plane drops it, no sync."""
    kernel.need_netfilter()
    lan = world.lan()
    second = second_uplink(world)
    forward_by(world)
    shot = w.udp(FORWARDED, 9)
    world.leaks(shot, agent=lan, sniffer=second)
    world.ip(world.client, "link del eth1")
    world.up(GATEWAY)
    second = second_uplink(world)
    forward_by(world)
    world.silent(shot, agent=lan, sniffer=second, device="eth1")
    fence = status(world, 3)  # the wire plane is missing there
    if not [c for c in fence["counters"] if c["plane"] == "namespace" and c["verdict"] == "drop"]:
        raise Failure(f"the namespace plane dropped nothing: {fence['counters']}")
    world.sync()
    found = states(status(world))
    if {found["eth1 wire"], found["eth1 ingress"]} != {kernel.device_hook()}:
        raise Failure(f"sync put no planes on eth1: {found}")
    world.silent(shot, agent=lan, sniffer=second, device="eth1")
    world.down()
    world.leaks(shot, agent=lan, sniffer=second)


def namespace_pins(world):
    return {p for p in link_pins(world) if p.startswith("ns")}


def test_namespace_links_replaced(world):
    """Killed anywhere in between, one of the two links judges what a fresh uplink forwards; and
    no more than the two needed are left by the up that comes to its end."""
    kernel.need_netfilter()
    lan = world.lan()
    shot = w.udp(FORWARDED, 9)
    world.up(GATEWAY)
    seen = set()

    def changed_by(step):
        before = namespace_pins(world)
        killed = world.tunfence("up", "wg0", environment={"TUNFENCE_FAULT": str(step)})
        after = namespace_pins(world)
        del world.log[:-40]
        if after != before:
            seen.add(len(after))
            sniffer = second_uplink(world)
            forward_by(world)
            world.silent(shot, agent=lan, sniffer=sniffer, device="eth1")
            world.ip(world.client, "link del eth1")
        return after != before, killed.code == 0 or (len(after) == 2 and not after & before)
    # The first step that changes one of the links, then one by one until both are others.
    step = 1 + bisect.bisect_left(range(1, 400), True, key=lambda s: changed_by(s)[0])
    while not changed_by(step)[1]:
        step += 1
    world.must(world.tunfence("up", "wg0"))
    if not seen >= {2, 3} or len(namespace_pins(world)) != 2:
        raise Failure(f"at times {seen} links, {namespace_pins(world)} at the end")


def test_without_netfilter(world):
    """A kernel without it: said, and nothing fails; it comes and goes with the kernel."""
    old = {"TUNFENCE_FAULT": "no-netfilter"}
    for environment, wanted in ((old, "not on this kernel"), (None, kernel.namespace_hook()),
                                (old, "not on this kernel")):
        said = world.up(environment=environment)
        expect(world, IPv4=wanted, IPv6=wanted)
        if bool(re.search("; .*namespace.* not on this kernel", said.out)) != (wanted != "attached"):
            raise Failure(f"up says: {said.out}")
        world.silent(STRANGER, FRAME)
    if left := [p for p in w.pins(world.bpffs) + link_pins(world) if p.rpartition("/")[2].startswith("ns")]:
        raise Failure(f"left behind: {left}")


def test_a_program_that_is_refused_takes_nothing_off(world):
    """An earlier version's stands: that is no kernel without it, and the fence stays as it was."""
    refused = {"TUNFENCE_FAULT": "refused-netfilter"}
    world.up()
    before = namespace_pins(world)
    if not before:
        raise Skip("this kernel has no netfilter programs")
    result = world.tunfence("up", "wg0", environment=refused)
    if result.code != 1 or "tunfence_ns" not in result.err or "tunfence down wg0" not in result.err:
        raise Failure(f"the one that stands is passed over: {result}")
    if namespace_pins(world) != before:
        raise Failure(f"{before} became {namespace_pins(world)}")
    expect(world, IPv4="attached", IPv6="attached")
    world.silent(STRANGER, FRAME)
    world.down()
    world.up(environment=refused)
    expect(world, IPv4="not on this kernel", IPv6="not on this kernel")


def test_without_lsm(world):
    said = world.up(environment={"TUNFENCE_FAULT": "no-lsm"})
    if "LSM not on this kernel" not in said.out:
        raise Failure(f"up says: {said.out}")


def test_names_who_sends_past(world):
    """Only who was told to bypass the queueing discipline, and who has an AF_XDP socket."""
    world.agent.call(hold, "told", option=True)
    harmless = world.new_agent(world.client, world.cgroup)
    harmless.call(hold, "plain")
    elsewhere = world.new_agent(world.client)
    elsewhere.call(hold, "told", option=True)
    try:
        express = world.new_agent(world.client, world.cgroup)
        express.call(hold, "xdp", AF_XDP)
    except Failure:
        express = None
    said = world.up(environment={"TUNFENCE_FAULT": "no-lsm"}).out
    for agent, wanted in ((world.agent, True), (harmless, False), (elsewhere, False),
                          (express, True)):
        if agent and (f"(pid {agent.pid})" in said) != wanted:
            raise Failure(f"pid {agent.pid}, {'not ' * (not wanted)}to be named: {said}")
    world.agent.call(senders.close, "told")
    if f"(pid {world.agent.pid})" in world.up(environment={"TUNFENCE_FAULT": "no-lsm"}).out:
        raise Failure("named although it has closed the socket")


def test_names_services_that_are_cut_off(world):
    world.agent.call(senders.listen, "web", "0.0.0.0", 8080)
    world.agent.call(senders.listen, "web6", "::", 8081)
    world.agent.call(senders.listen, "own", "127.0.0.1", 8082)
    world.agent.call(senders.listen, "time", "0.0.0.0", 123, socket.SOCK_DGRAM)
    said = world.up().out
    if "tcp 8080 8081, udp 123 " not in said or "8082" in said:
        raise Failure(f"up says: {said}")
    for allowed in ("[Allow]\nInboundTCP=8080 8081\nInboundUDP=123\n", "[Allow]\nInbound=accept\n"):
        if "nobody reaches" in (said := world.up(w.BASIC + allowed).out):
            raise Failure(f"up says: {said}")


def test_sync_says_nothing_without_a_fence(world):
    """As udev runs it for every interface: nothing is made, nothing mounted."""
    said = world.sync()
    if said.out or said.err or os.path.exists(world.run_dir):
        raise Failure(f"{said}, {os.listdir(world.directory)}")
    if "no fence" not in world.must(world.tunfence("sync", "wg0"), 1).err:
        raise Failure("sync of a fence that is none does not say so")


def run_directory(world, options):
    os.mkdir(world.run_dir)
    sandbox.mount("tmpfs", world.run_dir, "tmpfs", options)


def fill(directory):
    """Until not one more byte can be written there."""
    with open(os.path.join(directory, "ballast"), "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def test_no_inode_left_in_run(world):
    """The first up fails before it touches anything."""
    run_directory(world, "size=1m,nr_inodes=1")
    world.write_config(w.BASIC)
    said = world.must(world.tunfence("up", "wg0"), 1)
    if world.run_dir not in said.err:
        raise Failure(said.err)
    world.leaks(STRANGER, FRAME)


def test_full_run(world):
    """A replace succeeds, the state file alone is missed."""
    run_directory(world, "size=64k,nr_inodes=64")
    world.up()
    world.below(fill, world.run_dir)
    said = world.up(w.BASIC + "[Allow]\nLAN=yes\n")
    if "warning" not in said.out:
        raise Failure(f"up says nothing of the state file: {said.out}")
    world.silent(STRANGER, FRAME)
    world.down()
    world.leaks(STRANGER, FRAME)


def test_read_only_run(world):
    """Nothing is replaced, and the fence that is up stays."""
    run_directory(world, "size=1m")
    world.up()
    before = w.pins(world.bpffs)
    subprocess.run(["umount", world.run_dir], check=True)
    subprocess.run(["mount", "-o", "remount,ro", world.run_dir], check=True)
    said = world.must(world.tunfence("up", "wg0"), 1)
    if world.run_dir not in said.err or w.pins(world.bpffs) != before:
        raise Failure(f"{said.err}, {w.pins(world.bpffs)}")
    world.silent(STRANGER, FRAME)
    expect(world)
    subprocess.run(["umount", world.run_dir], check=True)
    subprocess.run(["mount", "-o", "remount,rw", world.run_dir], check=True)
    world.down()


def test_names_that_no_longer_resolve(world):
    """sync keeps what a name led to, as the resolver may be behind the tunnel that it belongs to."""
    with tempfile.NamedTemporaryFile("w", dir=world.directory) as hosts:
        hosts.write(f"{w.VPN} vpn.example\n")
        hosts.flush()
        subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)
        try:
            world.up("[Tunnel]\nInterface=wg0\nKind=tun\nEndpoint=vpn.example:51820\n")
        finally:
            subprocess.run(["umount", "/etc/hosts"], check=True)
    world.passes(w.outer())
    if "did not resolve" not in world.sync().out:
        raise Skip("'vpn.example' resolves here")
    world.passes(w.outer())
    world.silent(STRANGER)
