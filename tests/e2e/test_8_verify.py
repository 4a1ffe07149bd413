# SPDX-License-Identifier: GPL-2.0
"""tunfence verify: nothing leaks; and verify itself: it can fail, touches nothing, leaves nothing.

NOT_TESTED names every vector that may be without a verdict, and why: what is not in the list must
leak without a fence here, or the test fails.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import tempfile

import kernel
import sandbox
import world as w
from sandbox import Failure, until

PATIENCE = 900  # seconds, for all vectors on a busy machine
PREFIX = "tunfence-verify-"
FEW = "udp*connected"  # some vectors that every kernel has

# What a machine may lack, a kernel module mostly; and what only BPF LSM could stop.
REASONS = {"not on this machine", "needs BPF LSM, leaks"}
NOT_TESTED = set("""
    sctp-connect dccp-connect mptcp-subflow tcp-repair tls-before
    packet-bypass-before ring-bypass-before xdp-before xdp-poll-before xdp-bind-later
    forward-flowtable ipvlan-l2 ipvlan-l3 ipvlan-l3s vlan-own vlan-guest bond vrf
    side-ipip side-gre side-gretap side-sit side-ip6tnl side-ip6gre side-geneve side-fou side-gue
    side-l2tp-udp side-l2tp-ip side-esp side-esp-tunnel side-esp-udp side-xfrm side-mpls
    side-macsec
    impostor-ipvlan impostor-vlan impostor-ipip
""".split())

# Known to leak, and what verify must say of it: no hook is asked at poll().
LEAKS = {"xdp-poll-before"}

# Each is a test of its own. All of them together are the whole: test_everything_leaks looks.
GROUPS = """socket tcp uring raw packet ring xdp kernel name plumbing forward side route tunnel
            impostor inbound spoof""".split()

VERDICTS = {"held", "leaked", "not_tested", "no_verdict"}
SHOT = {"frames": int, "told": str}
VECTOR = {"group": str, "name": str, "summary": str, "unfenced": dict, "fenced": (dict, type(None)),
          "verdict": str, "why": str}
REPORT = {"version": int, "tunfence": str, "by": str, "tunnel_works": bool, "vectors": list,
          "totals": dict}

# What --by runs: tunfence, with one thing wrong with it. The script's parent is verify.
LEAKY = """
[ "$1" = up ] || exit 0
cat >"$STATE/leaky.conf" <<END || exit
[Tunnel]
Interface=$TUNNEL
Kind=tun
Endpoint=udp $ENDPOINT:$PORT
Endpoint=udp [$ENDPOINT6]:$PORT
ListenPort=$PORT
[Allow]
{allow}
END
"/proc/$PPID/exe" up "$STATE/leaky.conf" --bpffs "$BPFFS" --run-dir "$STATE" \\
    --cgroup "$CGROUP" || exit
{then}
"""


def start(world, *args, **options):
    command = [*options.pop("wrapper", ()), world.settings.tool, "verify", *args,
               "--cgroup", world.cgroup.path]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            stdin=subprocess.DEVNULL, **options)


def verify(world, *args, **options):
    process = start(world, *args, **options)
    out, err = process.communicate(timeout=PATIENCE)
    return w.Result(process.returncode, out, err)


def check_fields(what, value, fields):
    if value.keys() != fields.keys():
        raise Failure(f"{what} has {sorted(value)} instead of {sorted(fields)}")
    for key, kind in fields.items():
        if not isinstance(value[key], kind):
            raise Failure(f"{what}: '{key}' is {value[key]!r}")


def check_schema(found):
    """The JSON is what scripts may rely on."""
    check_fields("the report", found, REPORT)
    for vector in found["vectors"]:
        check_fields("a vector", vector, VECTOR)
        check_fields("unfenced", vector["unfenced"], SHOT)
        if vector["fenced"] is not None:
            check_fields("fenced", vector["fenced"], SHOT)
        if vector["verdict"] not in VERDICTS:
            raise Failure(f"verdict {vector['verdict']}")
        if (vector["verdict"] in ("not_tested", "no_verdict")) != bool(vector["why"]):
            raise Failure(f"{vector['verdict']} because of {vector['why']!r}")
    counted = {verdict: len(named(found, verdict)) for verdict in VERDICTS}
    if found["version"] != 1 or found["totals"] != {"vectors": len(found["vectors"]), **counted}:
        raise Failure(f"version {found['version']}, totals {found['totals']}, not {counted}")


def report(world, *args, code):
    """The JSON of a run that must end with this exit code."""
    found = json.loads(world.must(verify(world, "--json", *args), code).out)
    check_schema(found)
    return found


def named(found, *verdicts):
    return [v["name"] for v in found["vectors"] if v["verdict"] in verdicts]


@contextlib.contextmanager
def script(text):
    """An executable outside of /run, which is another one inside of verify."""
    with tempfile.NamedTemporaryFile("w", prefix="tunfence-e2e-", dir="/tmp", delete=False) as file:
        file.write(f"#!/bin/sh\n{text}\n")
    os.chmod(file.name, 0o755)
    try:
        yield file.name
    finally:
        os.unlink(file.name)


def judge_group(world, group):
    result = verify(world, "--json", "--only", group)
    found = json.loads(result.out or world.must(result).out)
    leaked = set(named(found, "leaked"))
    if leaked - LEAKS:
        raise Failure(f"leaked: {' '.join(leaked - LEAKS)}")
    if odd := [(v["name"], v["why"]) for v in found["vectors"] if v["verdict"] == "no_verdict"]:
        raise Failure(f"no verdict: {odd}")
    if untested := [(v["name"], v["why"]) for v in found["vectors"] if v["verdict"] == "not_tested"
                    and (v["name"] not in NOT_TESTED or v["why"] not in REASONS)]:
        raise Failure(f"not tested: {untested}")
    if not found["tunnel_works"] or {v["group"] for v in found["vectors"]} != {group}:
        raise Failure(f"totals: {found['totals']}, tunnel: {found['tunnel_works']}")
    check_schema(found)
    world.must(result, 1 if leaked else 0)


def add_groups():
    for group in GROUPS:
        def test(world, group=group):
            judge_group(world, group)
        test.is_long = True
        globals()[f"test_group_{group}_holds"] = test


add_groups()


def test_everything_leaks_without_a_fence(world):
    """A fence that does nothing: verify can fail, and no vector holds by accident."""
    found = report(world, "--by", "/bin/true", code=1)
    if held := named(found, "held", "no_verdict"):
        raise Failure(f"did not leak through nothing: {' '.join(held)}")
    if list(dict.fromkeys(v["group"] for v in found["vectors"])) != GROUPS:
        raise Failure("this file does not name every group")
    if found["totals"]["leaked"] < 400:
        raise Failure(f"totals: {found['totals']}")
    if silent := [v["name"] for v in found["vectors"]
                  if v["verdict"] == "leaked" and not (v["fenced"]["frames"] and
                                                       v["unfenced"]["frames"])]:
        raise Failure(f"leaked without a frame: {' '.join(silent)}")


test_everything_leaks_without_a_fence.is_long = True


def test_hole_in_a_fence_is_found(world):
    """An allowance too many leaks what it allows, and only that."""
    with script(LEAKY.format(allow="Destination=udp 198.51.100.80", then="")) as path:
        found = report(world, "--by", path, "--only", "udp*connected", code=1)
        text = world.must(verify(world, "--by", path, "--only", "udp*connected"), 1).out
    if set(named(found, "leaked")) != {v["name"] for v in found["vectors"]
                                       if not v["name"].startswith("udp6")}:
        raise Failure(f"leaked: {named(found, 'leaked')}")
    if not named(found, "held") or named(found, "not_tested", "no_verdict"):
        raise Failure(f"totals: {found['totals']}")
    if f"{len(named(found, 'leaked'))} leaked, " not in text or "LEAKED" not in text:
        raise Failure(text)


def test_fence_without_its_wire_plane_is_found(world):
    """Half a fence: sockets are stopped, frames by hand are not."""
    cut = 'tc qdisc del dev "$UPLINK" clsact'
    if kernel.has_tcx():
        cut = 'umount "$STATE" && rm "$STATE"/bpf/leaky/links/wire-*'
    with script(LEAKY.format(allow="LAN=no", then=cut)) as path:
        frames = report(world, "--by", path, "--only", "packet-raw*", code=1)
        sockets = report(world, "--by", path, "--only", "udp*connected", code=0)
    if named(frames, "held") or not named(frames, "leaked"):
        raise Failure(f"frames: {frames['totals']}")
    if named(sockets, "leaked") or not named(sockets, "held"):
        raise Failure(f"sockets: {sockets['totals']}")


def test_table(world):
    result = world.must(verify(world, "--only", FEW))
    lines = result.out.splitlines()
    if max(map(len, lines)) > 100 or "\033" in result.out:
        raise Failure(f"too wide or coloured: {result.out}")
    if not any(line.startswith("socket: ") for line in lines) or "held" not in result.out:
        raise Failure(result.out)
    if ": 0 leaked, " not in lines[-2]:
        raise Failure(f"no summary: {result.out}")


def test_fence_that_blocks_its_tunnel(world):
    with script("ip link set $UPLINK down") as path:
        result = world.must(verify(world, "--by", path, "--only", FEW), 1)
        found = report(world, "--by", path, "--only", FEW, code=1)
    if "BLOCKS THE TUNNEL" not in result.out or found["tunnel_works"]:
        raise Failure(result.out)
    if named(found, "leaked"):
        raise Failure("a frame came by a link that is down")


def test_script_knows_the_world(world):
    """Its environment is right, and its words are told when it fails."""
    checks = ('test "$1" = down && exit 0; '
              'ip link show dev "$UPLINK" && ip link show dev "$TUNNEL" && '
              'ip route get "$ENDPOINT" mark "$MARK" | grep -q "dev $UPLINK" && '
              'ip route get 198.51.100.80 | grep -q "src $TUNNEL4" && '
              'grep -q "${CGROUP##*/}$" /proc/self/cgroup && test -d "$BPFFS" -a -d "$STATE" && '
              'test "$ENDPOINT6$PORT$CLIENT$ROUTER$LAN_NET$CLIENT6$ROUTER6$LAN_NET6" && exit 0')
    with script(checks) as good, script("echo too bad; exit 3") as bad:
        report(world, "--by", good, "--only", FEW, code=1)
        result = world.must(verify(world, "--by", bad, "--only", FEW), 1)
    if "too bad" not in result.err or "status 3" not in result.err:
        raise Failure(result.err)


def test_refusals(world):
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    os.chmod(world.settings.directory, 0o755)
    cases = (((), nobody, "root"), (("--only", "no-such-vector"), (), "no-such-vector"),
             (("--by", "/nonexistent"), (), "/nonexistent"),
             (("--by", world.settings.tool), (), "copy it elsewhere"))
    for args, wrapper, word in cases:
        result = world.must(verify(world, *args, wrapper=wrapper), 1)
        if word not in result.err:
            raise Failure(f"{args}: {result.err}")
    world.must(verify(world, "udp"), 2)


def run_cgroup(world):
    """The cgroup of the run that has begun, if there is one."""
    top = world.cgroup.path
    return next((os.path.join(top, name) for name in os.listdir(top) if name.startswith(PREFIX)),
                None)


def processes(cgroup):
    """How many processes are in a cgroup or below it."""
    count = 0
    for directory, _, _ in os.walk(cgroup):
        try:
            with open(os.path.join(directory, "cgroup.procs")) as file:
                count += len(file.read().split())
        except FileNotFoundError:
            pass
    return count


def locked(cgroup):
    """Whether a process of a run still holds the lock on its cgroup, be it in there or not."""
    fd = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def test_killed_run_leaves_nothing(world):
    """Its processes end with it; its empty cgroup goes with the next run."""
    process = start(world, "--only", "u*")
    ours = until(lambda: run_cgroup(world), 20, "the run's cgroup")
    until(lambda: processes(ours), 20, "a process in it")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until(lambda: not locked(ours) and not processes(ours), 10, "the run's processes to end")
    if not os.path.isdir(ours):
        raise Failure("nothing was left to be swept")
    world.must(verify(world, "--only", FEW))
    if os.path.isdir(ours):
        raise Failure("the next run did not sweep")


def test_interrupted_run_tidies_up(world):
    process = start(world, start_new_session=True)
    ours = until(lambda: run_cgroup(world), 20, "the run's cgroup")
    until(lambda: processes(ours), 20, "a process in it")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if process.returncode != 1 or "interrupted" not in err:
        raise Failure(f"exit code {process.returncode}: {err}")
    if os.path.isdir(ours):
        raise Failure("the run's cgroup is still there")


def test_runs_inside_of_a_fence(world):
    """The machine's own fence does not judge verify's namespaces, nor does verify touch it."""
    world.up()
    pinned = w.pins(world.bpffs)
    world.must(verify(world, "--only", FEW))
    if w.pins(world.bpffs) != pinned:
        raise Failure("verify changed the machine's fence")
    world.silent(w.udp(w.OTHER, 9))
