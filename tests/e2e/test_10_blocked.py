# SPDX-License-Identifier: GPL-2.0
"""What `tunfence blocked` says of what was dropped: which program, or honestly none; where to; why;
and as often as the counters say. A tunnel is up in most of them: without one the guard refuses many
senders before there is a packet."""

import json
import os
import re
import secrets
import socket
import struct
import time

import craft
import hostile
import senders
import world as w
from sandbox import Failure, until
from world import Shot

NO_NETFILTER = {"TUNFENCE_FAULT": "no-netfilter"}
LAN_CONFIG = w.BASIC + "[Allow]\nInside=lan0\n"
ALLOWED = w.BASIC + f"[Allow]\nDestination=tcp {w.WEB} port 80\n"


# ---- in the agent --------------------------------------------------------------------------------

def call_it(name):
    """Gives this process a name, of any bytes but zero."""
    with open("/proc/self/comm", "wb") as file:
        file.write(name)
    return os.getpid()


def in_child(function, *args, name=None):
    """Runs it in a process that is gone afterwards; its number."""
    child = os.fork()
    if child == 0:
        try:
            if name:
                call_it(name)
            function(*args)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return child


def in_thread(address, port, payload):
    """Sends from a thread that has a name of its own."""
    import threading

    def send():
        with open(f"/proc/self/task/{threading.get_native_id()}/comm", "w") as file:
            file.write("a thread")
        senders.udp(address, port, payload)
    thread = threading.Thread(target=send)
    thread.start()
    thread.join()


def many(first, count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(count):
            address = socket.inet_ntoa(struct.pack("!I", first + number))
            try:
                sock.sendto(b"x", (address, 9))
            except OSError:
                pass


def flood(address, port, count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(count):
            try:
                sock.sendto(b"x", (address, port))
            except OSError:
                pass


def keep_udp(name):
    senders.kept[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


@senders.outcome
def send_kept(name, address, port, payload):
    senders.kept[name].sendto(payload, (address, port))


def accept_one(name):
    senders.kept[name].settimeout(5)
    senders.kept["accepted"], _ = senders.kept[name].accept()


@senders.outcome
def bypass():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS


# ---- what is said --------------------------------------------------------------------------------

def report(world, *args):
    result = world.must(world.tunfence("blocked", "wg0", "--json", *args))
    return json.loads(result.out)["fences"][0]


def stopped(world):
    """Packets that are dropped, by plane and reason, as status counts them."""
    fences = json.loads(world.tunfence("status", "--json").out)["fences"]
    counters = next(f for f in fences if f["name"] == "wg0")["counters"]
    return {(c["plane"], c["reason"]): c["packets"] for c in counters
            if c["verdict"] == "drop" and c["packets"]}


def row(world, what, **wanted):
    """The one entry with these values, however many planes have it."""
    rows = [r for r in report(world)["blocked"] if all(r.get(k) == v for k, v in wanted.items())]
    if not rows:
        raise Failure(f"{what}: nothing of {wanted} in {json.dumps(report(world), indent=1)}")
    return rows[0]


def expect(found, **wanted):
    for name, value in wanted.items():
        if found.get(name) != value:
            raise Failure(f"'{name}' is {found.get(name)!r}, not {value!r}, in {found}")


seen = {}


def as_program(world, found, name="hermes"):
    """That of the agent, whose number on the machine is not known here: it is the same each time."""
    expect(found, sender="program", program=name, uid=0,
           pid=seen.setdefault((os.getpid(), world.agent.pid), found.get("pid")))
    if not world.cgroup.path.endswith(found["cgroup"]):
        raise Failure(f"'{found['cgroup']}' is not the cgroup {world.cgroup.path}")


def packet_shot():
    return craft.sent("AF_PACKET", lambda t: craft.ether(craft.ip4(t)))


def raise_with_tunnel(world, config=w.BASIC, **options):
    world.tun("wg0")
    world.up(config, **options)
    world.agent.call(call_it, b"hermes")


# ---- who -----------------------------------------------------------------------------------------

def test_each_kind_of_socket_names_its_program(world):
    raise_with_tunnel(world)
    shots = {
        ("udp", w.OTHER, 9): w.udp(w.OTHER, 9), ("udp", w.WEB6, 9): w.udp(w.WEB6, 9),
        ("tcp", w.WEB, 80): w.tcp(w.WEB, 80), ("tcp", w.WEB6, 80): w.tcp(w.WEB6, 80),
        ("icmp", w.WEB, 0): w.ping(w.WEB), ("icmpv6", w.WEB6, 0): w.ping(w.WEB6),
        ("icmp", w.RESOLVER, 0): w.ping(w.RESOLVER, kind=socket.SOCK_RAW),
        ("ip/253", w.OTHER, 0): Shot("raw IP", senders.raw, w.OTHER, 253, w.same),
    }
    for (protocol, address, port), shot in shots.items():
        mark = int(time.time())
        world.silent(shot)
        found = row(world, str(shot), protocol=protocol, address=address, port=port)
        as_program(world, found)
        expect(found, device="eth0", reason="not_allowed", observed=False, round=False)
        if not mark - 1 <= found["first"] <= found["last"] <= time.time() + 1:
            raise Failure(f"{shot}: not between {mark} and now: {found}")


def test_a_packet_socket_names_its_program(world):
    raise_with_tunnel(world)
    world.silent(packet_shot())
    found = row(world, "a frame", plane="wire", sender="program")
    as_program(world, found)
    expect(found, device="eth0", round=False)


def test_refused_before_there_is_a_packet(world):
    world.up()
    world.agent.call(call_it, b"hermes")
    for address in (w.WEB, w.WEB6):
        world.silent(w.tcp(address, 80), told="EPERM")
        found = row(world, "connect", plane="guard", address=address, protocol="tcp", port=80)
        as_program(world, found)
        expect(found, reason="no_tunnel", packets=1, device="")
    world.agent.call(bypass)
    as_program(world, row(world, "a bypass", plane="guard", reason="bypass"))


def test_the_process_and_not_its_thread_is_named(world):
    raise_with_tunnel(world)
    world.agent.call(in_thread, w.OTHER, 9, b"x")
    as_program(world, row(world, "a thread's", address=w.OTHER, port=9))


def test_a_process_that_is_gone(world):
    raise_with_tunnel(world)
    world.agent.call(in_child, senders.udp, w.OTHER, 9, b"x", name=b"mayfly")
    world.agent.call(in_child, senders.udp, w.OTHER, 10, b"x", name=b"mayfly")
    first, second = (row(world, "a short life", port=port, program="mayfly") for port in (9, 10))
    if first["pid"] == second["pid"] or first["running"] or second["running"]:
        raise Failure(f"not two processes that ended: {first}, {second}")


def test_a_socket_that_is_older_than_the_fence(world):
    world.tun("wg0")
    world.agent.call(keep_udp, "old")
    world.agent.call(call_it, b"hermes")
    world.up()
    world.agent.call(send_kept, "old", w.OTHER, 9, b"x")
    found = row(world, "an old socket", address=w.OTHER, port=9)
    expect(found, sender="older", uid=0)
    if "program" in found or not world.cgroup.path.endswith(found["cgroup"]):
        raise Failure(f"more is said than is known, or less: {found}")
    world.ip(world.client, "link set wg0 down")
    world.agent.call(send_kept, "old", w.OTHER, 10, b"x")
    as_program(world, row(world, "an old socket that asks again", address=w.OTHER, port=10))


def test_what_a_timer_sends_is_its_program_s(world):
    """A connection of before loses its way; what goes out then no system call sends."""
    world.serve()
    raise_with_tunnel(world, ALLOWED)
    world.agent.call(senders.tcp_open, "web", w.WEB, 80)
    world.up(w.BASIC)
    world.agent.call(senders.tcp_send, "web", b"GET /")
    world.agent.call(call_it, b"another name")

    def retried():
        return [r for r in report(world)["blocked"] if r.get("port") == 80 and r["packets"] > 2]
    found = until(retried, 10, "retransmissions")[0]
    as_program(world, found)


def test_an_accepted_socket_is_its_listener_s(world):
    """Nobody connects it, and no hook sees it made."""
    raise_with_tunnel(world, w.BASIC + "[Allow]\nInboundTCP=8080\n")
    world.agent.call(senders.listen, "door", w.CLIENT, 8080)
    peer = world.new_agent(world.server)
    peer.begin(senders.tcp_open, "in", w.CLIENT, 8080)
    world.agent.call(accept_one, "door")
    peer.end()
    world.up(w.BASIC)
    world.agent.call(senders.tcp_send, "accepted", b"x")
    as_program(world, row(world, "an accepted socket", protocol="tcp", address=w.VPN,
                          sender="program"))


def test_what_has_no_program_is_not_given_one(world):
    lan = world.lan()
    raise_with_tunnel(world, LAN_CONFIG)
    world.silent(w.udp(w.OTHER, 9), agent=lan)
    found = row(world, "forwarded", address=w.OTHER, port=9)
    expect(found, sender="forwarded", device="eth0")
    expect(found, **{"from": "lan0"})
    if "program" in found:
        raise Failure(f"forwarded, and more is said than is known: {found}")
    igmp = Shot("IGMP", senders.join_group, "232.7.7.7", "eth0", match=lambda f: f.protocol == 2)
    world.silent(igmp)
    found = row(world, "IGMP", protocol="igmp")
    expect(found, sender="kernel")
    if "program" in found:
        raise Failure(f"the kernel is no program: {found}")


def test_what_comes_in(world):
    world.serve()
    raise_with_tunnel(world)
    server = world.new_agent(world.server)
    server.call(senders.udp, w.CLIENT, 7777, b"x")
    found = until(lambda: [r for r in report(world)["blocked"] if r["plane"] == "ingress"], 5,
                  "something to come in")[0]
    expect(found, sender="network", protocol="udp", port=7777, reason="unasked", device="eth0")


# ---- what it asked for ---------------------------------------------------------------------------

def query(name, kind=1):
    """A DNS query for raw labels."""
    return (secrets.token_bytes(2) + b"\1\0\0\1\0\0\0\0\0\0" + name +
            struct.pack("!HH", kind, 1))


def labels(*parts):
    return b"".join(bytes([len(p)]) + p for p in parts) + b"\0"


QUESTIONS = {
    labels(b"www", b"example", b"org"): "www.example.org",
    labels(b"WWW", b"example", b"net"): "WWW.example.net",
    labels(): ".",
    labels("bücher".encode(), b"example"): "bücher.example",
    labels(b"\x1b[2J\x07", b"e"): r"\x1b[2J\x07.e",
    labels(b"\xff\xfe", b"a.b"): r"\xff\xfe.a\x2eb",
    labels(b"\xe2\x80\xae", b"e"): r"\xe2\x80\xae.e",
    labels(b"a" * 63, b"b" * 63): "a" * 63 + "...",
    b"\xff" * 255: "...",
}


def test_the_name_that_is_asked_for(world):
    raise_with_tunnel(world)
    for name in QUESTIONS:
        world.agent.call(senders.udp, w.RESOLVER, 53, query(name))
    rows = [r for r in report(world)["blocked"] if r.get("port") == 53]
    found = sorted(r.get("question", "") for r in rows)
    if found != sorted(QUESTIONS.values()):
        raise Failure(f"asked for {found}, not {sorted(QUESTIONS.values())}")
    for r in rows:
        expect(r, reason="name_lookup", packets=1)
    again = labels(b"wWw", b"eXample", b"org")
    world.agent.call(senders.udp, w.RESOLVER, 53, query(again))
    expect(row(world, "the same name", question="www.example.org"), packets=2)
    check_text(world)


def check_text(world):
    """No byte that a terminal does anything for, and no line longer than it is wide."""
    out = world.must(world.tunfence("blocked", "wg0", "--top", "0")).out
    for line in out.split("\n"):
        if re.search("[\x00-\x1f\x7f-\x9f\u202e]", line):
            raise Failure(f"not fit for a terminal: {line!r}")
        if len(line) > 80 and "asks for" not in line and "user" not in line:
            raise Failure(f"more than 80 columns: {line!r}")
    return out


def test_a_hostile_name_of_a_program(world):
    raise_with_tunnel(world)
    for number, (name, shown) in enumerate({
            b"\x1b]0;owned\x07": r"\x1b]0;owned\x07", b"a\nb\rc": r"a\x0ab\x0dc",
            b"\xc3(\xff": r"\xc3(\xff", b'"},{': '"},{',
            "é\u202e".encode(): "é" + r"\xe2\x80\xae"}.items()):
        world.agent.call(in_child, senders.udp, w.OTHER, 100 + number, b"x", name=name)
        expect(row(world, shown, port=100 + number), program=shown)
    check_text(world)


# ---- how often -----------------------------------------------------------------------------------

def check_sums(world):
    """All is in an entry or said to be in none; and as status has it."""
    said = report(world)
    listed = sum(r["packets"] for r in said["blocked"])
    counted = sum(stopped(world).values())
    if listed + said["missed"]["packets"] != said["stopped"]["packets"]:
        raise Failure(f"{listed} listed and {said['missed']} are not {said['stopped']}")
    return said, listed, counted


def test_numbers_are_those_of_the_counters(world):
    raise_with_tunnel(world)
    agents = [world.agent, world.new_agent(world.client, world.cgroup)]
    for agent in agents:
        agent.begin(flood, w.OTHER, 9, 20000)
    for agent in agents:
        agent.end()
    world.agent.call(many, 0xC6336400, 50)
    said, listed, counted = check_sums(world)
    if not listed == counted == said["stopped"]["packets"] or listed < 40050:
        raise Failure(f"{listed} listed, {counted} counted, {said['stopped']}")
    by = {}
    for r in said["blocked"]:
        by[r["plane"], r["reason"]] = by.get((r["plane"], r["reason"]), 0) + r["packets"]
    if by != stopped(world):
        raise Failure(f"{by} is not {stopped(world)}")


def test_more_destinations_than_there_is_room_for(world):
    raise_with_tunnel(world)
    world.agent.call(many, 0x0B000000, 100000)
    said, listed, counted = check_sums(world)
    if counted < 100000 or said["missed"]["packets"] == 0 or said["used"] > said["room"]:
        raise Failure(f"{counted} counted, {said['missed']} missed, {said['used']} used")
    if listed + said["missed"]["packets"] != counted:
        raise Failure(f"{listed} listed and {said['missed']} are not {counted}")
    if "had no room here" not in check_text(world):
        raise Failure("what did not fit is not mentioned")


def test_it_outlives_a_new_policy(world):
    def ours():  # not what neighbours sent meanwhile
        return [r for r in report(world)["blocked"] if r["address"] == w.OTHER]

    raise_with_tunnel(world)
    world.agent.call(keep_udp, "kept")
    world.silent(w.udp(w.OTHER, 9))
    before = ours()
    world.up(w.BASIC + "[Allow]\nLAN=yes\n")
    if not before or ours() != before:
        raise Failure(f"{ours()} is not {before}")
    world.agent.call(send_kept, "kept", w.OTHER, 10, b"x")
    as_program(world, row(world, "a socket of the policy before", port=10))
    check_sums(world)


def test_clear_forgets_and_counters_go_on(world):
    raise_with_tunnel(world, environment={"TUNFENCE_FAULT": "few-blocked"})
    world.agent.call(many, 0x0B000000, 1000)
    counted = sum(stopped(world).values())
    if "forgotten" not in world.must(world.tunfence("blocked", "wg0", "--clear")).out:
        raise Failure("it does not say that it forgot something")
    said = report(world)
    if said["blocked"] or said["stopped"]["packets"] or said["missed"]["packets"]:
        raise Failure(f"not all is forgotten: {said}")
    world.silent(w.udp(w.OTHER, 9))
    said, listed, now = check_sums(world)
    if not listed == said["stopped"]["packets"] == now - counted > 0:
        raise Failure(f"{listed} listed, {said['stopped']}, counted {counted} and then {now}")


def test_only_what_is_asked_for(world):
    raise_with_tunnel(world)
    for number in range(3):
        for _ in range(number + 1):
            world.agent.call(in_child, senders.udp, w.OTHER, 100 + number, b"x",
                             name=b"app%d" % number)

    def ports(*args):
        return [r["port"] for r in report(world, *args)["blocked"] if r.get("port", 0) >= 100]
    for args, wanted in (((), [102, 101, 100]), (("--top", "1"), [102]),
                         (("--app", "app1"), [101]), (("--app", "app[02]"), [102, 100]),
                         (("--app", "nobody"), []), (("--since", "1h"), [102, 101, 100])):
        if ports(*args) != wanted:
            raise Failure(f"{args}: {ports(*args)} instead of {wanted}")
    for args, code in ((("--since", "tomorrow"), 1), (("--top", "-1"), 1), (("nosuch",), 1)):
        world.must(world.tunfence("blocked", *args), code)
    time.sleep(2.1)
    if ports("--since", "1s"):
        raise Failure("what is older than a second is said to be of the last one")


def test_a_fence_that_only_watches(world):
    raise_with_tunnel(world, w.BASIC + "[Fence]\nMode=observe\n")
    world.leaks(w.udp(w.OTHER, 9))
    found = row(world, "observed", address=w.OTHER, port=9)
    as_program(world, found)
    expect(found, observed=True, round=False)
    out = check_text(world)
    if "would have been stopped" not in out or len(re.findall(r"udp 198.51.100.9:9", out)) != 1:
        raise Failure(f"not as it should be said of a fence that only observes: {out}")


TERMINAL = ("/usr/bin/python3", os.path.join(os.path.dirname(__file__), "terminal.py"))


def test_colours_on_a_terminal_alone(world):
    raise_with_tunnel(world)
    world.silent(w.udp(w.OTHER, 9))
    plain = world.must(world.tunfence("blocked", "wg0")).out
    bright = world.must(world.tunfence("blocked", "wg0", wrapper=TERMINAL)).out
    if "\x1b" in plain or "\x1b[1mhermes" not in bright:
        raise Failure(f"colours where there should be none, or none: {plain!r}, {bright!r}")
    if re.sub(r"\x1b\[[0-9;]*m", "", bright) != plain:
        raise Failure(f"other words on a terminal: {bright!r} instead of {plain!r}")
    for environment, wanted in (({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        said = world.tunfence("blocked", wrapper=TERMINAL, environment=environment).out
        if ("\x1b" in said) != wanted:
            raise Failure(f"{environment}: {said!r}")


# ---- planes that disagree ------------------------------------------------------------------------

def _socket_links(roots):
    return [os.path.join(where, name) for root in roots for where, _, files in os.walk(root)
            for name in files if name.startswith("socket") and where.endswith("links")]


def take_socket_plane_off(root):
    for path in _socket_links([root]):
        hostile.detach(path)


def test_what_goes_round_the_socket_plane_is_told_apart(world):
    raise_with_tunnel(world, environment=NO_NETFILTER)
    world.silent(w.udp(w.OTHER, 9))
    if report(world)["round"]["packets"]:
        raise Failure("what the socket plane stopped is said to have gone round it")
    world.silent(packet_shot())
    if report(world)["round"]["packets"]:
        raise Failure("the socket plane never sees AF_PACKET, and it is said to have missed it")
    fence = json.loads(world.tunfence("status", "--json").out)["fences"][0]
    if not fence["fenced"]:
        raise Failure(f"not fenced: {fence['problems']}")
    world.below(take_socket_plane_off, os.path.join(world.run_dir, "bpf"))
    world.silent(w.udp(w.OTHER, 11))
    said = [r for r in report(world)["blocked"] if r.get("port") == 11]
    if not said:
        raise Failure("nothing is said of a packet that the wire plane stopped")
    expect(said[0], plane="wire", round=True, sender="program", program="hermes")
    text = world.must(world.tunfence("blocked")).out
    if not re.search(r"udp 198\.51\.100\.9:11 .*\n +got past the socket plane\n", text):
        raise Failure(f"the row does not say which way it went: {text}")
