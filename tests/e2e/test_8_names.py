# SPDX-License-Identifier: GPL-2.0
"""Endpoints given by name: resolved, not resolved, and remembered from when they were."""

import contextlib
import functools
import json
import os
import socket
import struct
import subprocess
import tempfile
import time

from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

import frames
import sandbox
import senders
import servers
import world as w
from craft import ether, sent
from sandbox import Failure
from test_5_loader import bpftool

NAMED = "[Tunnel]\nInterface=wg0\nKind=tun\nEndpoint=vpn.example:51820\n"
STRANGER = w.udp(w.OTHER, 9)
ROAMED = w.outer(w.VPN_ROAMED)


@contextlib.contextmanager
def file_over(world, path, text):
    """The file at path says this; in the runner's own mount namespace."""
    with tempfile.NamedTemporaryFile("w", dir=world.directory) as file:
        os.chmod(file.name, 0o644)
        file.write(text)
        file.flush()
        subprocess.run(["mount", "--bind", file.name, path], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", path], check=True)


def without_dns(test):
    """Whoever asks for a name learns at once that there is no name server."""
    @functools.wraps(test)
    def run(world):
        with file_over(world, "/etc/resolv.conf", "nameserver 127.0.0.1\n"):
            test(world)
    return run


def resolving_to(world, *addresses):
    return file_over(world, "/etc/hosts", "".join(f"{a} vpn.example\n" for a in addresses))


def hosts_path(world):
    return os.path.join(world.state_dir, "wg0.hosts")


def remembered(world):
    with open(hosts_path(world)) as file:
        return file.read().splitlines()[1:]


def says(text, *words):
    for word in words:
        if word not in text:
            raise Failure(f"'{word}' is not in: {text.strip()}")


def name_of(world):
    """What status says of the name."""
    status = world.tunfence("status", "wg0", "--json")
    return json.loads(status.out)["fences"][0]["names"][0]


def boots(world):
    """A fence raised anew, where nothing is known of the last but what is on the disk."""
    world.down()
    world.leaks(STRANGER)
    return world.up(NAMED).out


@without_dns
def test_last_good_addresses_at_boot(world):
    """up finds no DNS, and the tunnel's endpoint is where it was when there was; no other is."""
    with resolving_to(world, w.VPN):
        said = world.up(NAMED).out
    if "did not resolve" in said or remembered(world) != [f"{w.VPN} vpn.example"]:
        raise Failure(f"remembered: {remembered(world)}; said: {said}")
    mode = os.stat(hosts_path(world)).st_mode & 0o777, os.stat(world.state_dir).st_mode & 0o777
    if mode != (0o644, 0o755) or name_of(world)["last_good"]:
        raise Failure(f"modes {mode}, status {name_of(world)}")
    os.utime(hosts_path(world), (time.time() - 3 * 86400,) * 2)
    says(boots(world), "'vpn.example' did not resolve", "last good addresses", "3 days ago",
         "vpn.example stands on its last good addresses")
    if not name_of(world)["last_good"]:
        raise Failure(f"status: {name_of(world)}")
    world.passes(w.outer())
    world.silent(STRANGER, ROAMED)
    says(world.sync().out, "did not resolve", "last good addresses")
    world.passes(w.outer())


@without_dns
def test_a_fresh_answer_replaces_the_last(world):
    with resolving_to(world, w.VPN):
        world.up(NAMED)
    boots(world)
    world.passes(w.outer())
    with resolving_to(world, w.VPN_ROAMED):
        world.sync()
    world.passes(ROAMED)
    world.silent(w.outer())
    if remembered(world) != [f"{w.VPN_ROAMED} vpn.example"] or name_of(world)["last_good"]:
        raise Failure(f"remembered: {remembered(world)}, status {name_of(world)}")
    boots(world)
    world.passes(ROAMED)
    world.silent(w.outer())


@without_dns
def test_what_is_not_in_the_configuration_is_not_used(world):
    os.mkdir(world.state_dir, 0o755)
    with open(hosts_path(world), "w") as file:
        file.write(f"#\n{w.VPN} vpn.example\n{w.VPN_ROAMED} other.example\n")
    world.up(NAMED)
    world.passes(w.outer())
    world.silent(ROAMED)


@without_dns
def test_last_good_addresses_that_others_could_write(world):
    """Ignored as a whole, with a word; the fence is the stricter for it."""
    with resolving_to(world, w.VPN):
        world.up(NAMED)
    good = open(hosts_path(world)).read()

    def broken(path):
        with open(path, "w") as file:
            file.write(good + "127.0.0.1 vpn.example\n")
    for spoil in (lambda p: os.chmod(p, 0o666), lambda p: os.chown(p, 1000, 1000), broken,
                  lambda p: os.rename(p, p + "x") or os.symlink(p + "x", p)):
        if os.path.lexists(hosts_path(world)):
            os.unlink(hosts_path(world))
        with open(hosts_path(world), "w") as file:
            file.write(good)
        spoil(hosts_path(world))
        says(boots(world), "no last good address counts", "did not resolve", "has no endpoint")
        world.silent(w.outer(), STRANGER)


@without_dns
def test_last_good_addresses_cannot_be_written(world):
    """A full disk or a read-only one costs a warning, never the fence, and never what was."""
    os.mkdir(world.state_dir, 0o755)
    sandbox.mount("tmpfs", world.state_dir, "tmpfs", "size=64k,mode=755")
    try:
        with resolving_to(world, w.VPN):
            world.up(NAMED)
        with open(os.path.join(world.state_dir, "full"), "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while file.write(bytes(4096)):
                    pass
        with resolving_to(world, w.VPN_ROAMED):
            says(world.sync().out, "cannot be written", "No space left")
            world.passes(ROAMED)
            if remembered(world) != [f"{w.VPN} vpn.example"]:
                raise Failure(f"remembered: {remembered(world)}")
            subprocess.run(["mount", "-o", "remount,ro", world.state_dir], check=True)
            says(world.up(NAMED).out, "cannot be written")
        world.passes(ROAMED)
    finally:
        sandbox.unmount(world.state_dir)


def test_up_waits_for_no_resolver(world):
    """Name servers that never answer, and a resolv.conf that would wait for them for minutes."""
    text = "nameserver 192.168.77.77\nnameserver 198.51.100.77\noptions timeout:30 attempts:5\n"
    os.mkdir(world.state_dir, 0o755)
    with open(hosts_path(world), "w") as file:
        file.write(f"#\n{w.VPN} vpn.example\n")
    names = "".join(f"Endpoint=host{n}.example:51820\n" for n in range(12))
    with file_over(world, "/etc/resolv.conf", text):
        start = time.monotonic()
        said = world.up(NAMED + names).out
        took = time.monotonic() - start
    says(said, "no answer")
    if not 2 < took < 45:  # it was asked, and would have been for minutes
        raise Failure(f"up took {took:.1f} s")
    world.passes(w.outer())
    world.silent(STRANGER)


# ---- BootstrapDNS= -----------------------------------------------------------------------------

ASKS = f"[Fence]\nBootstrapDNS={w.RESOLVER}\n" + NAMED
ASKS6 = f"[Fence]\nBootstrapDNS=[{w.RESOLVER6}]:5399\n" + NAMED


class NameServer:
    """At the resolver's place, until left; addresses: what every name has, none: it is silent."""

    def __init__(self, world, *addresses, at=w.RESOLVER, port=53):
        self.agent = world.new_agent(world.server)
        self.agent.call(servers.prepare_names, at, port, addresses)
        self.is_silent = not addresses

    def __enter__(self):
        if not self.is_silent:
            self.agent.begin(servers.serve_forever)
        return self

    def __exit__(self, *_):
        self.agent.stop()


def run(command, environment):
    """In an agent, which is of the fenced cgroup: there the fence judges tunfence like the rest."""
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=60,
                          stdin=subprocess.DEVNULL, env=os.environ | environment)
    return w.Result(done.returncode, done.stdout, done.stderr)


def tool(world, *words):
    return [world.settings.tool, *words, f"--cgroup={world.cgroup.path}",
            f"--config-dir={world.config_dir}", f"--wireguard-dir={world.wireguard_dir}",
            f"--bpffs={world.bpffs}", f"--run-dir={world.run_dir}",
            f"--state-dir={world.state_dir}"]


def inside(world, *words, **environment):
    result = world.agent.call(run, tool(world, *words), environment)
    world.log.append(f"{words} -> {result}")
    return result


def questions(world, mark, server=w.RESOLVER, port=53, sniffer=None):
    """The queries on the wire since mark. Whatever else was not plumbing is a leak."""
    sniffer = sniffer or world.sniffer
    world.settle(sniffer)
    found = world.judge.leaks(sniffer.since(mark))
    asked = [f for f in found if (f.protocol, str(f.dst), f.dport) == (frames.UDP, server, port)]
    if len(asked) != len(found):
        raise Failure(f"leaked: {w.describe([f for f in found if f not in asked])}")
    return asked


def kinds(asked):
    """The type that each query asks for."""
    return sorted(struct.unpack("!H", f.payload[-4:-2])[0] for f in asked)


def look_up(port=0):
    """A query as any program would make it."""
    query = b"\x77\x77\x01\x00\x00\x01\0\0\0\0\0\0\x03vpn\x07example\0\0\x01\0\x01"
    return w.udp(w.RESOLVER, 53, query, sport=port,
                 match=lambda f: f.protocol == frames.UDP and query in f.raw)


@without_dns
def test_bootstrap_name_server(world):
    """With the fence up and the tunnel down, sync resolves; on the wire are its two queries and no
    other's, and not one more until it is asked again."""
    world.up(ASKS)
    world.silent(STRANGER, w.outer(), look_up())
    mark = world.sniffer.mark()
    with NameServer(world, w.VPN, w.VPN6):
        says(world.must(inside(world, "sync")).out, "2 live endpoints")
    if kinds(asked := questions(world, mark)) != [1, 28] or len({f.sport for f in asked}) != 1:
        raise Failure(f"asked: {w.describe(asked)}")
    world.passes(w.outer(), w.outer(w.VPN6))
    world.silent(STRANGER, look_up(), ROAMED)
    says(world.tunfence("status", "wg0", "--verbose").out, f"tunfence alone may ask {w.RESOLVER}:53",
         "vpn.example, resolved")
    if remembered(world) != [f"{w.VPN} vpn.example", f"{w.VPN6} vpn.example"]:
        raise Failure(f"remembered: {remembered(world)}")
    with NameServer(world, w.VPN_ROAMED):
        says(world.must(inside(world, "sync")).out, "1 live endpoint")
    world.passes(ROAMED)
    world.silent(w.outer())


@without_dns
def test_bootstrap_at_up(world):
    """The first up asks when its fence stands, and one that replaces it while the old one does."""
    world.write_config(ASKS6)
    with NameServer(world, w.VPN, at=w.RESOLVER6, port=5399):
        for _ in range(2):
            mark = world.sniffer.mark()
            said = world.must(inside(world, "up", "wg0")).out
            asked = [f for f in world.sniffer.since(mark) if f.dport == 5399]
            if kinds(asked) != [1, 28] or "did not resolve" in said:
                raise Failure(f"asked: {w.describe(asked)}; said: {said}")
            world.passes(w.outer())
    world.silent(STRANGER)
    mark = world.sniffer.mark()
    says(world.must(inside(world, "up", "wg0")).out, "did not resolve", "last good")
    if len(asked := questions(world, mark, w.RESOLVER6, 5399)) > 4:  # nobody is there any more
        raise Failure(f"asked: {w.describe(asked)}")
    world.passes(w.outer())


def test_bootstrap_without_a_network(world):
    """At boot: nobody waits."""
    with file_over(world, "/etc/resolv.conf", "nameserver 127.0.0.1\n"):
        world.ip(world.client, "route del default")
        world.write_config(ASKS)
        says(world.must(inside(world, "up", "wg0")).out, "did not resolve",
             "Network is unreachable")


def test_bootstrap_does_not_go_with_a_cgroup(world):
    world.write_config(f"[Fence]\nCgroup={world.cgroup.path}\nBootstrapDNS={w.RESOLVER}\n" + NAMED)
    result = world.must(world.tunfence("up", "wg0", cgroup=None), 1)
    says(result.err, ":3:", "does not go with a cgroup")


@senders.outcome
def ask_from(address, port, query, sport, source=""):
    """By a socket that shares the port."""
    with socket.socket(senders.family_of(address), socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((source, sport))
        sock.sendto(query, (address, port))


def impostors(query, sport):
    """Everybody else's ways to send the same query from the same port."""
    fake = b"\x99\x99" + query[2:]

    def match(frame):
        return fake in frame.raw
    packet = IP(src=w.CLIENT, dst=w.RESOLVER) / UDP(sport=sport, dport=53) / Raw(fake)
    return [w.Shot("the same port, shared", ask_from, w.RESOLVER, 53, fake, sport, match=match),
            w.Shot("the same port and address, shared", ask_from, w.RESOLVER, 53, fake, sport,
                   w.CLIENT, match=match),
            w.Shot("a raw socket", senders.raw_packet, bytes(packet), w.RESOLVER, match=match),
            sent("a copy by AF_PACKET", lambda _: ether(packet), match=match)]


def asking(world, *words):
    """An agent of the fenced cgroup in which the tool runs, and the first query it has sent."""
    agent = world.new_agent(world.client, world.cgroup)
    mark = world.sniffer.mark()
    agent.begin(run, tool(world, *words), {"TUNFENCE_FAULT": "share-port"})
    return agent, world.sniffer.wait(
        lambda f: (f.protocol, str(f.dst), f.dport) == (frames.UDP, w.RESOLVER, 53), mark, "a query")


@without_dns
def test_bootstrap_impostors(world):
    """While tunfence waits for an answer, others send what it sends, in all their ways: sockets of
    the fenced cgroup and outside it, with a tunnel up, so that no guard is in the way."""
    world.tun()
    agents = world.agent, world.outside
    behind = world.lan()
    world.up(ASKS)
    query = bytes.fromhex("7777010000010000000000000376706e076578616d706c650000010001")
    forwarded = w.Shot("forwarded", ask_from, w.RESOLVER, 53, b"\x99\x99" + query[2:], 4000,
                       match=lambda f: f.payload[:2] == b"\x99\x99")
    with NameServer(world):
        agent, first = asking(world, "sync")
        mark = world.sniffer.mark()
        for sender in agents:
            for shot in impostors(first.payload, first.sport):
                world.log.append(f"{shot}: {shot.fire(sender)[0]}")
        forwarded.args = (*forwarded.args[:3], first.sport)
        world.log.append(f"forwarded: {forwarded.fire(behind)[0]}")
        if found := [f for f in questions(world, mark) if f.payload[:2] == b"\x99\x99"]:
            raise Failure(f"leaked: {w.describe(found)}")
        world.sniffer.wait(lambda f: f.payload == first.payload, mark, "the second try")
        says(world.must(agent.end()).out, "0 live endpoints", "no answer")
    if len(asked := [f for f in questions(world, mark)]) > 4:
        raise Failure(f"asked: {w.describe(asked)}")
    world.down()
    for sender in agents:
        world.leaks(*impostors(first.payload, first.sport), agent=sender)
    world.leaks(forwarded, agent=behind)


def question_of(world):
    """The element of the fence's map, None if there is none."""
    program = os.path.join(world.bpffs, "tunfence", "wg0", "progs", "socket")
    maps = json.loads(bpftool("-j", "prog", "show", "pinned", program).stdout)["map_ids"]
    for number in maps:
        if json.loads(bpftool("-j", "map", "show", "id", str(number)).stdout)["name"] == "question":
            found = json.loads(bpftool("-j", "map", "dump", "id", str(number)).stdout)
            return found[0]["formatted"]["value"] if found else None
    raise Failure("the fence has no question")


@without_dns
def test_bootstrap_killed_while_asking(world):
    """The question that stands is nobody's, and passes within seconds; until then what comes in
    from the server for its port may."""
    if bpftool("version").returncode:
        raise sandbox.Skip("there is no bpftool")
    world.up(ASKS)
    mark = world.sniffer.mark()
    for step in range(1, 100):
        killed = inside(world, "sync", TUNFENCE_FAULT=str(step))
        question = question_of(world)
        if question or killed.code != -9:
            break
    if killed.code != -9 or not question:
        raise Failure(f"not killed while asking, but after {step} steps: {killed}")
    if found := questions(world, mark):
        raise Failure(f"asked: {w.describe(found)}")
    port = question["local_port"]
    for shot in impostors(look_up().args[2], port):
        world.silent(shot)
    left = question["until"] / 1e9 - time.clock_gettime(time.CLOCK_MONOTONIC)
    if not -60 < left < 5:
        raise Failure(f"the question stands for {left:.1f} s more")
    sandbox.until(lambda: is_answer_stopped(world, port), 20, "the question to pass")
    with NameServer(world, w.VPN):
        says(world.must(inside(world, "sync")).out, "1 live endpoint")
    if question_of(world):
        raise Failure("a question stands that nobody asks")


def counted(world, plane, reason):
    status = json.loads(world.tunfence("status", "wg0", "--json").out)
    return sum(c["packets"] for c in status["fences"][0]["counters"]
               if (c["plane"], c["reason"]) == (plane, reason))


def is_answer_stopped(world, port):
    """Whether what the name server says to this port is stopped now."""
    before = counted(world, "ingress", "bootstrap"), counted(world, "ingress", "name_lookup")
    agent = world.new_agent(world.server)
    agent.call(say, w.RESOLVER, 53, w.CLIENT, port, b"\x77\x77\x81\x80" + bytes(8))
    agent.stop()
    return sandbox.until(lambda: decided(world, before), 5, "the answer to be judged") == "dropped"


def say(here, sport, address, port, payload):
    with servers.open_socket(here, socket.SOCK_DGRAM, sport) as sock:
        sock.sendto(payload, (address, port))


def decided(world, before):
    if counted(world, "ingress", "name_lookup") > before[1]:
        return "dropped"
    return "passed" if counted(world, "ingress", "bootstrap") > before[0] else None


@without_dns
def test_bootstrap_two_fences(world):
    """Each lets out only its own: what one fence lets be asked, the other stops."""
    world.up(ASKS)
    world.up(NAMED.replace("wg0", "wg1"), "wg1")
    mark = world.sniffer.mark()
    with NameServer(world, w.VPN):
        inside(world, "sync", "wg0")
        if found := questions(world, mark):
            raise Failure(f"asked: {w.describe(found)}")
        world.up(ASKS.replace("wg0", "wg1"), "wg1")
        inside(world, "sync", "wg0")
        if found := questions(world, mark):
            raise Failure(f"asked: {w.describe(found)}")
        world.down("wg1")
        says(world.must(inside(world, "sync", "wg0")).out, "1 live endpoint")


# ---- other programs ----------------------------------------------------------------------------

LIBRARY = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                       "build", "libnss_tunfence.so.2")
BY_EVERY_CALL = """
import socket, sys
name = sys.argv[1]
families = socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6
for family in families:
    try:
        found = socket.getaddrinfo(name, 1, family, socket.SOCK_DGRAM)
        print(sorted({a[4][0] for a in found}))
    except OSError:
        print([])
try:
    print(socket.gethostbyname_ex(name)[2])
except OSError:
    print([])
"""


def found_by(world, name):
    """What the C library's calls find: of any family, IPv4, IPv6, and the oldest of them."""
    out = world.agent.call(run, ["/usr/bin/python3", "-c", BY_EVERY_CALL, name],
                           {"LD_LIBRARY_PATH": os.path.dirname(LIBRARY)})
    return [json.loads(line.replace("'", '"')) for line in out.out.splitlines()]


def test_other_programs_find_the_endpoint(world):
    """wg and its like ask the C library, which cannot ask anybody else. Tunfence itself does not
    take its own words for news."""
    if not os.path.exists(LIBRARY):
        raise sandbox.Skip(f"'{LIBRARY}' is not there; build it with 'make'")
    nobody = [[], [], [], []]
    os.symlink(f"{world.run_dir}-hosts", "/run/tunfence-hosts")
    try:
        with file_over(world, "/etc/nsswitch.conf", "hosts: files tunfence dns\n"), \
                file_over(world, "/etc/resolv.conf", "nameserver 127.0.0.1\n"):
            with resolving_to(world, w.VPN, w.VPN6):
                world.up(NAMED)
            everybody = [[w.VPN6, w.VPN], [w.VPN], [w.VPN6], [w.VPN]]
            for name, wanted in (("vpn.example", everybody), ("VPN.Example.", everybody),
                                 ("other.example", nobody), ("xvpn.example", nobody)):
                if (found := found_by(world, name)) != [sorted(a) for a in wanted]:
                    raise Failure(f"{name}: {found}, not {wanted}")
            said = world.must(inside(world, "sync", LD_LIBRARY_PATH=os.path.dirname(LIBRARY)))
            says(said.out, "did not resolve", "last good")
            file = os.path.join(f"{world.run_dir}-hosts", "wg0")
            os.chmod(file, 0o666)
            if (found := found_by(world, "vpn.example")) != nobody:
                raise Failure(f"a file that others can write is believed: {found}")
            os.chmod(file, 0o644)
            world.down()
            if (found := found_by(world, "vpn.example")) != nobody or os.path.exists(file):
                raise Failure(f"without a fence: {found}")
    finally:
        os.unlink("/run/tunfence-hosts")
