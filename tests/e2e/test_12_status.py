# SPDX-License-Identifier: GPL-2.0
"""The one screen to look at, and the same for scripts."""

import json
import os
import re
import subprocess
import time

import senders
import world as w
from sandbox import Failure, until
from test_10_blocked import (NO_NETFILTER, TERMINAL, call_it, in_child, labels, many, query,
                             raise_with_tunnel, report, take_socket_plane_off)
from test_4_tunnel import REAL, served

HOSTILE = {b"\x1b[31m": r"\x1b[31m", b"\xff\xfe": r"\xff\xfe", b"a\"b": 'a"b', b"\xc3\xa9": "\xe9",
           "\u202ex".encode(): r"\xe2\x80\xaex"}


def fence_of(world, code=0, **options):
    said = world.must(world.tunfence("status", "--json", **options), code).out
    return json.loads(said)["fences"][0]


def add_interfaces(world, names):
    with world.client:
        for name in names:
            subprocess.run([b"ip", b"link", b"add", name, b"type", b"veth"], check=True)


# ---- for people ----------------------------------------------------------------------------------

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def screen(world, *args, code=0, **options):
    """What a terminal shows."""
    said = world.must(world.tunfence("status", *args, wrapper=TERMINAL, **options), code).out
    lines = COLOUR.sub("", said).split("\n")
    for line in lines:
        if len(line) > 80 and " " in line.strip():
            raise Failure(f"more than 80 columns: {line!r}")
    return "\n".join(lines)


def has(text, *wanted):
    """Wrapped or not."""
    for words in wanted:
        if words not in text and words not in re.sub(r"\n {13}", " ", text):
            raise Failure(f"'{words}' is not in\n{text}")


def has_not(text, *unwanted):
    for words in unwanted:
        if words in text:
            raise Failure(f"'{words}' is in\n{text}")


def try_to_leave(world):
    """Four programs, one of them with more than one kind of packets, and a question."""
    world.agent.call(call_it, b"firefox")
    world.silent(w.tcp(w.ROUTER, 443), w.tcp(w.ROUTER, 443))
    for _ in range(3):
        world.agent.call(senders.udp, w.ROUTER, 53, query(labels(b"www", b"example", b"org")))
    for number, name in enumerate((b"weather", b"weather", b"updater", b"clock")):
        world.agent.call(in_child, senders.udp, w.ROUTER, 100 + number // 2, b"x", name=name)


def test_one_screen_when_all_is_well(world):
    served(world)
    world.up(REAL)
    try_to_leave(world)
    said = screen(world)
    if len(said.split("\n")) > 24:
        raise Failure(f"more than 24 lines:\n{said}")
    if not said.startswith("wg0: fenced: nothing leaves this machine but by wg0, or"):
        raise Failure(f"it does not begin with what matters:\n{said}")
    has(said, "  tunnel     wg0 (tun), up, last handshake ", " ago\n",
        "endpoint udp 203.0.113.7:51820",
        "  planes     socket, wire,", "ingress, guard",
        "  stopped    9 packets on their way out today\n",
        "          5  firefox, pid ", "udp 192.168.77.1:53 asks for www.example.org: it resolves "
        "names outside the tunnel; and 1 other kind\n", "          2  weather, pid ",
        "udp 192.168.77.1:100: it is not allowed outside the tunnel\n",
        "all of it: 'tunfence blocked wg0'")
    if not said.index("firefox") < said.index("weather") < said.index("          1  "):
        raise Failure(f"not sorted:\n{said}")
    has_not(said, "do first", "attention", "disagree", "counted", "since 2 ", "no room")
    if len(re.findall(r"^ {10}\d  ", said, re.M)) != 3:
        raise Failure(f"not three programs:\n{said}")


def test_tunnel_that_is_down(world):
    tunnel = served(world)
    world.up(REAL)
    tunnel.kill()
    has(screen(world), "wg0: fenced: no tunnel is up, so nothing leaves this machine but as allowed",
        "wg0 (tun), not there now: nothing leaves but its handshake\n",
        "stopped    nothing so far\n")


def midnight_at(when):
    """A time zone where a day began then."""
    offset = int(when) % 86400
    return {"TZ": f"XXX{offset // 3600}:{offset // 60 % 60:02}:{offset % 60:02}"}


def test_what_began_before_today_says_so(world):
    raise_with_tunnel(world)
    world.agent.call(call_it, b"old")
    world.agent.call(senders.udp, w.OTHER, 9, b"x")
    begin = time.time()
    until(lambda: time.time() > begin + 3, 5, "the next day")
    zone = midnight_at(begin + 2)
    has(screen(world, environment=zone), "stopped    nothing today\n")
    world.agent.call(in_child, senders.udp, w.OTHER, 9, b"x", name=b"new")
    said = screen(world, environment=zone)
    has(said, "stopped    1 packet on its way out today\n", "1  new, pid")
    has_not(said, "since " + time.strftime("%d"), "old")
    world.agent.call(senders.udp, w.OTHER, 9, b"x")
    said = screen(world, environment=zone)
    day_there = subprocess.run(["date", "-d", f"@{int(begin)}", "+%d %b"], env=os.environ | zone,
                               capture_output=True, text=True, check=True).stdout.strip()
    has(said, f"stopped    3 packets on their way out since {day_there}\n", f"(since {day_there})")
    if said.count("since " + day_there) != 2:
        raise Failure(f"the one of today is said to be older:\n{said}")
    today = fence_of(world, environment=zone)["stopped"]
    if [t["older"] for t in today["top"]] != [True, False] or not today["today"]["older"]:
        raise Failure(f"another thing for scripts: {today}")


def test_what_comes_in_is_counted_apart(world):
    world.serve()
    raise_with_tunnel(world)
    server = world.new_agent(world.server)
    server.call(senders.udp, w.CLIENT, 7777, b"x")
    until(lambda: report(world)["stopped"]["packets"], 5, "something to come in")
    said = screen(world)
    has(said, "stopped    1 packet on its way in today\n")
    has_not(said, "from the network", "way out")


def test_what_had_no_room(world):
    """Then it does not say that nothing came today."""
    raise_with_tunnel(world, environment={"TUNFENCE_FAULT": "few-blocked"})
    world.agent.call(many, 0x0B000000, 2000)
    has(screen(world), " of kinds that had no room, today or before\n")
    stopped = fence_of(world)["stopped"]
    if stopped["today"]["packets"] + stopped["missed"]["packets"] != 2000:
        raise Failure(f"not 2000 in all: {stopped}")


# ---- what to do ----------------------------------------------------------------------------------

def first(text):
    """The command to paste."""
    match = re.search(r"^  do first   (?:sudo )?tunfence (.+)$", text, re.M)
    if not match:
        raise Failure(f"nothing to do first in\n{text}")
    return match[1].split()


def test_one_thing_to_do_first(world):
    """It is what mends it."""
    world.up()
    world.veth(world.client, "eth9", world.router, "peer9")
    said = screen(world, code=3)
    if not said.startswith("wg0: NOT FULLY FENCED: "):
        raise Failure(f"it does not begin with what matters:\n{said}")
    has(said, "eth9 (missing)", "the wire plane on eth9 is missing: forwarded, bridged",
        "\n  attention  the ingress plane on eth9 is missing")
    if said.count("do first") != 1 or first(said) != ["sync", "wg0"]:
        raise Failure(f"not one thing:\n{said}")
    has(screen(world, code=3, environment={"SUDO_USER": "ada"}),
        "do first   sudo tunfence sync wg0\n")
    world.must(world.tunfence(*first(said)))
    has_not(screen(world), "do first", "attention", "missing")


def test_the_most_important_comes_first(world):
    """What is open before what is not, and what mends more before what mends less, though found
    later; in the list for scripts, too."""
    world.up(w.BASIC.split("Endpoint")[0] + "Endpoint=udp name.invalid:9\n")
    said = screen(world)
    has(said, "wg0: fenced:", "do first   tunfence sync wg0 no endpoint of wg0 is known")
    world.veth(world.client, "eth9", world.router, "peer9")
    said = screen(world, code=3)
    has(said, "do first   tunfence sync wg0 the wire plane on eth9",
        "attention  no endpoint of wg0")
    world.below(take_socket_plane_off, os.path.join(world.run_dir, "bpf"))
    said = screen(world, code=3)
    if first(said) != ["up", "wg0"] or said.index("does not hold") > said.index("eth9 is missing"):
        raise Failure(f"not the most important first:\n{said}")
    problems = fence_of(world, 3)["problems"]
    if "run 'tunfence up wg0'" not in problems[0] or "no endpoint" not in problems[-1]:
        raise Failure(f"in another order: {problems}")
    world.must(world.tunfence(*first(said)))
    has(screen(world), "do first   tunfence sync wg0 no endpoint of wg0 is known")


def test_of_many_problems_there_are_few(world):
    world.up()
    add_interfaces(world, [b"eth%d" % number for number in range(1, 9)])
    said = screen(world, code=3)
    has(said, "and 29 more: 'tunfence status wg0 --verbose'")
    if said.count("attention") != 2:
        raise Failure(f"not the first three:\n{said}")
    has(screen(world, "-v", code=3), "the ingress plane on eth8 is missing")


def test_planes_that_disagree(world):
    raise_with_tunnel(world, environment=NO_NETFILTER)
    has_not(screen(world), "disagree")
    world.below(take_socket_plane_off, os.path.join(world.run_dir, "bpf"))
    world.silent(w.udp(w.OTHER, 11))
    has(screen(world, code=3), "  disagree   1 packet got past the socket plane",
        "blocked wg0' says who")
    world.up(None, environment=NO_NETFILTER)
    has(screen(world), "wg0: fenced:", "  disagree   1 packet got past")
    if fence_of(world)["stopped"]["round"]["packets"] != 1:
        raise Failure("scripts are not told")


def test_fences_that_do_not_fence_here(world):
    world.up("[Fence]\nMode=observe\n" + w.BASIC)
    said = screen(world, code=3)
    has(said, "wg0: OBSERVING, NOT FENCED:", "would stop nothing so far",
        "do first   wg0 only observes")
    has_not(said, "wg0: fenced", "nothing leaves")
    world.up(w.BASIC)
    said = screen(world, code=3, namespace=world.namespace())
    has(said, "wg0: NOT FENCED HERE:", "do first   wg0 belongs to another network namespace")
    has_not(said, "wg0: fenced", "nothing leaves")
    has(screen(world, "nosuch", code=3),
        "nosuch: NOT KNOWN TO BE FENCED\n  do first   there is no fence")
    world.down()
    if world.tunfence("status").out != "not fenced: no fence is up\n":
        raise Failure("the package's prerm would not understand that")


def test_verbose_has_each_hook_and_each_counter(world):
    served(world)
    world.up(REAL)
    try_to_leave(world)
    said = screen(world, "--verbose")
    has(said, "  wire       eth0 (", "  ingress    eth0 (", "  guard      setsockopt",
        "  socket     every", "only WireGuard messages", "  counted    ",
        "name_lookup, resolves names outside the tunnel")
    has_not(said, "  planes     ")


def test_a_pipe_gets_whole_lines_without_colours(world):
    world.up()
    world.veth(world.client, "eth9", world.router, "peer9")
    said = world.must(world.tunfence("status"), 3).out
    has(said.replace("\n", "\n#"),
        "the wire plane on eth9 is missing: forwarded, bridged and AF_PACKET frames leave by "
        "it unjudged; run 'tunfence sync wg0'\n")
    has_not(said, "\x1b")
    for environment, wanted in (({}, True), ({"NO_COLOR": "1"}, False)):
        said = world.tunfence("status", wrapper=TERMINAL, environment=environment).out
        if ("\x1b[1;31mNOT FULLY FENCED\x1b[0m" in said) != wanted or ("\x1b" in said) != wanted:
            raise Failure(f"{environment}: {said!r}")


def test_names_of_any_bytes_on_the_screen(world):
    world.tun("wg0")
    world.up()
    add_interfaces(world, HOSTILE)
    for name in HOSTILE:
        world.agent.call(in_child, senders.udp, w.OTHER, 9, b"x", name=name)
    for args in ((), ("--verbose",)):
        said = world.must(world.tunfence("status", *args), 3).out
        if unsafe := [c for c in said if c != "\n" and not c.isprintable()]:
            raise Failure(f"not for a terminal: {unsafe}")
        has(said, r"\x1b[31m (missing)")
    has(said, r"the wire plane on \xff\xfe is missing")


# ---- for scripts ---------------------------------------------------------------------------------

def test_names_of_any_bytes_in_json(world):
    """None is left out, nor what is wrong with it; a device, a tunnel, one that is asked about."""
    world.up()
    add_interfaces(world, HOSTILE)
    fence = fence_of(world, 3)
    told = " ".join(fence["problems"])
    names = [i["name"] for i in fence["interfaces"]]
    for shown in HOSTILE.values():
        if names.count(shown) != 1 or f"plane on {shown} is missing" not in told:
            raise Failure(f"'{shown}' is not in {names}, or nothing is wrong with it: {told}")
    world.sync()
    said = world.must(world.tunfence("explain", "udp", f"{w.OTHER}:9", "dev",
                                     os.fsdecode(b"\xff\xfe"), "--json")).out
    if json.loads(said)["device"] != r"\xff\xfe":
        raise Failure(f"explain says: {said}")
    world.up(w.BASIC.replace("wg0", os.fsdecode(b"w\xff")), "odd")
    if [t["name"] for t in fences(world)["odd"]["tunnels"]] != [r"w\xff"]:
        raise Failure(f"another tunnel: {fences(world)['odd']['tunnels']}")


def fences(world):
    return {f["name"]: f for f in json.loads(world.tunfence("status", "--json").out)["fences"]}


FIELDS = set("""name mode scope fenced here netns cgroup since looked config cgroup_id cgroups
within ingress tunnels names hooks interfaces counters problems bootstrap_dns exempt exempt_dns
removed_cgroups""".split())


def test_scripts_find_what_they_found(world):
    """And what was stopped, as blocked says it."""
    raise_with_tunnel(world)
    world.agent.call(call_it, b"hermes")
    for port in (9, 9, 10):
        world.agent.call(senders.udp, w.OTHER, port, b"x")
    fence, said = fence_of(world), report(world)
    if FIELDS - set(fence):
        raise Failure(f"these are gone: {FIELDS - set(fence)}")
    stopped = fence["stopped"]
    if any(stopped[here] != said[there] for here, there in (
            ("ever", "stopped"), ("missed", "missed"), ("round", "round"), ("used", "used"),
            ("room", "room"))):
        raise Failure(f"{stopped} is not {said}")
    top = stopped["top"][0]
    if (stopped["today"]["packets"], stopped["senders"], top["packets"], top["kinds"],
            top["who"]["program"], top["most"]["port"]) != (3, 1, 3, 2, "hermes", 9):
        raise Failure(f"not what was sent: {stopped}")
