# SPDX-License-Identifier: GPL-2.0
"""Raising, replacing and lowering a fence: at no step, however it ends, does a gap open."""

import json
import os
import re
import subprocess
import time

import craft
import kernel
import sandbox
import senders
import world as w
from craft import ether
from sandbox import Failure
from test_6_command import says

STRANGER = w.udp(w.OTHER, 9)
BLAST = bytes.fromhex("b1a57b1a57b1a57b") * 2
MOST_STEPS = 2000


def long(test):
    """Started before the others, so that no processor idles at the end."""
    test.is_long = True
    return test


class Blaster:
    """A process that sends by sockets and by AF_PACKET, at full speed, until stopped."""

    def __init__(self, world):
        self.world = world
        self.agent = world.new_agent(world.client, world.cgroup)
        self.agent.call(os.nice, 10)  # full speed, but what is under test goes first
        self.agent.begin(senders.blast,
                         [(w.OTHER, 9, BLAST), (w.WEB6, 9, BLAST), (w.RESOLVER, 53, BLAST)],
                         [ether(craft.ip4(BLAST)), ether(craft.ip6(BLAST))], "eth0")

    def round(self):
        """Returns when each kind of packet has been tried at least once from now on."""
        goal = self.agent.rounds() + 2
        sandbox.until(lambda: self.agent.rounds() >= goal, 10, "the blaster")

    def stop(self):
        """Every single send must have been refused. Where one plane had a gap the other still kept
        the packet off the wire, but the sender was not told so by the socket plane."""
        self.agent.begin(senders.nothing)
        tried, sent = self.agent.end()
        self.agent.end()
        self.world.log.append(f"blasted {tried} packets, {sent} taken by the kernel")
        if sent or tried < 1000:
            raise Failure(f"{sent} of {tried} packets of the blast were not refused")
        return tried


def all_pins(world):
    """Without the numbers of namespace links: they cannot be swapped, so a replace makes new ones."""
    return {home: [re.sub(r"/(ns[46])-[0-9]+$", r"/\1-N", p) for p in paths]
            for home, paths in (("bpffs", w.pins(world.bpffs)), ("own", world.own_pins()))}


def each_step(world, *command, name="wg0", before=None, after=None):
    """Runs the command again and again, killed after its first step, its second, and so on."""
    for step in range(1, MOST_STEPS):
        if before:
            before()
        result = world.tunfence(*command, name, environment={"TUNFENCE_FAULT": str(step)})
        del world.log[:-40]
        if after:
            after(step, result)
        if result.code == 0:
            return step - 1
        if result.code != -9:
            raise Failure(f"step {step}: neither killed nor done: {result}")
    raise Failure(f"more than {MOST_STEPS} steps")


@long
def test_replaced_again_and_again(world):
    """No packet goes unjudged while the fence is replaced under fire."""
    world.up()
    configs = [w.BASIC, w.BASIC + "[Allow]\nLAN=yes\nDestination=udp 192.0.2.1 port 123\n"]
    mark = world.sniffer.mark()
    blaster = Blaster(world)
    blaster.round()
    start = time.monotonic()
    for number in range(world.settings.replaces):
        world.up(configs[number % 2])
        if number % 100 == 99:
            blaster.round()
            world.quiet_since(mark)
        del world.log[:-40]
    took = time.monotonic() - start
    tried = blaster.stop()
    world.log.append(f"{world.settings.replaces} replaces in {took:.1f} s")
    world.quiet_since(mark)
    if tried < world.settings.replaces:
        raise Failure(f"only {tried} packets were tried")
    world.passes(w.outer())
    world.down()
    world.leaks(STRANGER)


@long
def test_killed_after_each_step_of_the_first_up(world):
    world.write_config(w.BASIC)
    empty = w.pins(world.bpffs)

    def recover(step, _):
        world.must(world.tunfence("up", "wg0"))
        world.silent(STRANGER, craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t))))
        world.must(world.tunfence("down", "wg0"))
        if w.pins(world.bpffs) != empty:
            raise Failure(f"step {step} left {all_pins(world)}")
    steps = each_step(world, "up", after=recover)
    world.leaks(STRANGER)
    if steps < 10:
        raise Failure(f"only {steps} steps: faults are not injected")


@long
def test_killed_after_each_step_of_a_replace(world):
    """Under fire: not one frame from the first up on, whichever step was the last."""
    world.up()
    complete = all_pins(world)
    world.write_config(w.BASIC + "[Allow]\nDHCP=no\n")
    mark = world.sniffer.mark()
    blaster = Blaster(world)
    blaster.round()
    steps = each_step(world, "up", after=lambda *_: blaster.round())
    blaster.stop()
    world.quiet_since(mark)
    world.must(world.tunfence("up", "wg0"))
    if all_pins(world) != complete:
        raise Failure(f"leftovers of killed replaces: {all_pins(world)} instead of {complete}")
    world.down()
    world.leaks(STRANGER)
    if steps < 10:
        raise Failure(f"only {steps} steps: faults are not injected")


def test_killed_after_each_step_of_sync(world):
    """With an uplink plugged in each time, so that there is something to do."""
    world.up()
    mark = world.sniffer.mark()
    blaster = Blaster(world)
    blaster.round()

    def plug():
        if world.client.has("eth1"):
            world.ip(world.client, "link del eth1")
        world.veth(world.client, "eth1", world.router, "second")
        world.ip(world.client, "link set eth1 up")
    steps = each_step(world, "sync", before=plug, after=lambda *_: blaster.round())
    blaster.stop()
    world.quiet_since(mark)
    world.sync()
    world.silent(STRANGER)
    if steps < 3:
        raise Failure(f"only {steps} steps: faults are not injected")


def test_killed_after_each_step_of_down(world):
    """down may stop half way; then up closes again, and down again finishes."""
    empty = w.pins(world.bpffs)

    def recover(step):
        if step % 2:
            world.must(world.tunfence("up", "wg0"))
            world.silent(STRANGER, craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t))))
        elif world.tunfence("status", "wg0").code != 0 and w.pins(world.bpffs) == empty:
            return
        world.must(world.tunfence("down", "wg0"))
        if w.pins(world.bpffs) != empty:
            raise Failure(f"step {step} left {all_pins(world)}")
    world.write_config(w.BASIC)
    for steps in range(1, MOST_STEPS):
        world.must(world.tunfence("up", "wg0"))
        result = world.tunfence("down", "wg0", environment={"TUNFENCE_FAULT": str(steps)})
        del world.log[:-40]
        if result.code == 0:
            break
        recover(steps)
    world.leaks(STRANGER)
    if steps < 5:
        raise Failure(f"only {steps} steps: faults are not injected")


def refused_and_still_closed(world, *words, **options):
    """The command fails, says what and why, and the old fence is as it was."""
    before = all_pins(world)
    mark = world.sniffer.mark()
    result = world.tunfence("up", "wg0", **options)
    if result.code != 1:
        raise Failure(f"exit code {result.code} instead of 1")
    for word in words:
        if word not in result.err:
            raise Failure(f"the error does not say '{word}': {result.err.strip()}")
    if all_pins(world) != before:
        raise Failure(f"pins changed: {all_pins(world)} instead of {before}")
    world.silent(STRANGER, craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t))))
    world.passes(w.outer())
    world.quiet_since(mark)


def test_broken_configuration(world):
    world.up()
    for text, word in (("[Tunnel]\nInterface=wg0\nEndpont=1.2.3.4:5\n", ":3:"),
                       ("", "[Tunnel]"), ("[Tunnel]\nInterface=wg0\n[Allow]\nLAN=maybe\n", ":4:"),
                       (w.BASIC + "Endpoint=127.0.0.1:51820\n", "127.0.0.1")):
        path = world.write_config(text)
        refused_and_still_closed(world, path, word)


def test_full_map(world):
    world.up()
    many = "".join(f"Endpoint=203.0.113.{n % 250 + 1}:{40000 + n}\n" for n in range(1100))
    world.write_config(w.BASIC + many)
    refused_and_still_closed(world, "1024")


def test_no_cgroup2(world):
    world.up()
    refused_and_still_closed(world, "/run/e2e", cgroup="/run/e2e")
    refused_and_still_closed(world, "missing", cgroup=os.path.join(world.cgroup.path, "missing"))


def test_no_bpffs(world):
    world.up()
    plain = os.path.join(world.directory, "plain")
    os.mkdir(plain)
    refused_and_still_closed(world, plain, bpffs=plain)
    refused_and_still_closed(world, "missing", bpffs=os.path.join(world.directory, "missing"))


def test_no_bpffs_at_all(world):
    """The first up, where nothing is mounted, says so and leaves nothing."""
    plain = os.path.join(world.directory, "plain")
    os.mkdir(plain)
    world.write_config(w.BASIC)
    result = world.must(world.tunfence("up", "wg0", bpffs=plain), 1)
    if plain not in result.err or os.listdir(plain):
        raise Failure(f"{os.listdir(plain)}, {result.err.strip()}")
    world.leaks(STRANGER)


def test_unprivileged(world):
    world.up()
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
              "--bounding-set=-all")
    refused_and_still_closed(world, "root", wrapper=nobody)
    for command in ("down", "sync"):
        if world.tunfence(command, "wg0", wrapper=nobody).code != 1:
            raise Failure(f"nobody may run {command}")
    world.silent(STRANGER)


def test_kernel_without_tcx(world):
    """The older way of attaching covers the same."""
    old = {"TUNFENCE_FAULT": "no-tcx"}
    packet = craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t)))
    world.leaks(STRANGER, packet)
    world.up(environment=old)
    with world.client:
        filters = subprocess.run(["tc", "filter", "show", "dev", "eth0", "egress"], text=True,
                                 capture_output=True, check=True).stdout
    if "bpf" not in filters:
        raise Failure(f"no filter on eth0: {filters}")
    world.silent(STRANGER, packet, w.udp(w.WEB6, 9))
    world.passes(w.outer())
    mark = world.sniffer.mark()
    blaster = Blaster(world)
    blaster.round()
    for _ in range(20):
        world.up(environment=old)
    blaster.stop()
    world.quiet_since(mark)
    world.must(world.tunfence("down", "wg0", environment=old))
    world.leaks(STRANGER, packet)
    if w.pins(world.bpffs):
        raise Failure(f"left behind: {all_pins(world)}")


def test_from_clsact_to_tcx_and_back(world):
    """A new kernel's way replaces the old one's without a gap, and the other way round."""
    kernel.need_tcx()
    world.up(environment={"TUNFENCE_FAULT": "no-tcx"})
    mark = world.sniffer.mark()
    blaster = Blaster(world)
    blaster.round()
    for number in range(6):
        world.up(environment={"TUNFENCE_FAULT": "no-tcx"} if number % 2 else None)
        blaster.round()
    blaster.stop()
    world.quiet_since(mark)
    world.down()
    world.leaks(STRANGER, craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t))))


def test_pins(world):
    """The exact set after up, and none at all after down."""
    empty = all_pins(world)
    world.up()
    raised = all_pins(world)
    world.log.append(str(raised))
    here = raised["bpffs"]
    for part in ("maps", "progs"):
        if not any(p.startswith(f"tunfence/wg0/{part}/") for p in here):
            raise Failure(f"nothing under {part}: {here}")
    if shown := [p for p in here if "/links" in p or "live" in p]:
        raise Failure(f"whoever is root could open the fence by {shown}")
    if stray := [p for p in here if not p.startswith("tunfence/wg0")]:
        raise Failure(f"pins outside the fence's directory: {stray}")
    if f"wg0/links/socket-{os.stat(world.cgroup.path).st_ino}" not in raised["own"] or w.pins(world.run_dir):
        raise Failure(f"{raised['own']}, and outside the cover {w.pins(world.run_dir)}")
    world.up()
    if all_pins(world) != raised:
        raise Failure(f"a replace changed the set: {all_pins(world)} instead of {raised}")
    make_foreign_map(os.path.join(world.bpffs, "tunfence", "wg0", "progs", "~half-made"))
    world.below(make_foreign_map, own_link(world, "~half-made"))
    world.up()
    if all_pins(world) != raised:
        raise Failure(f"what a killed up had half made is still there: {all_pins(world)}")
    world.down()
    after = all_pins(world)
    if after["bpffs"] != empty["bpffs"] or after["own"]:
        raise Failure(f"left after down: {after}")


WRITTEN_TO = {"live_endpoints", "live_hashes", "tunnels", "question", "fragments", "blocked",
              "cleared", "listeners", "leases"}
OF_THE_DISPATCHER = {"members", "levels", "judges"}  # a fence of the machine has none


def shown(what, *which):
    done = bpftool("-j", what, "show", *which)
    if done.returncode:
        raise Failure(f"bpftool: {done.stderr or done.stdout}")
    return json.loads(done.stdout)


def test_no_rule_can_be_written(world):
    """By nobody, root included: all that a fence's programs read is frozen, but for what up, sync,
    people and the programs themselves go on writing."""
    world.up(w.BASIC + f"[Allow]\nDestination=udp {w.OTHER} port 9\n")
    programs = os.path.join(world.bpffs, "tunfence", "wg0", "progs")
    used = set()
    for name in os.listdir(programs):
        used |= set(shown("prog", "pinned", os.path.join(programs, name))["map_ids"])
    maps = [shown("map", "id", str(number)) for number in used]
    not_frozen = {m["name"] for m in maps if not m["frozen"]} - OF_THE_DISPATCHER
    if not_frozen != WRITTEN_TO:
        raise Failure(f"{sorted(not_frozen)} can be written, of {sorted(m['name'] for m in maps)}")


def test_pins_removed_by_hand(world):
    """rm -rf, and the bpffs unmounted: what is shown does not hold the fence."""
    world.up()
    for root, _, files in os.walk(os.path.join(world.bpffs, "tunfence"), topdown=False):
        for file in files:
            os.unlink(os.path.join(root, file))
        os.rmdir(root)
    packet = craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t)))
    world.silent(STRANGER, packet)
    world.up()
    world.silent(STRANGER, packet)
    sandbox.unmount(world.bpffs)
    world.silent(STRANGER, packet)
    sandbox.mount("bpf", world.bpffs, "bpf")
    world.up()
    world.silent(STRANGER, packet)
    world.down()
    world.leaks(STRANGER, packet)
    if w.pins(world.bpffs):
        raise Failure(f"left behind: {all_pins(world)}")


def own_link(world, name):
    return os.path.join(world.run_dir, "bpf", "wg0", "links", name)


def test_own_pins_unmounted(world):
    """They are held in two places. What is taken away in one opens nothing; in both, only somebody
    does who means it: status says so and up closes."""
    world.up()
    packet = craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t)))
    take_away(world.run_dir, os.path.join(world.run_dir, "bpf"))
    world.silent(STRANGER, packet)
    says(world.must(world.tunfence("status", "wg0")), "do first", "nothing covers")
    world.must(world.tunfence("sync", "wg0"))
    world.must(world.tunfence("status"))
    world.up(w.BASIC + "[Allow]\nLAN=yes\n")
    world.silent(STRANGER, packet)
    world.down()
    world.leaks(STRANGER, packet)

    world.up()
    held = os.path.join(world.bpffs, "tunfence-held")
    take_away(world.run_dir, held, held)
    opened(world)
    world.must(world.tunfence("sync", "wg0"), 1)
    world.up()
    world.silent(STRANGER, packet)
    world.must(world.tunfence("status"))
    world.down()
    world.leaks(STRANGER, packet)


def take_away(*mountpoints):
    for path in mountpoints:
        subprocess.run(["umount", path], check=True)


def opened(world):
    """The links are gone, and status knows."""
    sandbox.until(lambda: leaks(world), 60, "the kernel to take the links away, which it puts off")
    world.must(world.tunfence("status", "wg0"), 3)
    world.must(world.tunfence("status"), 3)


def bpftool(*words):
    return subprocess.run(["bpftool", *words], capture_output=True, text=True, check=False)


def replace_by_foreign_map(path):
    os.unlink(path)
    make_foreign_map(path)


def test_foreign_pins(world):
    """What is shown is not trusted, replaced safely, and gone after down."""
    world.up()
    raised = all_pins(world)
    packet = craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t)))
    for pin in raised["bpffs"]:
        path = os.path.join(world.bpffs, pin)
        if not os.path.isfile(path):
            continue
        replace_by_foreign_map(path)
        world.silent(STRANGER, packet)
        world.sync()
        world.must(world.tunfence("status"))
        world.must(world.tunfence("up", "wg0"))
        if all_pins(world) != raised:
            raise Failure(f"after a foreign '{path}': {all_pins(world)} instead of {raised}")
        del world.log[:-20]
    world.silent(STRANGER, packet)
    world.down()
    if left := w.pins(world.bpffs):
        raise Failure(f"left behind: {left}")
    world.leaks(STRANGER, packet)


def leaks(world):
    try:
        world.leaks(STRANGER)
    except Failure:
        return False
    return True


def test_foreign_links(world):
    """With its pin gone so is a link: status and up notice."""
    world.up()
    for name in world.below(os.listdir, own_link(world, "")):
        world.below(replace_by_foreign_map, own_link(world, name))
    opened(world)
    world.must(world.tunfence("up", "wg0"))
    world.must(world.tunfence("status", "wg0"))
    world.silent(STRANGER, craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t))))


def make_foreign_map(path):
    done = bpftool("map", "create", path, "type", "array", "key", "4", "value", "4", "entries", "1",
                   "name", "stranger")
    if done.returncode:
        raise Failure(f"bpftool: {done.stderr}")


def test_foreign_directory_in_the_way(world):
    """A directory of files that are no pins of ours is named, and nothing of it is deleted."""
    directory = os.path.join(world.bpffs, "tunfence", "wg0")
    os.makedirs(directory)
    make_foreign_map(os.path.join(directory, "mine"))
    world.write_config(w.BASIC)
    result = world.tunfence("up", "wg0")
    if result.code == 0:
        world.silent(STRANGER, craft.sent("AF_PACKET", lambda t: ether(craft.ip4(t))))
    elif result.code != 1 or directory not in result.err:
        raise Failure(f"the error does not name '{directory}': {result}")
