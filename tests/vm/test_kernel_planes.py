# SPDX-License-Identifier: GPL-2.0
"""What each kernel gives a fence: the planes it has, what they hold, and what loading them costs."""

import json
import os
import sys

import room
from scenario import Skip, begins, expect

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "measure"))
import budget  # noqa: E402

ABSENT = "not on this kernel"

# Of what not every kernel has, this is what Debian's have: how a program is attached to an uplink,
# netfilter programs, BPF LSM. The tool finds out by trying; here is what it must have found.
PLANES = {
    "5.10": ("clsact", ABSENT, ABSENT),
    "6.1": ("clsact", ABSENT, "attached"),
    "6.12": ("tcx", "attached", "attached"),
    "7.x": ("tcx", "attached", "attached"),
}

# verify's vectors that no development machine can show: bypasses from before the fence, AF_XDP, the
# endpoint's hole, and what the kernel makes past the socket plane.
VECTORS = "ring,xdp,tunnel,time-wait*,igmp*"

# poll() asks no hook: the one that leaks on every kernel. Without BPF LSM its kind is not tested.
LEAKS = {"xdp-poll-before"}


def fence_of(guest):
    return json.loads(guest.run("tunfence status wg0 --json").out)["fences"][0]


@begins("fenced")
def test_kernel_planes(guest):
    """The root cgroup and the uplink have every plane that this kernel can have."""
    wire, netfilter, lsm = PLANES[guest.kernel.name]
    fence = fence_of(guest)
    found = {h["hook"]: h["state"] for h in fence["hooks"]}
    wanted = {"socket": "attached", "IPv4": netfilter, "IPv6": netfilter, "setsockopt": "attached",
              "LSM": lsm, "connect4": "attached", "connect6": "attached", "sendmsg4": "attached",
              "sendmsg6": "attached", "sock_create": "attached"}
    expect(found == wanted, f"status says {found} instead of {wanted}")
    uplink = next(i for i in fence["interfaces"] if i["name"] == "eth0")
    expect((uplink["wire"], uplink["ingress"]) == (wire, wire), f"eth0: {uplink}")
    expect(fence["cgroup_id"] == 1, f"the socket plane is not on the root cgroup: {fence['cgroup']}")
    guest.note("planes", f"wire {wire}; namespace {netfilter}; LSM {lsm}")


@begins("fenced")
def test_kernel_wireguard_outer_packets(guest):
    """The kernel's own tunnel: the wire plane passes its outer packets by the endpoint's rule, which
    the socket plane of the root cgroup never sees; what programs send meets that plane."""
    guest.run(f"ping -c 3 -i 0.2 {room.TUNNEL_SERVER}")
    refused = guest.run(f"ping -c 1 -W 2 -I eth0 {room.OTHER}", check=False)
    expect("not permitted" in refused.out, f"a ping past the tunnel: {refused}")
    counted = {(c["plane"], c["reason"]): c["packets"] for c in fence_of(guest)["counters"]}
    expect(counted.get(("wire", "endpoint"), 0) >= 3, f"the wire plane counted {counted}")
    expect(("socket", "endpoint") not in counted, f"the socket plane counted {counted}")
    expect(("socket", "tunnel") in counted, f"the socket plane counted {counted}")
    guest.silent(proof=())


@begins("fenced")
def test_kernel_verify(guest):
    """Vectors that need this kernel's AF_XDP, its rings, its own packets and BPF LSM. The machine's
    own fence would refuse what some do before theirs is up."""
    guest.run("tunfence down wg0")
    without_lsm = PLANES[guest.kernel.name][2] == ABSENT
    said = guest.run(f"tunfence verify --json --only '{VECTORS}' 2>/dev/null", 400, check=False)
    report = json.loads(said.out)
    leaked = {v["name"] for v in report["vectors"] if v["verdict"] == "leaked"}
    expect(leaked <= LEAKS, f"leaked: {leaked - LEAKS}")
    open_ = [(v["name"], v["why"]) for v in report["vectors"]
             if v["verdict"] in ("no_verdict", "not_tested")
             and not (without_lsm and v["why"] == "needs BPF LSM, leaks")]
    expect(not open_, f"without a verdict: {open_}")
    expect(report["tunnel_works"], "the fence blocks the tunnel")
    totals = report["totals"]
    guest.note("verify", f"{totals['held']} of {totals['vectors']} held")


@begins("fenced")
def test_kernel_measure(guest):
    """What the verifier makes of each program is within tests/measure/budget; that, and how long up
    and the load take, is written down."""
    guest.run("mkdir -p /run/program && mount -o ro /dev/vdb /run/program")
    if guest.run("test -x /run/program/measure", check=False).code:
        raise Skip("'measure' is not on the program's disk")
    table = guest.run("/run/program/measure /run/program/home.conf", 300).out
    for line in table.splitlines()[2:]:
        program, rest = line.split(maxsplit=1)
        guest.note(f"measure {program}", " ".join(rest.split()))
    release, found = budget.parse(table)
    wanted = budget.read_table().get((budget.kernel_of(release), "home"))
    expect(wanted, f"Linux {release} is not in tests/measure/budget")
    bad = list(budget.breaches(wanted, found))
    expect(not bad, "\n".join(f"{program}: {why}" for program, why in bad))
    seconds = guest.run("TIMEFORMAT=%R; { time tunfence up wg0 >/dev/null; } 2>&1").out.strip()
    guest.note("up", f"{seconds} s")
    guest.silent(proof=())
