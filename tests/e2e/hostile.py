# SPDX-License-Identifier: GPL-2.0
"""What the attacker runs: root in the fenced namespace with every capability but CAP_NET_ADMIN,
CAP_SYS_ADMIN and CAP_BPF, neither now nor by an exec. As in senders.py, functions that agents run
and that return what the kernel told them.
"""

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

import sandbox
import senders
from senders import outcome

CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF = 12, 21, 39
CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_PTRACE = 16, 17, 19
MSG_ZEROCOPY, MSG_FASTOPEN = 0x4000000, 0x20000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def confine(*more):
    """Gives up what the attacker does not have, and more capabilities. For good."""
    kept = 0xFFFFFFFFFFFFFFFF
    for cap in (CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF, *more):
        _check(_libc.prctl(24, cap, 0, 0, 0))  # PR_CAPBSET_DROP
        kept &= ~(1 << cap)
    with open("/proc/self/status") as status:
        had = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    low, high = had & kept & 0xFFFFFFFF, (had & kept) >> 32
    header = struct.pack("Ii", 0x20080522, 0)
    _check(_libc.capset(header, struct.pack("6I", low, low, 0, high, high, 0)))


def write(path, text):
    """As uid 0 may: /proc/sys/net asks for no capability of it."""
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "sent"


def _connected(address, port, kind=socket.SOCK_DGRAM, protocol=0):
    sock = socket.socket(senders.family_of(address), kind, protocol)
    sock.connect((address, port))
    return sock


# Payloads that are not copied, or not by sendmsg()

@outcome
def zerocopy(address, port, data):
    with _connected(address, port) as sock:
        sock.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
        sock.send(data, MSG_ZEROCOPY)


@outcome
def spliced(address, port, data):
    ours, theirs = os.pipe()
    os.write(theirs, data)
    with _connected(address, port) as sock:
        os.splice(ours, sock.fileno(), len(data))


@outcome
def sendfile(address, port, data):
    file = os.memfd_create("data")
    os.write(file, data)
    with _connected(address, port) as sock:
        os.sendfile(sock.fileno(), file, 0, len(data))


# Options of a socket

@outcome
def with_options(address, port, data, *options, kind=socket.SOCK_DGRAM, protocol=0, flags=0,
                 bind=None, ancillary=()):
    """sendto() of a socket of the given options (level, name, value)."""
    with socket.socket(senders.family_of(address), kind, protocol) as sock:
        for option in options:
            sock.setsockopt(*option)
        if bind:
            sock.bind(bind)
        sock.setblocking(False)
        try:
            sock.sendmsg([data], ancillary, flags, (address, port))
        except BlockingIOError:
            pass


@outcome
def connect(address, port, protocol=0):
    with socket.socket(senders.family_of(address), socket.SOCK_STREAM, protocol) as sock:
        sock.setblocking(False)
        try:
            sock.connect((address, port))
        except BlockingIOError:
            pass


# io_uring, by its system calls

class Ring:
    SETUP, ENTER, ENTRIES = 425, 426, 4
    SQPOLL, WAKEUP, GETEVENTS = 1 << 1, 1 << 1, 1
    ASYNC = 1 << 4  # of an entry: by a worker, at once
    SEND, SOCKET, COMMAND, SETSOCKOPT = 26, 45, 46, 3

    def __init__(self, flags=0):
        params = bytearray(struct.pack("IIIII", 0, 0, flags, 0, 10) + bytes(100))
        buffer = (ctypes.c_char * len(params)).from_buffer(params)
        self.fd = _check(_libc.syscall(self.SETUP, self.ENTRIES, buffer))
        self.flags = flags
        self.sq = struct.unpack_from("10I", params, 40)
        self.cq = struct.unpack_from("10I", params, 80)
        self.rings = mmap.mmap(self.fd, 4096, offset=0)
        self.entries = mmap.mmap(self.fd, 4096, offset=0x10000000)

    def submit(self, entry):
        """Runs one entry and returns its result."""
        tail = struct.unpack_from("I", self.rings, self.sq[1])[0]
        self.entries[:64] = entry.ljust(64, b"\0")
        struct.pack_into("I", self.rings, self.sq[6], 0)
        struct.pack_into("I", self.rings, self.sq[1], tail + 1)
        wake = self.GETEVENTS | (self.WAKEUP if self.flags & self.SQPOLL else 0)
        _check(_libc.syscall(self.ENTER, self.fd, 1, 1, wake, None, 0))
        head = struct.unpack_from("I", self.rings, self.cq[0])[0]
        result = struct.unpack_from("Qi", self.rings, self.cq[5])[1]
        struct.pack_into("I", self.rings, self.cq[0], head + 1)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result


@outcome
def ring_send(address, port, data, flags=0, of_entry=0):
    buffer = ctypes.create_string_buffer(data, len(data))
    with _connected(address, port) as sock:
        Ring(flags).submit(struct.pack("BBHiQQI", Ring.SEND, of_entry, 0, sock.fileno(), 0,
                                       ctypes.addressof(buffer), len(data)))


@outcome
def ring_socket(address, port, data, flags=0, of_entry=0):
    """Sends by a socket that the ring makes."""
    fd = Ring(flags).submit(struct.pack("BBHiQQI", Ring.SOCKET, of_entry, 0, socket.AF_INET,
                                        socket.SOCK_DGRAM, 0, 0))
    with socket.socket(fileno=fd) as sock:
        sock.sendto(data, (address, port))


@outcome
def ring_setsockopt(family, level, option, value=1):
    data = ctypes.c_int(value)
    with socket.socket(family, socket.SOCK_RAW, 0) as sock:
        Ring().submit(struct.pack("BBHiIIII", Ring.COMMAND, 0, 0, sock.fileno(), Ring.SETSOCKOPT,
                                  0, level, option).ljust(44, b"\0") +
                      struct.pack("IQ", 4, ctypes.addressof(data)))


@outcome
def setsockopt(family, level, option, data, length=None):
    """With a length that need not be that of the data."""
    with socket.socket(family, socket.SOCK_RAW, 0) as sock:
        buffer = ctypes.create_string_buffer(data, max(len(data), length or 0))
        _check(_libc.setsockopt(sock.fileno(), level, option, buffer, length or len(data)))


# A socket made by somebody else

def hand_over(path, family, kind, protocol=0):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.connect(path)
        with socket.socket(family, kind, protocol) as sock:
            socket.send_fds(channel, [b"x"], [sock.fileno()])


def await_socket(path):
    senders.kept["door"] = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    senders.kept["door"].bind(path)
    senders.kept["door"].listen(1)


def take_socket(name):
    channel, _ = senders.kept["door"].accept()
    with channel:
        _, fds, _, _ = socket.recv_fds(channel, 1, 1)
    senders.kept[name] = socket.socket(fileno=fds[0])


@outcome
def send_by(name, data, address):
    senders.kept[name].sendto(data, address)


def by_thread_of(path, address, port, data):
    """Sends from a thread that has moved itself into a threaded group below."""
    said = []

    def move_and_send():
        with open(os.path.join(path, "cgroup.threads"), "w") as threads:
            threads.write("0")
        said.append(senders.udp(address, port, data))
    thread = threading.Thread(target=move_and_send)
    thread.start()
    thread.join()
    return said[0] if said else "not moved"


# A payload in pages of a file, which are not copied

def payload_that_changes(address, port, good, other, seconds):
    """Splices a page of a file into a UDP socket, while another process turns it into something else
    and back."""
    file = os.memfd_create("page")
    os.write(file, good.ljust(mmap.PAGESIZE, b"\0"))
    page = mmap.mmap(file, mmap.PAGESIZE)
    changer = os.fork()
    if changer == 0:
        while True:
            page[:len(other)] = other
            page[:len(good)] = good
    try:
        with _connected(address, port) as sock:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                os.sched_yield()
                try:
                    os.sendfile(sock.fileno(), file, 0, len(good))
                except OSError:
                    pass
    finally:
        os.kill(changer, signal.SIGKILL)
        os.waitpid(changer, 0)
    return "sent"


# The kernel as the sender: packets of a stranger, as if they had come in by loopback

@outcome
def by_loopback(packet):
    """An IPv4 or IPv6 packet, whoever it says it is from and whoever it is for."""
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.sendto(bytes(12) + struct.pack("!H", kind) + packet, ("lo", kind))


MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC = 200, 202, 204
VIFF_USE_IFINDEX = 0x8


@outcome
def route_multicast(group, origin, device):
    """The namespace's multicast router, which asks for no more than a raw IGMP socket."""
    sock = senders.kept["router"] = socket.socket(socket.AF_INET, socket.SOCK_RAW, 2)
    sock.setsockopt(0, MRT_INIT, 1)
    for vif, name in enumerate(("lo", device)):
        sock.setsockopt(0, MRT_ADD_VIF, struct.pack(
            "=HBBIi4s", vif, VIFF_USE_IFINDEX, 1, 0, socket.if_nametoindex(name), bytes(4)))
    ttls = bytes([0, 1]) + bytes(30)
    sock.setsockopt(0, MRT_ADD_MFC, socket.inet_aton(origin) + socket.inet_aton(group) +
                    struct.pack("=H", 0) + ttls + bytes(2) + struct.pack("=IIIi", 0, 0, 0, 0))


# The other half of a connection that is not there

def tcp4(src, sport, dst, dport, flags, seq, ack):
    """A TCP segment without data, as IPv4."""
    tcp = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65535, 0, 0)
    ends = socket.inet_aton(src) + socket.inet_aton(dst)
    check = senders._checksum(ends + struct.pack("!HH", 6, len(tcp)) + tcp)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0)
    sum_ = senders._checksum(ip + ends)
    return (ip[:10] + struct.pack("!H", sum_) + ends + tcp[:16] + struct.pack("!H", check) +
            tcp[18:])


def forged_connection(local, port, peer, peer_port, data, device):
    """Sends data to a peer who never spoke, by a connection to a service of ours: the peer's part in
    it comes by loopback, and our SYN-ACK is read off the device, which it must be let out by."""
    with socket.create_server((local, port)) as listener, \
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as tap:
        tap.bind((device, 0x0003))
        tap.settimeout(0.5)
        listener.settimeout(0.5)
        by_loopback(tcp4(peer, peer_port, local, port, 0x02, 1000, 0))
        try:
            while True:
                frame = tap.recv(2048)
                if frame[12:14] == b"\x08\0" and frame[23] == 6 and frame[47] == 0x12:
                    break
            sequence = struct.unpack("!I", frame[38:42])[0]
            by_loopback(tcp4(peer, peer_port, local, port, 0x10, 1001, sequence + 1))
            connection, _ = listener.accept()
        except TimeoutError:
            return "no connection"
        with connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.send(data)
    return "sent"


# A user namespace, where everybody has every capability

def tunnel_from_elsewhere(name):
    """Makes a device of that name and kind tun in user and network namespaces of its own, and moves
    it here. What each step said."""
    ours, theirs = os.pipe()
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    child = os.fork()
    if child == 0:
        said = []
        try:
            _check(_libc.unshare(0x10000000 | sandbox.CLONE_NEWNET))
            sandbox.open_tun(name)
            said.append("made")
            done = subprocess.run(["ip", "link", "set", name, "netns", f"/proc/self/fd/{here}"],
                                  text=True, capture_output=True, check=False,
                                  pass_fds=(here,))
            said.append("moved" if done.returncode == 0 else done.stderr.strip())
        except OSError as error:
            said.append(errno.errorcode[error.errno])
        os.write(theirs, "; ".join(said).encode())
        os._exit(0)
    os.close(theirs)
    os.close(here)
    os.waitpid(child, 0)
    return os.read(ours, 4096).decode()


def tool(*command):
    """Whether a tool did what it was told."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


# The fence itself, as far as its files can be reached

BPF_MAP_UPDATE, BPF_MAP_DELETE, BPF_MAP_NEXT_KEY, BPF_OBJ_GET = 2, 3, 4, 7
BPF_PROG_LOAD, BPF_LINK_CREATE, BPF_LINK_GET_FD_BY_ID, BPF_LINK_DETACH = 5, 28, 30, 34


def _bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    return _check(_libc.syscall(321, command, buffer, 128))


def _obj_get(path):
    text = ctypes.create_string_buffer(path.encode())
    return _bpf(BPF_OBJ_GET, struct.pack("QII", ctypes.addressof(text), 0, 0))


def stand_in_front(ifindex):
    """What only a whole root can: a program that lets everything pass, first at a device's tcx
    egress hook. Stays while the link that is returned is open."""
    pass_all = ctypes.create_string_buffer(bytes.fromhex("b700000000000000" "9500000000000000"), 16)
    license_ = ctypes.create_string_buffer(b"GPL")
    program = _bpf(BPF_PROG_LOAD, struct.pack("IIQQ", 3, 2, ctypes.addressof(pass_all),
                                              ctypes.addressof(license_)))
    tcx_egress, before = 47, 8
    try:
        return _bpf(BPF_LINK_CREATE, struct.pack("IIII", program, ifindex, tcx_egress, before))
    finally:
        os.close(program)


# A program's code, the newer first: it says that whatever was refused is fine (bpf_set_retval), and
# lets everything pass.
LET_PASS = ("b701000000000000" "85000000bb000000" "b700000001000000" "9500000000000000",
            "b700000001000000" "9500000000000000")
CGROUP_HOOKS = {"egress": (8, 1), "setsockopt": (25, 22), "connect4": (18, 10)}  # type, place


def _load_first(kind, place, codes):
    license_ = ctypes.create_string_buffer(b"GPL")
    for text in codes:
        code = ctypes.create_string_buffer(bytes.fromhex(text), len(text) // 2)
        try:
            return _bpf(BPF_PROG_LOAD, struct.pack(
                "IIQQ44xI", kind, len(code) // 8, ctypes.addressof(code),
                ctypes.addressof(license_), place))
        except OSError:
            if text == codes[-1]:
                raise


def overrule(path):
    """What only a whole root can: at the group, programs that let everything pass. They stay until
    this process ends."""
    with contextlib.suppress(ValueError):  # programs are locked memory before Linux 5.11
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)
    group = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    for name, (kind, place) in CGROUP_HOOKS.items():
        program = _load_first(kind, place, LET_PASS)
        senders.kept[f"overrule {name}"] = _bpf(BPF_LINK_CREATE, struct.pack(
            "IIII", program, group, place, 0))
        os.close(program)
    os.close(group)
    return "sent"


@outcome
def detach(path):
    _bpf(BPF_LINK_DETACH, struct.pack("I", _obj_get(path)))


@outcome
def write_map(path, command):
    """Deletes the first entry, or makes one of whatever is there or of zeros."""
    fd = _obj_get(path)
    key, value = (ctypes.create_string_buffer(1 << 16) for _ in range(2))
    try:
        _bpf(BPF_MAP_NEXT_KEY, struct.pack("I4xQQ", fd, 0, ctypes.addressof(key)))
    except OSError:
        pass
    _bpf(command, struct.pack("I4xQQQ", fd, ctypes.addressof(key), ctypes.addressof(value), 0))


def tamper(roots):
    """All that can be done by a descriptor to what is pinned below each: {path: what worked}."""
    worked, seen = {}, 0
    for root in roots:
        for where, _, names in os.walk(root):
            for path in [os.path.join(where, name) for name in names]:
                seen += 1
                for what, told in (("detached", detach(path)),
                                   ("deleted", write_map(path, BPF_MAP_DELETE)),
                                   ("written", write_map(path, BPF_MAP_UPDATE))):
                    if told == "sent":
                        worked.setdefault(path, []).append(what)
    return worked, seen


def roots_of_others(path):
    """The directory as each other process sees it, as far as one is let in."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.listdir(f"/proc/{pid}/root{path}"):
                found.append(f"/proc/{pid}/root{path}")
        except OSError:
            pass
    return found


def by_number(first, last):
    """What a link's number alone gives: the errors of trying to open each by it."""
    errors = set()
    for number in range(first, last):
        try:
            os.close(_bpf(BPF_LINK_GET_FD_BY_ID, struct.pack("I", number)))
            errors.add("opened")
        except OSError as error:
            errors.add(errno.errorcode[error.errno])
    return errors


def remove(root):
    """Everything below a directory; what went wrong."""
    errors = set()
    for where, below, files in os.walk(root, topdown=False):
        for path in [os.path.join(where, name) for name in files + below]:
            try:
                (os.rmdir if os.path.isdir(path) else os.unlink)(path)
            except OSError as error:
                errors.add(errno.errorcode[error.errno])
    return errors
