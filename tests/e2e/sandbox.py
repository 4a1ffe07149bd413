# SPDX-License-Identifier: GPL-2.0
"""Namespaces, cgroups and processes of the tests' own.

Everything made here dies with the runner: it lives in a private mount namespace and a private
process namespace, and network namespaces are held only by descriptors. The machine's own network
namespace and root cgroup are never entered with anything but the intent to leave them.
"""

import ctypes
import fcntl
import mmap
import os
import pickle
import select
import signal
import socket
import struct
import sys
import time
import traceback

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """What a test expected did not happen."""


class Skip(Exception):
    """This machine cannot run the test; the text says why."""


def _check(result, what):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def unshare_mounts_and_processes():
    """The next child is the first process of a namespace of its own, and all others end with it."""
    _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWPID), "unshare")


def make_mounts_private():
    _check(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "make mounts private")
    mount("proc", "/proc", "proc")


def unshare_mounts():
    _check(_libc.unshare(CLONE_NEWNS), "unshare")


def mount(source, target, kind, options=""):
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), 0, options.encode()),
           f"mount {kind} at {target}")


def unmount(target):
    """Unmounts everything stacked at target; nothing there is fine."""
    while _libc.umount2(target.encode(), MNT_DETACH) == 0:
        pass


def has_cover(target):
    """Whether the tool's empty read-only file system is mounted there."""
    return (os.path.isdir(target) and not os.stat(target).st_mode & 0o7777 and
            bool(os.statvfs(target).f_flag & os.ST_RDONLY))


def uncover(target):
    """For this process alone, and for good."""
    unshare_mounts()
    while has_cover(target):
        _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def until(condition, seconds=5.0, what="a condition"):
    """Waits until condition() is true and returns what it gave; a deadline, never a bare sleep."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.002)


class Namespace:
    """A network namespace, held by a descriptor. `with namespace:` works inside it."""

    def __init__(self):
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _check(_libc.unshare(CLONE_NEWNET), "unshare")
        self.fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _check(_libc.setns(home, CLONE_NEWNET), "setns")
        os.close(home)
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"
        self._homes = []

    def enter(self):
        """For good: only in a process made for it."""
        _check(_libc.setns(self.fd, CLONE_NEWNET), "setns")

    def __enter__(self):
        self._homes.append(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        self.enter()
        return self

    def __exit__(self, *_):
        home = self._homes.pop()
        _check(_libc.setns(home, CLONE_NEWNET), "setns")
        os.close(home)

    def has(self, interface):
        with self:
            try:
                return socket.if_nametoindex(interface)
            except OSError:
                return 0

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


def open_tun(name):
    """Makes a tun device in the current namespace. It lives as long as the descriptor."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    flags = 0x0001 | 0x1000  # IFF_TUN, IFF_NO_PI
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), flags))  # TUNSETIFF
    return fd


def cgroup2_mount():
    """Where the kernel's one cgroup2 hierarchy is mounted, root included."""
    with open("/proc/self/mountinfo") as lines:
        for line in lines:
            fields, _, rest = line.partition(" - ")
            if rest.split()[0] == "cgroup2" and fields.split()[3] == "/":
                return fields.split()[4].encode().decode("unicode_escape")
    raise Skip("no cgroup2 hierarchy is mounted")


class Cgroup:
    """A cgroup of ours. Locked while in use, so that what an aborted run left can be told apart."""

    PREFIX = "tunfence-e2e-"

    def __init__(self, path):
        os.mkdir(path)
        self.path = path
        self._lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def join(self):
        with open(os.path.join(self.path, "cgroup.procs"), "w") as procs:
            procs.write("0")

    def child(self, name):
        return Cgroup(os.path.join(self.path, name))

    def remove(self):
        """Children first. Processes of it have been killed and waited for by now."""
        os.close(self._lock)
        for directory, _, _ in os.walk(self.path, topdown=False):
            until(lambda d=directory: _rmdir(d), 3, f"cgroup {directory} to be empty")

    @classmethod
    def sweep(cls, mountpoint):
        """Removes what aborted runs left: ours by name, and locked by nobody."""
        for name in os.listdir(mountpoint):
            path = os.path.join(mountpoint, name)
            if not name.startswith(cls.PREFIX) or not os.path.isdir(path):
                continue
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            finally:
                os.close(fd)
            for directory, _, _ in os.walk(path, topdown=False):
                _rmdir(directory)


def _rmdir(path):
    try:
        os.rmdir(path)
    except OSError:
        return False
    return True


class Agent:
    """A process in a namespace (and a cgroup) of its own that runs the functions it is given.

    A socket belongs for life to the cgroup of the process that made it, so whatever is to be
    judged as "this machine's traffic" is made in an agent and nowhere else. The judge's sockets,
    which it would inherit, are given as not_its.
    """

    def __init__(self, namespace, cgroup=None, not_its=()):
        self._here, there = socket.socketpair()
        self._progress = mmap.mmap(-1, 8)
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            for sock in (self._here, *not_its):
                sock.close()
            _agent.update(channel=there, progress=self._progress)
            self._serve(there, namespace, cgroup)
        there.close()

    @staticmethod
    def _serve(channel, namespace, cgroup):
        die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            if cgroup:
                cgroup.join()
            namespace.enter()
            while (request := receive(channel)) is not None:
                function, args, options = request
                try:
                    answer = (True, function(*args, **options))
                except BaseException:
                    answer = (False, traceback.format_exc())
                send(channel, answer)
        finally:
            os._exit(0)

    def begin(self, function, *args, **options):
        send(self._here, (function, args, options))

    def end(self):
        answer = receive(self._here)
        if answer is None:
            raise Failure("a helper process of the test died")
        fine, value = answer
        if not fine:
            raise Failure(f"in a helper process:\n{value}")
        return value

    def call(self, function, *args, **options):
        self.begin(function, *args, **options)
        return self.end()

    def rounds(self):
        """How often the running function has called progress()."""
        return struct.unpack("=Q", self._progress[:8])[0]

    def stop(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._here.close()
        self.pid = 0


_agent = {}  # in an agent's own process: its channel and its progress counter


def request_waiting(seconds=0.0):
    return readable(_agent["channel"], seconds)


def progress():
    count = struct.unpack("=Q", _agent["progress"][:8])[0]
    _agent["progress"][:8] = struct.pack("=Q", count + 1)


def send(channel, value):
    data = pickle.dumps(value)
    channel.sendall(struct.pack("!I", len(data)) + data)


def receive(channel):
    head = _receive_exactly(channel, 4)
    data = head and _receive_exactly(channel, struct.unpack("!I", head)[0])
    return pickle.loads(data) if data else None


def _receive_exactly(channel, count):
    data = b""
    while len(data) < count:
        try:
            part = channel.recv(count - len(data))
        except ConnectionResetError:
            return None
        if not part:
            return None
        data += part
    return data


def readable(channel, seconds=0.0):
    return bool(select.select([channel], [], [], seconds)[0])
