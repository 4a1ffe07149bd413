# SPDX-License-Identifier: GPL-2.0
"""The fences as numbers: those that status has, in a form that Prometheus' own tools take."""

import json
import os
import re
import shutil
import stat
import subprocess
import threading

import world as w
from sandbox import Failure, Skip, until
from test_2_verdict import relative
from test_4_tunnel import REAL, served
from test_6_command import says

GOOD = {"attached", "tcx", "clsact"}
ABSENT = "not on this kernel"
SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\.)*",?)*)\})? (\d+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ESCAPED = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def parse(text):
    """Name and labels of each sample -> its value. Anything that is not as it should be fails."""
    lines = text.split("\n")
    if lines[-2:] != ["# EOF", ""]:
        raise Failure(f"the last line is '{lines[-2:]}'")
    found, done, family = {}, set(), None
    for line in lines[:-2]:
        if match := re.fullmatch(r"# (HELP|TYPE) (\w+) (.+)", line):
            if match[1] == "HELP":
                done.add(family)
                family = match[2]
            if match[2] != family or match[2] in done:
                raise Failure(f"not where it belongs: {line}")
            continue
        match = SAMPLE.fullmatch(line)
        if not match or match[1] != family:
            raise Failure(f"no sample of {family}: {line}")
        labels = {name: re.sub(r"\\.", lambda m: ESCAPED[m[0]], value)
                  for name, value in LABEL.findall(match[2] or "")}
        key = (family, frozenset(labels.items()))
        if key in found:
            raise Failure(f"twice: {line}")
        found[key] = int(match[3])
    return found


def sample(name, **labels):
    return f"tunfence_{name}", frozenset(labels.items())


def metrics(world, *args, code=0, **options):
    return parse(world.must(world.tunfence("metrics", *args, **options), code).out)


def holds(found, wanted):
    """Each sample that is wanted, as it is wanted; None: there is none."""
    for key, value in wanted.items():
        if found.get(key) != value:
            raise Failure(f"{key[0]} {dict(key[1])} is {found.get(key)}, not {value}")


def of_counters(fence):
    name = fence["name"]
    return {sample(kind + "_total", fence=name, plane=c["plane"], verdict=c["verdict"],
                   reason=c["reason"]): c[kind]
            for c in fence["counters"] for kind in ("packets", "bytes")}


def of_hooks(fence):
    name = fence["name"]
    found = {sample("hook_up", fence=name, plane=h["plane"], hook=h["hook"]): h["state"]
             for h in fence["hooks"]}
    found |= {sample("hook_up", fence=name, plane=hook, hook=hook, interface=i["name"]): i[hook]
              for i in fence["interfaces"] for hook in ("wire", "ingress") if hook in i}
    return {key: int(state in GOOD) for key, state in found.items() if state != ABSENT}


def of_tunnels(fence):
    name, found = fence["name"], {}
    for t in fence["tunnels"]:
        found[sample("tunnel_up", fence=name, tunnel=t["name"])] = int(t["up"])
        for source in ("policy", "live"):
            found[sample("tunnel_endpoints", fence=name, tunnel=t["name"], source=source)] = sum(
                e["source"] == source for e in t["endpoints"])
    return found


def of_status(text):
    """What the metrics must be, by what status --json says; but for handshakes and the version."""
    status = json.loads(text)
    found = {sample("fenced"): int(status["fenced"])}
    for fence in status["fences"]:
        name = fence["name"]
        found |= {sample("fence_up", fence=name): 1,
                  sample("fence_whole", fence=name): int(fence["fenced"]),
                  sample("fence_info", fence=name, mode=fence["mode"], scope=fence["scope"]): 1,
                  sample("fence_problems", fence=name): len(fence["problems"]),
                  sample("fence_raised_timestamp_seconds", fence=name): fence["since"],
                  sample("fence_looked_timestamp_seconds", fence=name): fence["looked"]}
        if fence["names"]:
            found[sample("fence_resolved_timestamp_seconds", fence=name)] = max(
                n["resolved"] for n in fence["names"])
        found |= of_counters(fence) | of_hooks(fence) | of_tunnels(fence)
    return found


def of_wireguard(world, interface="wg0"):
    with world.client:
        told = subprocess.run(["wg", "show", interface, "latest-handshakes"], check=True,
                              capture_output=True, text=True).stdout
    return max(int(line.split()[1]) for line in told.splitlines())


def same_as_status(world, code=0):
    """Between two answers of status that are the same, since the world goes on. Returns the metrics
    and what status had."""
    def look():
        before = world.must(world.tunfence("status", "--json"), code).out
        found = metrics(world, code=code)
        return world.tunfence("status", "--json").out == before and (found, of_status(before))
    found, wanted = until(look, 20, "two equal answers of status")
    rest = {k: v for k, v in found.items() if k not in wanted}
    holds(found, wanted)
    if strange := [k for k, v in rest.items() if k[0] != "tunfence_build_info" and
                   "handshake" not in k[0] and not (k[0].endswith("_total") and v == 0)]:
        raise Failure(f"status does not have {strange}")
    return found, wanted


def test_numbers_are_those_of_status(world):
    """Of a real tunnel, with packets of every kind; a replaced fence counts on."""
    served(world)
    world.up(REAL)
    world.silent(w.udp(w.ROUTER, 9), w.tcp(w.ROUTER, 80), w.udp(w.ROUTER, 53))
    found, wanted = same_as_status(world)
    handshake = sample("tunnel_last_handshake_timestamp_seconds", fence="wg0", tunnel="wg0")
    holds(found, {sample("fenced"): 1, sample("tunnel_up", fence="wg0", tunnel="wg0"): 1,
                  handshake: of_wireguard(world)})
    if not found[handshake]:
        raise Failure("there was no handshake")
    if not any(v for k, v in wanted.items() if "drop" in dict(k[1]).values()):
        raise Failure("nothing was dropped")
    world.up(REAL)
    again, _ = same_as_status(world)
    if lost := [k for k, v in found.items() if k[0].endswith("_total") and again[k] < v]:
        raise Failure(f"counted back: {lost}")


def test_every_reason_is_there_before_its_first_packet(world):
    """Else increase() does not see that packet. And a counter is a drop's or it is not."""
    world.up()
    found = metrics(world)
    series = {k for k in found if k[0] == "tunfence_packets_total"}
    drop = sample("packets_total", fence="wg0", plane="socket", verdict="drop",
                  reason="not_allowed")
    if drop not in series or len(series) < 100:
        raise Failure(f"{len(series)} series only")
    if found[drop]:
        raise Failure("something was dropped already")


def test_without_a_fence(world):
    found = metrics(world, code=3)
    holds(found, {sample("fenced"): 0})
    if len(found) != 2:
        raise Failure(f"there are more: {found}")
    found = metrics(world, "wg0", code=3)
    holds(found, {sample("fenced"): 0, sample("fence_up", fence="wg0"): 0,
                  sample("fence_whole", fence="wg0"): 0})
    world.up()
    holds(metrics(world, "wg0"), {sample("fenced"): 1, sample("fence_up", fence="wg0"): 1})
    holds(metrics(world, "other", code=3),
          {sample("fenced"): 0, sample("fence_up", fence="other"): 0})
    world.down()
    holds(metrics(world, code=3), {sample("fenced"): 0, sample("fence_up", fence="wg0"): None})


def test_what_is_not_well(world):
    """An interface without its hooks, a fence that only observes, one of another namespace."""
    world.up()
    world.veth(world.client, "eth9", world.router, "peer9")
    hook = sample("hook_up", fence="wg0", plane="wire", hook="wire", interface="eth9")
    found, _ = same_as_status(world, 3)
    holds(found, {hook: 0, sample("fenced"): 0, sample("fence_whole", fence="wg0"): 0})
    world.sync()
    holds(metrics(world), {hook: 1, sample("fenced"): 1})
    holds(metrics(world, code=3, namespace=world.namespace()),
          {sample("fenced"): 0, sample("fence_up", fence="wg0"): 1,
           sample("fence_whole", fence="wg0"): 0})
    world.write_config("[Fence]\nMode=observe\n" + w.BASIC)
    world.tunfence("up", "wg0")
    found, _ = same_as_status(world, 3)
    holds(found, {sample("fence_info", fence="wg0", mode="observe", scope="system"): 1,
                  sample("fenced"): 0})


def test_several_fences(world):
    world.up()
    child = world.cgroup.child("app")
    try:
        world.up(f"[Fence]\nScope=cgroup\nCgroup={relative(world, child)}\n" + w.BASIC, "app",
                 cgroup=None)
        found, _ = same_as_status(world)
        holds(found, {sample("fence_info", fence="app", mode="enforce", scope="cgroup"): 1,
                      sample("fence_info", fence="wg0", mode="enforce", scope="system"): 1})
        if any(dict(k[1]).get("fence") == "wg0" for k in metrics(world, "app")):
            raise Failure("the other fence is there, too")
        world.down("app")
    finally:
        child.remove()


def test_age_of_what_the_fence_knows(world):
    """sync makes it young again; what is not resolved is said to be."""
    world.up(w.BASIC + "Endpoint=udp name.invalid:9\n")
    looked = sample("fence_looked_timestamp_seconds", fence="wg0")
    raised = sample("fence_raised_timestamp_seconds", fence="wg0")
    world.below(os.utime, os.path.join(world.run_dir, "wg0.json"), (1_000_000_007, 1_000_000_007))
    holds(metrics(world), {looked: 1_000_000_007,
                           sample("fence_resolved_timestamp_seconds", fence="wg0"): 0})
    world.sync()
    found = metrics(world)
    if found[looked] < found[raised]:
        raise Failure(f"sync did not note that it looked: {found[looked]}")


def test_tunnel_that_goes(world):
    """Nothing is said of the handshake of a device that is not there."""
    tunnel = served(world)
    world.up(REAL)
    handshake = sample("tunnel_last_handshake_timestamp_seconds", fence="wg0", tunnel="wg0")
    if not metrics(world).get(handshake):
        raise Failure("there was no handshake")
    tunnel.kill()
    holds(metrics(world), {handshake: None, sample("fenced"): 1,
                           sample("tunnel_up", fence="wg0", tunnel="wg0"): 0})


def test_hostile_interface_names(world):
    """Whoever can name an interface cannot spoil the file, nor what is shown of it."""
    names = [b'a"b\\', b"\\x1b", b"\x1b[31m", b"\xff\xfe", b"\xef\xbf\xbdff", b"\xc3\xa9", b"{}=1"]
    with world.client:
        for number, name in enumerate(names):
            rest = f"type veth peer name peer{number} netns {world.router.path}"
            subprocess.run([b"ip", b"link", b"add", name, *rest.encode().split()], check=True)
    world.up()
    world.sync()
    text = world.must(world.tunfence("metrics")).out
    shown = [dict(k[1])["interface"] for k in parse(text)
             if k[0] == "tunfence_hook_up" and dict(k[1])["hook"] == "wire" and
             dict(k[1])["interface"] != "eth0"]
    bad = "\ufffd"
    wanted = ['a"b\\', "\\x1b", f"{bad}1b[31m", f"{bad}ff{bad}fe", f"{bad}ef{bad}bf{bad}bdff",
              "\xe9", "{}=1"]
    if sorted(shown) != sorted(wanted):
        raise Failure(f"shown as {shown}")
    if unsafe := [c for c in text if c != "\n" and not c.isprintable() and c != bad]:
        raise Failure(f"not for a terminal: {unsafe}")
    promtool(text, "check", "metrics")


def promtool(text, *words):
    if not shutil.which("promtool"):
        raise Skip("there is no promtool; apt-get install prometheus")
    done = subprocess.run(["promtool", *words], input=text, capture_output=True, text=True,
                          check=False)
    if done.returncode or done.stderr or (words[0] == "check" and done.stdout):
        raise Failure(f"promtool {' '.join(words)}: {done.stdout}{done.stderr}")


def test_promtool(world):
    promtool(world.must(world.tunfence("metrics"), 3).out, "check", "metrics")
    world.up(w.BASIC + "Endpoint=udp name.invalid:9\n")
    promtool(world.must(world.tunfence("metrics")).out, "check", "metrics")


def test_output(world):
    """The file is there as a whole or not at all, and for everybody to read."""
    world.up()
    directory = os.path.join(world.directory, "out")
    os.mkdir(directory)
    path, victim = os.path.join(directory, "tunfence.prom"), os.path.join(world.directory, "victim")
    with open(victim, "w") as file:
        file.write("not touched")
    os.symlink(victim, path + ".new")
    umask = ("sh", "-c", 'umask 077; exec "$@"', "sh")
    said = world.must(world.tunfence("metrics", "--output", path, wrapper=umask))
    if said.out or said.err or os.listdir(directory) != ["tunfence.prom"]:
        raise Failure(f"it says {said}, and leaves {os.listdir(directory)}")
    if stat.S_IMODE(os.lstat(path).st_mode) != 0o644 or open(victim).read() != "not touched":
        raise Failure("it has another mode, or a link was followed")
    stop, torn = threading.Event(), []

    def watch():
        while not stop.is_set():
            with open(path) as file:
                if not file.read().endswith("# EOF\n"):
                    torn.append(1)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(20):
            world.must(world.tunfence("metrics", "--output", path))
    finally:
        stop.set()
        watcher.join()
    if torn:
        raise Failure(f"seen half-written {len(torn)} times")
    holds(parse(open(path).read()), {sample("fenced"): 1})
    world.down()
    world.must(world.tunfence("metrics", "--output", path), 3)
    holds(parse(open(path).read()), {sample("fenced"): 0})


def test_output_that_cannot_be_written(world):
    world.up()
    missing = os.path.join(world.directory, "missing/tunfence.prom")
    says(world.must(world.tunfence("metrics", "--output", missing), 1), f"'{missing}'", "directory")
    if os.path.exists(os.path.dirname(missing)):
        raise Failure("it made the directory")
    says(world.must(world.tunfence("metrics", "--output", "/dev/full/x"), 1), "/dev/full/x")
    full = ("sh", "-c", 'exec "$@" >/dev/full', "sh")
    says(world.must(world.tunfence("metrics", wrapper=full), 1), "standard output")


def test_who_may_not_look_is_not_told_that_it_is_safe(world):
    """In place of what was written before."""
    world.up()
    directory = os.path.join(world.directory, "out")
    os.mkdir(directory)
    os.chmod(world.directory, 0o755)
    path = os.path.join(directory, "tunfence.prom")
    world.must(world.tunfence("metrics", "--output", path))
    os.chown(directory, 65534, 65534)
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    says(world.must(world.tunfence("metrics", "--output", path, wrapper=nobody), 1), "root")
    holds(parse(open(path).read()), {sample("fenced"): 0, sample("fence_up", fence="wg0"): None})
