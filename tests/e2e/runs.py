# SPDX-License-Identifier: GPL-2.0
"""Programs run in a fence, by root and by a user; and who plays systemd for them."""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading

import sandbox
import world as w
from sandbox import Failure, until

OWN = "[Fence]\nScope=cgroup\n"
USER = 61234
SOCKET = "/run/tunfence-run"

# A program that does what it is told, line by line: "WAY ADDRESS PORT TOKEN", and says how that
# went: by itself, in a thread, in a child of a child, or by another program.
APP = r"""
import errno, os, socket, subprocess, sys, threading
def fire(address, port, token):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        try:
            s.sendto(bytes.fromhex(token), (address, int(port)))
            return "sent"
        except OSError as e:
            return errno.errorcode[e.errno]
def by_thread(*args):
    said = []
    thread = threading.Thread(target=lambda: said.append(fire(*args)))
    thread.start(), thread.join()
    return said[0]
def by_daemon(*args):
    here, there = os.pipe()
    if not os.fork():
        os.setsid()
        if not os.fork():
            os.write(there, fire(*args).encode())
        os._exit(0)
    os.close(there), os.wait()
    return os.read(here, 99).decode()
def by_exec(*args):
    code = "import sys;" + SOURCE + "\nprint(fire(*sys.argv[1:]))"
    words = [sys.executable, "-c", code, *args]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()
ways = {"self": fire, "thread": by_thread, "daemon": by_daemon, "exec": by_exec}
SOURCE = '''
import errno, socket
def fire(address, port, token):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.sendto(bytes.fromhex(token), (address, int(port)))
        return "sent"
    except OSError as e:
        return errno.errorcode[e.errno]
'''
print("ready", flush=True)
for line in sys.stdin:
    way, *args = line.split()
    print(ways[way](*args), flush=True)
"""


def slice_of(world, name="wg0"):
    escaped = name.replace("-", r"\x2d").replace("@", r"\x40")
    return os.path.join(world.cgroup.path, "tunfence.slice", f"tunfence-{escaped}.slice")


def command(world, name, *program, exempt=False):
    return [world.settings.tool, "run", *["--exempt"][:exempt], f"--bpffs={world.bpffs}",
            f"--run-dir={world.run_dir}", f"--state-dir={world.state_dir}", name, "--", *program]


def enter(cgroup, uid):
    """What a child does before it becomes the command."""
    def prepare():
        sandbox.die_with_parent()
        if cgroup:
            with open(os.path.join(cgroup, "cgroup.procs"), "w") as procs:
                procs.write("0")
        if uid:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
    return prepare


def start(world, name, *program, cgroup=None, uid=0, words=None, exempt=False, **options):
    """tunfence run, in the client's network, from a cgroup that no fence has."""
    with world.client:
        process = subprocess.Popen(words or command(world, name, *program, exempt=exempt),
                                   preexec_fn=enter(cgroup, uid), text=True,
                                   **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                                      "stderr": subprocess.PIPE} | options)
    world.processes.append(process)
    return process


def run(world, name, *program, **options):
    process = start(world, name, *program, **options)
    out, err = process.communicate(timeout=60)
    what = " ".join(program)[:60]
    world.log.append(f"tunfence run {name} -- {what} -> {process.returncode} {err}")
    return w.Result(process.returncode, out, err)


class App:
    """The program above, in a fence."""

    def __init__(self, world, name="wg0", **options):
        self.world = world
        self.process = start(world, name, sys.executable, "-c", APP, stdin=subprocess.PIPE,
                             stderr=subprocess.STDOUT, **options)
        self.say = self.process.stdout.readline()
        if self.say != "ready\n":
            raise Failure(f"the program does not run: {self.say}{self.process.stdout.read()}")

    def call(self, _, address, port, payload, way="self"):
        """As an agent's, for shots of UDP."""
        self.process.stdin.write(f"{way} {address} {port} {payload.hex()}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def cgroup(self):
        with open(f"/proc/{self.process.pid}/cgroup") as lines:
            path = next(line.strip()[3:] for line in lines if line.startswith("0::"))
        return sandbox.cgroup2_mount() + path

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)


class Session:
    """The cgroup of a user's session, where systemd would have it."""

    def __init__(self, world, uid=USER):
        base = sandbox.cgroup2_mount()
        self.directories = [base]
        for name in ("user.slice", f"user-{uid}.slice", f"e2e-{os.getpid()}-{id(world)}.scope"):
            self.directories.append(os.path.join(self.directories[-1], name))
            os.makedirs(self.directories[-1], exist_ok=True)
        self.path = self.directories[-1]

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        until(self._remove, 5, "the session to be empty")

    def _remove(self):
        for directory in reversed(self.directories[1:]):
            try:
                os.rmdir(directory)
            except OSError:
                if directory == self.path:
                    return False
        return True


class Door:
    """Plays systemd's part of tunfence-run.socket: a service of its own for each connection."""

    def __init__(self, world, automatic=True):
        self.world = world
        self.said = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.path.exists(SOCKET):
            os.unlink(SOCKET)
        self.socket.bind(SOCKET)
        os.chmod(SOCKET, 0o666)
        self.socket.listen(8)
        self.thread = threading.Thread(target=self._serve, daemon=True) if automatic else None

    def __enter__(self):
        if self.thread:
            self.thread.start()
        return self

    def __exit__(self, *_):
        os.unlink(SOCKET)
        self.socket.shutdown(socket.SHUT_RDWR)
        if self.thread:
            self.thread.join(30)
        self.socket.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.said.append(self.answer(connection))

    def answer(self, connection):
        world = self.world
        words = [world.settings.tool, "admit", f"--bpffs={world.bpffs}",
                 f"--run-dir={world.run_dir}", f"--state-dir={world.state_dir}"]
        with connection, world.client:
            done = subprocess.run(words, stdin=connection, capture_output=True, text=True,
                                  timeout=60, check=False, preexec_fn=sandbox.die_with_parent)
        return w.Result(done.returncode, done.stdout, done.stderr)


class Systemd:
    """Plays PID 1: believes what it is asked, moves processes as a scope would, and tells when the
    job is done. The message is taken apart by another hand than the one that wrote it."""

    def __init__(self, slice_path, result="done", moves=True, error=None):
        self.slice, self.result, self.moves, self.error = slice_path, result, moves, error
        self.asked = []
        os.makedirs("/run/systemd/system")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind("/run/systemd/private")
        self.socket.listen(8)
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        shutil.rmtree("/run/systemd")
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.socket.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                self._talk(connection)

    def _talk(self, connection):
        hello = connection.recv(4096)
        connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
        # The real one never looks again at what came behind BEGIN in one read.
        if hello != b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n":
            self.asked.append((0, "", hello, b""))
            return
        head = connection.recv(16, socket.MSG_WAITALL)
        _, kind, _, _, length, serial, fields = struct.unpack("=4B3I", head)
        rest = connection.recv((fields + 7) // 8 * 8 + length, socket.MSG_WAITALL)
        member = next(m for m in (b"StartTransientUnit", b"StartUnit", b"StopUnit")
                      if b"s\0" + struct.pack("=I", len(m)) + m + b"\0" in rest[:fields])
        body = rest[-length:]
        size = struct.unpack_from("=I", body)[0]
        unit = body[4:4 + size].decode()
        self.asked.append((kind, member.decode(), unit, body))
        if self.error:
            connection.sendall(self._message(3, serial, "s", self._text(self.error)))
            return
        connection.sendall(self._signal("UnitNew", "so", self._text(unit)))
        connection.sendall(self._message(2, serial, "o", self._text("/job/7")))
        if member == b"StartTransientUnit" and self.moves:
            self._move(unit, body)
        for path, result in (("/job/6", "failed"), ("/job/7", self.result)):
            data = struct.pack("=I", 7)
            for text in (path, unit, result):
                data += b"\0" * (-len(data) % 4) + self._text(text)
            connection.sendall(self._signal("JobRemoved", "uoss", data))

    @staticmethod
    def _text(text):
        return struct.pack("=I", len(text)) + text.encode() + b"\0"

    def _message(self, kind, serial, signature, body, member=None):
        fields = b"\x05\x01u\0" + struct.pack("=I", serial)
        if member:
            fields = b"\x03\x01s\0" + self._text(member)
        fields += b"\0" * (-len(fields) % 8)
        fields += b"\x08\x01g\0" + bytes([len(signature)]) + signature.encode() + b"\0"
        order = b"l" if sys.byteorder == "little" else b"B"
        head = order + struct.pack("=3B3I", kind, 1, 1, len(body), 9, len(fields)) + fields
        return head + b"\0" * (-len(head) % 8) + body

    def _signal(self, member, signature, body):
        return self._message(4, 0, signature, body, member)

    def _move(self, unit, body):
        found = re.search(rb"PIDs\0\x02au\0(?:\0{0,3})(....)(....)", body, re.S)
        length, pid = (struct.unpack("=I", part)[0] for part in found.groups())
        if length != 4:
            raise Failure(f"systemd was asked to move {length // 4} processes")
        scope = os.path.join(self.slice, unit)
        os.mkdir(scope)
        with open(os.path.join(scope, "cgroup.procs"), "w") as procs:
            procs.write(str(pid))


def end_with(process, number):
    """Sends it a signal, and must see it end by that."""
    process.send_signal(number)
    if process.wait(10) != -number:
        raise Failure(f"{signal.Signals(number).name} ended it with {process.returncode}")
