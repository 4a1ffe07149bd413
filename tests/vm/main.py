# SPDX-License-Identifier: GPL-2.0
"""The machine room's driver. Started by `run`, inside the tools' root.

How a scenario is written
=========================

A scenario is a function test_NAME(guest) in a file test_*.py here. It is run once for each kernel,
each time with a guest (guest.py) and a room around it (guest.room, room.py) of its own, in
namespaces of its own; nothing needs to be cleaned up. Its docstring says what it shows.

    from scenario import Failure, Skip, begins, expect

    @begins("fenced")
    def test_tunnel_is_deleted(guest):
        '''ip link del wg0: nothing leaves, and wg-quick brings the tunnel back.'''
        guest.run("ip link del wg0")            # bash, as root; fails if it fails
        guest.tried()                           # the leaker tried everything a few times more
        guest.silent()                          # the judge; see below
        guest.run("systemctl restart wg-quick@wg0")
        guest.tunnel_works()
        guest.silent(proof=("handshake",))

begins("plain")      the machine is off; agent and leaker are on its disk and no tunfence
begins("installed")  off; tunfence installed, wg0 and its fence enabled. guest.power_on() next
begins("fenced")     on since a while, fence up, tunnel works; saved once and woken in two seconds

on("5.10", "6.12")   beside it: on these kernels only, one for each userland

guest.run(script)       -> .code, .out      guest.start(script): the same, not waited for
guest.wait(condition)   a script that shall succeed in time; never sleep
guest.write(path, text), guest.journal(unit), guest.console, guest.tail()
guest.power_on(), .ready() (its jobs are done), .reboot(), .reset(), .power_off(), .pull_plug()
guest.use_network("networkd" | "networkmanager" | "ifupdown"): of the next boot
guest.room.dhcp("121,..."), .advertise("2001:db8:51::/64"), .suspend_vpn(), .resume_vpn()
guest.kernel.name ("5.10", "6.1", "6.12", "7.x"), .release, .userland ("bookworm", "trixie")
guest.note(name, value): a number for the table at the end

guest.silent(since=0, proof=("dhcp", "handshake")): no frame since the mark (guest.mark()) but
plumbing and WireGuard messages to the endpoint, else the leaks are shown; and each boot since
power-on has every proof of life in it, else "no evidence". A woken guest has no DHCP to show:
for it, and where the network is meant to stay down, say which proof there can be, (). Marks count
frames of the last power_on() only. guest.leaked_kinds(since) is for controls: judge.KINDS.

The leaker (guest/leaker.c) tries everything five times a second from early boot until the power is
gone. A test counts once it was seen to fail. Console, frames and log of a failed one are kept in
build/vm/KERNEL-NAME/.
"""

import importlib
import inspect
import json
import os
import select
import shutil
import signal
import sys
import time
import traceback
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import judge  # noqa: E402,F401  (finds the end-to-end tests' modules)
import sandbox  # noqa: E402
import states  # noqa: E402
from guest import Broken, Guest  # noqa: E402
from room import Room  # noqa: E402
from sandbox import Failure, Skip  # noqa: E402

LIMIT = 1200  # seconds for one scenario
KEPT = "/repo/build/vm"


@dataclass
class Kernel:
    name: str
    vmlinuz: str
    initrd: str
    image: str
    release: str
    append: str = ""

    @property
    def userland(self):
        return "bookworm" if self.name in ("5.10", "6.1") else "trixie"


@dataclass
class Job:
    """A scenario on a kernel, or the making of a state that scenarios begin in."""
    kernel: Kernel
    name: str
    function: object
    begins: states.State
    makes: states.State = None

    def __str__(self):
        return f"{self.kernel.name}/{self.name}"


def read_recipe(text):
    """What tests/vm/roots has made: the kernels, and the program's directory."""
    kernels, program = [], None
    for words in map(str.split, text.splitlines()):
        if words[0] == "program":
            program = words[1]
        elif words[0] == "kernel":
            with open(f"{words[2]}/release") as release:
                kernels.append(Kernel(words[1], f"{words[2]}/vmlinuz", f"{words[2]}/initrd.gz",
                                      f"{words[3]}/root.img", release.read().strip()))
    return kernels, program


def discover():
    tests = []
    for file in sorted(os.listdir(HERE)):
        if file.startswith("test_") and file.endswith(".py"):
            module = importlib.import_module(file.removesuffix(".py"))
            tests += [(name[5:], f) for name, f in vars(module).items()
                      if name.startswith("test_") and inspect.isfunction(f)]
    return [t for t in tests if os.environ.get("T", "") in t[0]]


def plan(kernels, program):
    """The jobs, in the order to begin them: states first, then what begins in them."""
    jobs = []
    for kernel in kernels:
        known = states.of(kernel, program)
        tests = [Job(kernel, name, f, known[getattr(f, "begins", "fenced")])
                 for name, f in discover() if kernel.name in getattr(f, "kernels", (kernel.name,))]
        needed = {s.name for t in tests for s in t.begins.line()}
        jobs += [Job(kernel, f"({s.name})", s.make, s.parent, s) for s in known.values()
                 if s.name in needed and not s.exists()]
        jobs += tests
    return jobs


def perform(job, directory, program):
    """Runs in namespaces of its own. Returns (verdict, what to say, notes)."""
    guest = None
    try:
        guest = Guest(job.kernel, Room(directory), directory, f"{program}/program.img")
        job.begins.begin(guest)
        job.function(guest)
        guest.check()
        if job.makes:
            job.makes.keep(directory)
        return "ok", "", guest.notes
    except Skip as skip:
        return "skip", str(skip), []
    except Failure as failure:
        place = traceback.extract_tb(failure.__traceback__)
        line = next((p.lineno for p in reversed(place) if "/test_" in p.filename), 0)
        said = f"line {line}: {failure}"
    except Broken as broken:
        said = f"infrastructure, no result: {broken}"
    except Exception:
        said = traceback.format_exc()
    if guest:
        guest.examine()
    keep(job, directory)
    return "FAIL", "\n".join([*(guest.log if guest else []), said]), []


def keep(job, directory):
    """What a person needs to see what happened."""
    to = os.path.join(KEPT, str(job).replace("/", "-"))
    shutil.rmtree(to, ignore_errors=True)
    os.makedirs(to)
    for name in os.listdir(directory):
        if name.endswith((".pcap", ".log")) or name == "console":
            shutil.copy(os.path.join(directory, name), to)


def begin(job, program):
    """Starts a job. Returns (pid, what its verdict can be read from)."""
    there, here = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(here)
        return pid, there
    try:
        sandbox.die_with_parent()
        os.unshare(os.CLONE_NEWNS | os.CLONE_NEWNET | os.CLONE_NEWPID)
        inner = os.fork()
        if inner:
            os.waitpid(inner, 0)
            os._exit(0)
        sandbox.die_with_parent()
        sandbox.mount("proc", "/proc", "proc")
        sandbox.mount("tmpfs", "/run", "tmpfs", "mode=755")
        sandbox.mount("tmpfs", "/tmp", "tmpfs", "mode=755")
        verdict = perform(job, "/tmp", program)
        os.write(here, json.dumps(verdict).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


class Runner:
    def __init__(self, jobs, program):
        self.waiting, self.program = jobs, program
        self.running = {}  # pipe: (job, pid, start, data)
        self.counts = {"ok": 0, "FAIL": 0, "skip": 0}
        self.notes = []
        self.width = max(len(str(j)) for j in jobs)

    def next(self):
        """The first job whose state is there; those whose state never will be have failed."""
        making = [j.makes.name + j.kernel.name for j in self.waiting + [r[0] for r in
                  self.running.values()] if j.makes]
        for job in list(self.waiting):
            if job.begins.exists():
                self.waiting.remove(job)
                return job
            if job.begins.name + job.kernel.name not in making:
                self.waiting.remove(job)
                self.report(job, "FAIL", f"there is no state '{job.begins.name}' to begin in", [], 0)
        return None

    def report(self, job, verdict, text, notes, seconds):
        if not job.makes or verdict != "ok":
            self.counts[verdict] += 1
        word = "made" if job.makes and verdict == "ok" else verdict
        told = f": {text}" if verdict == "skip" else f"{'':{self.width - len(str(job))}}  {seconds:6.1f} s"
        print(f"{word:<4}  {job}{told}", flush=True)
        if verdict == "FAIL":
            print("\n".join(f"    {line}" for line in text.splitlines()), flush=True)
        self.notes += [(str(job), *note) for note in notes]

    def skip_late(self):
        """What there is no time for, if the time is limited."""
        if time.monotonic() > float(os.environ.get("DEADLINE", "inf")):
            for job in self.waiting:
                if not job.makes:
                    self.report(job, "skip", "there was no time left for it", [], 0)
            self.waiting.clear()

    def fill(self):
        """One guest more than there are processors: each waits now and then."""
        self.skip_late()
        room = int(os.environ.get("JOBS", os.cpu_count() + 1))
        while len(self.running) < room and (job := self.next()):
            pid, pipe = begin(job, self.program)
            self.running[pipe] = [job, pid, time.monotonic(), b""]

    def end(self, pipe):
        job, pid, start, data = self.running.pop(pipe)
        os.close(pipe)
        os.waitpid(pid, 0)
        verdict, text, notes = json.loads(data) if data else ("FAIL", f"ended, or not done in {LIMIT} s", [])
        self.report(job, verdict, text, notes, time.monotonic() - start)

    def run(self):
        self.fill()
        while self.running:
            for pipe in select.select(list(self.running), [], [], 1)[0]:
                part = os.read(pipe, 1 << 16)
                self.running[pipe][3] += part
                if not part:
                    self.end(pipe)
            for job, pid, start, _ in self.running.values():
                if time.monotonic() - start > LIMIT:
                    os.kill(pid, signal.SIGKILL)
            self.fill()
        for name, what, value in self.notes:
            print(f"note  {name}: {what} {value}")
        total = f"{self.counts['ok']} passed, {self.counts['FAIL']} failed"
        print(total + (f", {self.counts['skip']} skipped" if self.counts["skip"] else ""))
        return 1 if self.counts["FAIL"] or not self.counts["ok"] + self.counts["skip"] else 0


def main():
    kernels, program = read_recipe(sys.argv[1])
    states.sweep("/cache")
    jobs = plan(kernels, program)
    if not jobs:
        print(f"0 passed, 1 failed\nno scenario's name contains '{os.environ.get('T')}'")
        return 1
    return Runner(jobs, program).run()


if __name__ == "__main__":
    sys.exit(main())
