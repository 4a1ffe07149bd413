# SPDX-License-Identifier: GPL-2.0
"""What `tunfence watch` says of what is dropped, as it happens: each kind at once and then once a
second at most, with numbers that are right in the end; and that nobody is told when nobody listens.
How often is compared with `tunfence blocked`, whose numbers are compared with the counters."""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time

import sandbox
import senders
import world as w
from sandbox import Failure, until
from test_10_blocked import (NO_NETFILTER, QUESTIONS, expect, flood, in_child, many, packet_shot,
                             query, raise_with_tunnel, report, stopped, take_socket_plane_off)

AT_ONCE = 10      # seconds, on a busy machine
LEASE = 5         # seconds, after which a watcher that was killed is forgotten
ANY_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")


class Watcher:
    """`tunfence watch`, whose lines are read as they come."""

    def __init__(self, world, *args, wrapper=(), environment=None, ready=True):
        options = {"bpffs": world.bpffs, "run-dir": world.run_dir}
        self.world, self.args, self.text = world, args, b""
        self.errors = os.path.join(world.directory, f"watcher-{len(world.processes)}.log")
        with world.client, open(self.errors, "w") as errors:
            self.process = subprocess.Popen(
                [*wrapper, world.settings.tool, "watch", *args,
                 *(f"--{k}={v}" for k, v in options.items())],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                env=os.environ | (environment or {}), preexec_fn=sandbox.die_with_parent)
        world.processes.append(self.process)
        os.set_blocking(self.process.stdout.fileno(), False)
        if ready:
            self.wait(lambda lines: any("is up" in x or '"up"' in x for x in lines), "to listen")

    def lines(self):
        """All that it has said, but for a line that is not yet whole."""
        while chunk := self.process.stdout.read():
            self.text += chunk
        return self.text.decode(errors="backslashreplace").split("\n")[:-1]

    def wait(self, condition, what, seconds=AT_ONCE):
        try:
            return until(lambda: condition(self.lines()), seconds, f"the watcher {what}")
        except Failure as failure:
            with open(self.errors) as file:
                raise Failure(f"{failure}; it says {self.lines()}, and {file.read()!r}") from None

    def objects(self, event="blocked", **wanted):
        found = [json.loads(line) for line in self.lines()]
        return [o for o in found if o["event"] == event and
                all(o.get(k) == v for k, v in wanted.items())]

    def told(self, seconds=AT_ONCE, event="blocked", **wanted):
        """Waits for such an object; the first."""
        return self.wait(lambda _: self.objects(event, **wanted), f"to tell of {wanted}",
                         seconds)[0]

    def said(self, pattern, seconds=AT_ONCE):
        return self.wait(lambda lines: [x for x in lines if re.search(pattern, x)],
                         f"to say '{pattern}'", seconds)[0]

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(AT_ONCE)


def lost_of(world):
    return sum(o["count"] for o in world.objects("lost"))



# ---- what is said --------------------------------------------------------------------------------

def test_each_kind_is_told_at_once(world):
    raise_with_tunnel(world)
    watcher = Watcher(world, "--json")
    for shot, wanted in ((w.udp(w.OTHER, 9), {"protocol": "udp", "port": 9}),
                         (w.tcp(w.WEB6, 80), {"protocol": "tcp", "address": w.WEB6}),
                         (w.ping(w.WEB), {"protocol": "icmp", "address": w.WEB})):
        world.silent(shot)
        found = watcher.told(**wanted)
        expect(found, sender="program", program="hermes", fence="wg0", device="eth0",
               reason="not_allowed", observed=False)
        same = [r for r in report(world)["blocked"]
                if all(r.get(k) == v for k, v in wanted.items())][0]
        for name in set(same) - {"packets", "bytes", "last", "first"}:
            expect(found, **{name: same[name]})


def test_a_line_is_80_columns_wide(world):
    raise_with_tunnel(world)
    watcher = Watcher(world, "wg0")
    world.agent.call(senders.udp, w.OTHER, 9, b"x")
    line = watcher.said("udp 198.51.100.9:9 ")
    if not re.fullmatch(r"\d\d:\d\d:\d\d hermes +udp 198\.51\.100\.9:9 +eth0 +not_allowed +x1", line):
        raise Failure(f"not the line that was meant: {line!r}")
    world.agent.call(senders.udp, w.WEB6, 9, b"x")
    watcher.said("2001:db8:51::80")
    world.agent.call(senders.udp, w.RESOLVER, 53, query(b"\3www\7example\3org\0"))
    watcher.said("dns 198.51.100.53 www.example.org")
    for line in watcher.lines():
        if len(line) > 80 or ANY_CONTROL.search(line):
            raise Failure(f"too long, or not fit for a terminal: {line!r}")


def test_of_one_program_alone(world):
    raise_with_tunnel(world)
    watcher = Watcher(world, "--app", "may*", "--json")
    world.agent.call(senders.udp, w.OTHER, 9, b"x")
    world.agent.call(in_child, senders.udp, w.OTHER, 10, b"x", name=b"mayfly")
    watcher.told(program="mayfly", port=10)
    if watcher.objects(port=9):
        raise Failure(f"another program's: {watcher.objects()}")


def test_what_got_past_the_socket_plane_is_marked(world):
    raise_with_tunnel(world, environment=NO_NETFILTER)
    path = os.path.join(world.directory, "watch.pcapng")
    watcher = Watcher(world, "--app", "hermes", "--pcap", path)
    world.silent(w.udp(w.OTHER, 9))
    watcher.said("udp 198.51.100.9:9 ")
    world.below(take_socket_plane_off, os.path.join(world.run_dir, "bpf"))
    world.silent(w.udp(w.OTHER, 11))
    watcher.said("got past the socket plane")
    lines = [x for x in watcher.lines() if not x.endswith("up")][1:]
    if len(lines) != 3 or ":11 " not in lines[1] or len(lines[2]) > 80:
        raise Failure(f"not one line of each and the mark below the second: {lines}")
    marked = [("got past" in comment) for _, comment in captured(path)]
    if marked != [False, True]:
        raise Failure(f"not the second of two in the capture: {comments(path)}")


# ---- how often -----------------------------------------------------------------------------------

def test_a_flood_is_few_lines_and_the_last_is_right(world):
    raise_with_tunnel(world)
    watcher = Watcher(world, "--json")
    start = time.monotonic()
    world.agent.call(flood, w.OTHER, 9, 20000)
    seconds = time.monotonic() - start
    watcher.wait(lambda _: sum(o["count"] for o in watcher.objects(port=9)) == 20000,
                 "to have told of all packets")
    found = watcher.objects(port=9)
    if len(found) > seconds + 3:
        raise Failure(f"{len(found)} lines in {seconds:.1f} s: {found}")
    if found[0]["packets"] != 1 or found[-1]["packets"] != 20000:
        raise Failure(f"not from 1 to 20000: {found}")


def test_two_watch_and_each_is_told(world):
    raise_with_tunnel(world)
    watchers = [Watcher(world, "--json") for _ in range(4)]
    world.agent.call(senders.udp, w.OTHER, 9, b"x")
    for watcher in watchers:
        expect(watcher.told(port=9), packets=1, count=1)
    result = world.tunfence("watch", "wg0", wrapper=("timeout", str(AT_ONCE)))
    if result.code != 1 or "already watch" not in result.err:
        raise Failure(f"a fifth may watch: {result}")
    watchers[1].end()
    watcher = Watcher(world, "wg0", "--json")
    world.agent.call(senders.udp, w.OTHER, 10, b"x")
    expect(watcher.told(port=10), count=1)


def test_a_watcher_that_was_killed_is_forgotten(world):
    raise_with_tunnel(world)
    watchers = [Watcher(world, "--json") for _ in range(4)]
    for watcher in watchers:
        watcher.end(signal.SIGKILL)

    def listens():
        result = world.tunfence("watch", "wg0", wrapper=("timeout", "1"))
        return "already watch" not in result.err
    if listens():
        raise Failure("nobody's lease was taken")
    until(listens, LEASE + AT_ONCE, "the leases to end")


def test_a_watcher_is_told_for_longer_than_its_lease(world):
    raise_with_tunnel(world)
    watcher = Watcher(world, "--json")
    time.sleep(LEASE + 1)
    world.agent.call(senders.udp, w.OTHER, 9, b"x")
    expect(watcher.told(port=9), count=1)


def test_more_than_there_is_room_for_is_counted(world):
    """A watcher that does not read: the kernel tells of what it lost, and has counted all."""
    raise_with_tunnel(world)
    watcher = Watcher(world, "--json")
    watcher.process.send_signal(signal.SIGSTOP)
    world.agent.call(many, 0x0B000000, 2000)
    watcher.process.send_signal(signal.SIGCONT)
    lost = watcher.told(event="lost")
    expect(lost, fence="wg0")
    watcher.wait(lambda _: len(watcher.objects(port=9)) + lost_of(watcher) >= 2000,
                 "to tell of the rest")
    got = len(watcher.objects(port=9))
    if got + lost_of(watcher) != 2000 or got < 500:
        raise Failure(f"{got} told of and {lost_of(watcher)} lost are not 2000")
    counted = sum(stopped(world).values())
    listed = sum(r["packets"] for r in report(world)["blocked"])
    if not counted == listed >= 2000:
        raise Failure(f"{counted} counted, {listed} listed")
    metrics = world.must(world.tunfence("metrics")).out
    if f'tunfence_events_lost_total{{fence="wg0"}} {lost_of(watcher)}\n' not in metrics:
        raise Failure(f"{lost_of(watcher)} lost are not in the metrics: {metrics}")


# ---- fences that change --------------------------------------------------------------------------

def test_it_goes_on_through_a_new_policy(world):
    raise_with_tunnel(world)
    watcher = Watcher(world, "--json")
    world.agent.call(senders.udp, w.OTHER, 9, b"x")
    watcher.told(port=9)
    world.up(w.BASIC + "[Allow]\nLAN=yes\n")
    world.agent.call(senders.udp, w.OTHER, 10, b"x")
    expect(watcher.told(port=10, seconds=2), count=1)
    if watcher.objects("down"):
        raise Failure(f"the fence was never down: {watcher.lines()}")


def test_a_fence_that_comes_and_goes(world):
    world.tun("wg0")
    watcher = Watcher(world, "--json", ready=False)
    watcher.wait(lambda _: "signalfd" in str(descriptors(watcher.process.pid)), "to begin")
    world.up()
    watcher.told(event="up", fence="wg0")
    world.agent.call(senders.udp, w.OTHER, 9, b"x")
    watcher.told(port=9)
    world.down()
    watcher.told(event="down", fence="wg0")
    world.up()
    watcher.wait(lambda _: len(watcher.objects("up")) == 2, "to see it again")
    world.agent.call(senders.udp, w.OTHER, 10, b"x")
    watcher.told(port=10)


def test_a_fence_lowered_and_raised_between_two_looks(world):
    """It is another fence, of the same name."""
    raise_with_tunnel(world)
    watcher = Watcher(world, "--json")
    watcher.process.send_signal(signal.SIGSTOP)
    world.down()
    world.up()
    watcher.process.send_signal(signal.SIGCONT)
    watcher.wait(lambda _: len(watcher.objects("up")) == 2, "to see that it is another")
    world.agent.call(senders.udp, w.OTHER, 10, b"x")
    watcher.told(port=10)


def descriptors(pid):
    """Of those that stay open while they are looked at."""
    home, found = f"/proc/{pid}/fd", []
    for fd in os.listdir(home):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(os.path.join(home, fd)))
    return found


def test_it_says_that_it_waits(world):
    for args, wanted in ((("wg0",), "fence 'wg0' is not up; waiting for it"),
                         ((), "no fence is up; waiting for one")):
        watcher = Watcher(world, *args, ready=False)

        def says():
            with open(watcher.errors) as file:
                return wanted in file.read()
        watcher.wait(lambda _: says(), f"to say '{wanted}'")
        if watcher.lines():
            raise Failure(f"a head with nothing below it: {watcher.lines()}")


def test_it_holds_no_mount(world):
    """What others want to unmount meanwhile they can: it is in nobody's mount namespace but its
    first."""
    raise_with_tunnel(world)
    watcher = Watcher(world, "--json")
    mine, its = (os.readlink(f"/proc/{p}/ns/mnt") for p in ("self", watcher.process.pid))
    if mine != its:
        raise Failure("the watcher is in a mount namespace of its own")


# ---- the end -------------------------------------------------------------------------------------

def test_it_ends_when_told_and_when_nobody_reads(world):
    raise_with_tunnel(world)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        watcher = Watcher(world)
        if watcher.end(number):
            raise Failure(f"{number!r} ends it with {watcher.process.returncode}")
    watcher = Watcher(world)
    watcher.process.stdout.close()
    if watcher.process.wait(AT_ONCE):
        raise Failure(f"without a reader it ends with {watcher.process.returncode}")
    for _ in range(4):  # all have given their leases back
        Watcher(world, "wg0")


def test_the_last_number_is_told_at_the_end(world):
    """Told to end before the quiet after a burst, it tells the rest first."""
    raise_with_tunnel(world)
    watcher = Watcher(world, "--json")
    world.agent.call(flood, w.OTHER, 9, 500)
    watcher.told(port=9)
    watcher.end()
    found = watcher.objects(port=9)
    if sum(o["count"] for o in found) != 500:
        raise Failure(f"500 were dropped, and it tells of {found}")


# ---- hostile names -------------------------------------------------------------------------------

HOSTILE = {
    b"\x1b]0;owned\x07": r"\x1b]0;owned\x07", b"a\nb\rc": r"a\x0ab\x0dc",
    b"\xc3(\xff": r"\xc3(\xff", b'"},{': '"},{', "é\u202e".encode(): "é" + r"\xe2\x80\xae"}


def send_hostile(world):
    for number, name in enumerate(HOSTILE):
        world.agent.call(in_child, senders.udp, w.OTHER, 100 + number, b"x", name=name)
    for name in QUESTIONS:
        world.agent.call(senders.udp, w.RESOLVER, 53, query(name))


def test_hostile_names_as_text_and_as_json(world):
    raise_with_tunnel(world)
    text, objects = Watcher(world), Watcher(world, "--json")
    send_hostile(world)
    for number, shown in enumerate(HOSTILE.values()):
        expect(objects.told(port=100 + number), program=shown)
        text.said(re.escape(shown))
    for shown in QUESTIONS.values():
        objects.told(question=shown)
        text.said(re.escape(shown))
    for line in text.lines():
        if ANY_CONTROL.search(line):
            raise Failure(f"not fit for a terminal: {line!r}")


# ---- a capture -----------------------------------------------------------------------------------

def comments(path):
    """Of each packet, in order: its one option. (What scapy 2.5 takes for a comment has to have a
    newline.)"""
    with open(path, "rb") as file:
        data = file.read()
    found, at = [], 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == 6:
            bytes_there, = struct.unpack_from("<I", data, at + 20)
            option = at + 28 + (bytes_there + 3) // 4 * 4
            code, length = struct.unpack_from("<HH", data, option)
            if code != 1:
                raise Failure(f"no comment, but {code}")
            found.append(data[option + 4:option + 4 + length].decode())
        at += size
    return found


def captured(path):
    """What scapy finds, and the comments: (packet, comment) of each."""
    from scapy.utils import PcapNgReader
    with PcapNgReader(path) as reader:
        return list(zip(list(reader), comments(path), strict=True))


def test_a_capture_that_others_read(world):
    raise_with_tunnel(world)
    path = os.path.join(world.directory, "watch.pcapng")
    watcher = Watcher(world, "--json", "--pcap", path)
    started = time.time()
    world.agent.call(senders.udp, w.OTHER, 12, b"payload of ours")
    world.agent.call(senders.udp, w.WEB6, 10, b"x" * 300)
    world.silent(packet_shot())
    world.agent.call(in_child, senders.udp, w.OTHER, 11, b"x", name=b"\x1b[2J\xff\"<b>")
    peer = world.new_agent(world.server)
    peer.call(senders.udp, w.CLIENT, 7777, b"x")
    watcher.told(plane="ingress", port=7777)
    watcher.told(port=11)
    packets = captured(path)
    if os.stat(path).st_mode & 0o7777 != 0o600:
        raise Failure(f"others may read it: {os.stat(path)}")
    by_port = {p["UDP"].dport: (p, comment) for p, comment in packets if p.haslayer("UDP")}
    packet, comment = by_port[12]
    if bytes(packet["UDP"].payload) != b"payload of ours" or packet["IP"].src != w.CLIENT:
        raise Failure(f"not the packet that was sent: {packet!r}")
    if not re.fullmatch(r"hermes, pid \d+, user root, .*udp 198\.51\.100\.9:12 by eth0 was stopped: "
                        "it is not allowed outside the tunnel", comment):
        raise Failure(f"not the comment that was meant: {comment!r}")
    if not started - 1 <= float(packet.time) <= time.time() + 1:
        raise Failure(f"not its time: {packet.time}")
    packet, _ = by_port[10]
    if len(packet) != 20 + 128 or packet["IPv6"].dst != w.WEB6 or packet.wirelen != 20 + 348:
        raise Failure(f"not its first bytes: {packet!r}, {packet.wirelen}")
    packet, _ = by_port[9]  # had a link header where it was stopped
    if packet["IP"].dst != w.OTHER or packet["UDP"].sport != 4000 or \
            packet.wirelen != 20 + packet["IP"].len:
        raise Failure(f"not what is behind the link header: {packet!r}, {packet.wirelen}")
    if r"\x1b[2J\xff" not in by_port[11][1] or ANY_CONTROL.search(by_port[11][1]):
        raise Failure(f"a hostile name: {by_port[11][1]!r}")
    if by_port[7777][0].pkttype != 0 or by_port[12][0].pkttype != 4:
        raise Failure(f"not which way: {by_port[7777]!r}, {by_port[12]!r}")
    read = subprocess.run(["tcpdump", "-nnr", path], capture_output=True, text=True, check=False)
    for words in ("192.168.77.2.", " > 198.51.100.9.12: UDP, length 15",
                  " > 2001:db8:51::80.10: UDP, length 300"):
        if read.returncode or words not in read.stdout:
            raise Failure(f"tcpdump does not read it: {read}")


def test_a_capture_replaces_nothing(world):
    raise_with_tunnel(world)
    path = os.path.join(world.directory, "precious")
    target = os.path.join(world.directory, "target")
    with open(path, "w") as file:
        file.write("precious")
    os.symlink(target, path + "-link")
    for there in (path, path + "-link"):
        result = world.tunfence("watch", "--pcap", there, wrapper=("timeout", str(AT_ONCE)))
        if result.code != 1 or "is there already" not in result.err:
            raise Failure(f"over something that is there: {result}")
    if open(path).read() != "precious" or os.path.exists(target):
        raise Failure("it was written to")
    result = world.tunfence("watch", "--pcap", "/dev/full", wrapper=("timeout", str(AT_ONCE)))
    if result.code != 1:
        raise Failure(f"into a device: {result}")


# ---- the journal ---------------------------------------------------------------------------------

UNDER_ANOTHER_RUN = """
mount -t tmpfs run /mnt && mkdir -p "/mnt/${0#/run/}" /mnt/systemd/journal &&
mount --rbind "$0" "/mnt/${0#/run/}" && mount --bind "$1" /mnt/systemd/journal &&
mount --rbind /mnt /run && shift && exec "$@"
"""


class Journal:
    """Stands where the journal's socket is, for a watcher; never the machine's own."""

    def __init__(self, world):
        directory = os.path.join(world.directory, "journal")
        os.mkdir(directory)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(os.path.join(directory, "socket"))
        self.entries = []
        self.wrapper = ("unshare", "--mount", "sh", "-c", UNDER_ANOTHER_RUN,
                        world.settings.directory, directory)

    def read(self):
        while True:
            try:
                self.entries.append(self.parse(self.socket.recv(65536)))
            except BlockingIOError:
                return self.entries

    @staticmethod
    def parse(data):
        """Fields of the native protocol: name, newline, length, value, newline."""
        entry = {}
        while data:
            name, _, rest = data.partition(b"\n")
            size, = struct.unpack_from("<Q", rest)
            if rest[8 + size:9 + size] != b"\n" or not re.fullmatch(b"[A-Z_]+", name):
                raise Failure(f"not an entry: {data!r}")
            entry[name.decode()] = rest[8:8 + size].decode()
            data = rest[9 + size:]
        return entry

    def told(self, seconds=AT_ONCE, **wanted):
        def look():
            return [e for e in self.read() if all(e.get(k) == v for k, v in wanted.items())]
        try:
            return until(look, seconds, f"{wanted} in the journal")[0]
        except Failure as failure:
            raise Failure(f"{failure}; it has {self.entries}") from None


def watch_for(world, journal, *args, **options):
    """Says nothing when it begins to listen: so it is asked."""
    watcher = Watcher(world, "--journal", *args, wrapper=journal.wrapper, ready=False, **options)

    def hears():
        world.agent.call(senders.udp, w.OTHER, 8, b"x")
        return [e for e in journal.read() if e.get("TUNFENCE_PORT") == "8"]
    until(hears, AT_ONCE, "the watcher to listen")
    return watcher


def test_the_journal_has_the_first_of_each_kind(world):
    raise_with_tunnel(world)
    journal = Journal(world)
    watcher = watch_for(world, journal)
    world.agent.call(flood, w.OTHER, 9, 2000)
    entry = journal.told(TUNFENCE_PORT="9")
    expect(entry, SYSLOG_IDENTIFIER="tunfence", PRIORITY="5", TUNFENCE_FENCE="wg0",
           TUNFENCE_REASON="not_allowed", TUNFENCE_APP="hermes", TUNFENCE_UID="0",
           TUNFENCE_PROTOCOL="udp", TUNFENCE_ADDRESS=w.OTHER, TUNFENCE_DEVICE="eth0")
    if not re.fullmatch(r"hermes, pid \d+, .*udp 198\.51\.100\.9:9 by eth0 was stopped: it is not "
                        "allowed outside the tunnel", entry["MESSAGE"]):
        raise Failure(f"not the message that was meant: {entry}")
    send_hostile(world)
    journal.told(TUNFENCE_NAME=QUESTIONS[list(QUESTIONS)[0]], TUNFENCE_REASON="name_lookup")
    for number, shown in enumerate(HOSTILE.values()):
        found = journal.told(TUNFENCE_PORT=str(100 + number))
        expect(found, TUNFENCE_APP=shown)
        if ANY_CONTROL.search(found["MESSAGE"]) or "\n" in found["MESSAGE"]:
            raise Failure(f"not fit to be shown: {found}")
    if len([e for e in journal.read() if e.get("TUNFENCE_PORT") == "9"]) != 1:
        raise Failure(f"more than the first: {journal.entries}")
    if watcher.lines():
        raise Failure(f"it prints as well: {watcher.lines()}")


def test_the_journal_is_not_flooded(world):
    raise_with_tunnel(world)
    journal = Journal(world)
    watcher = watch_for(world, journal, "--app", "hermes",  # the network may have a word, too
                        environment={"TUNFENCE_FAULT": "short-journal"})
    world.agent.call(many, 0x0B000000, 300)
    world.agent.call(senders.udp, w.OTHER, 9, b"x")
    until(lambda: len(journal.read()) >= 10, AT_ONCE, "the first entries")  # of one cgroup
    world.agent.call(senders.udp, w.OTHER, 10, b"x")
    until(lambda: "TUNFENCE_HELD" in journal.read()[-1], AT_ONCE, "how many were kept back")
    held = journal.entries[-1]
    if len(journal.entries) != 11 or not held["MESSAGE"].startswith("293 more kinds"):
        raise Failure(f"{len(journal.entries)} entries; {held}")
    world.agent.call(senders.udp, w.OTHER, 11, b"x")
    journal.told(TUNFENCE_PORT="11")
    if watcher.end():
        raise Failure("it does not end well")


def test_without_a_journal_it_says_so(world):
    raise_with_tunnel(world)
    journal = Journal(world)
    journal.socket.close()
    result = world.tunfence("watch", "--journal",
                            wrapper=(*journal.wrapper, "timeout", str(AT_ONCE)))
    if result.code != 1 or "systemd-journald" not in result.err:
        raise Failure(f"nobody listens: {result}")


def test_lines_of_the_journal_on_a_desktop(world):
    """The example, with a journal and a desktop that are no more than they must be."""
    home = os.path.join(world.directory, "bin")
    os.mkdir(home)
    for name, text in (("journalctl", "printf '%s\\n' 'a <b>&amp;</b>: udp' '-x \\x1b $(id)'"),
                       ("notify-send", f"printf '%s|' \"$@\" >>{home}/shown; echo >>{home}/shown")):
        path = os.path.join(home, name)
        with open(path, "w") as file:
            file.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, 0o755)
    example = os.path.join(os.path.dirname(__file__), "../../user/examples/tunfence-notify")
    subprocess.run([example], check=True, env=os.environ | {"PATH": f"{home}:{os.environ['PATH']}"})
    with open(os.path.join(home, "shown")) as file:
        shown = [line.split("|")[-2] for line in file.read().splitlines()]
    if shown != ["a &lt;b&gt;&amp;amp;&lt;/b&gt;: udp", "-x \\x1b $(id)"]:
        raise Failure(f"shown as {shown}")
