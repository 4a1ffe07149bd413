# SPDX-License-Identifier: GPL-2.0
"""One guest: a QEMU process, the agent inside it, its console, and what it emitted.

Emulated without hardware help: a guest is slow, and slower when the machine is busy. Everything is
waited for by condition; the deadlines are only there to end. What protects processes from each
other's guesses judges no packet and costs a tenth of the time: it is off.
"""

import base64
import itertools
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections import namedtuple

import judge
import room as r
import sandbox
from sandbox import Failure, until

Result = namedtuple("Result", "code out")

# The kernel's own alarm. Not a verdict on anybody's fence.
ALARM = re.compile(r"(BUG:|Oops:|Kernel panic|general protection fault|rcu: INFO: .*stall|"
                   r"Attempted to kill init|Freezing execution|end Kernel panic)")
BOOT = 300
TO_BE_READY = "systemctl is-system-running --wait"


class Broken(Exception):
    """The room is at fault, or the kernel: there is no result."""


class Channel:
    """Lines from and to a socket of QEMU's."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        until(lambda: self.socket.connect_ex(path) == 0, 60, f"QEMU's socket '{path}'")
        self._data = b""

    def send(self, text):
        self.socket.sendall(text.encode() + b"\n")

    def line(self, seconds):
        """The next line; None if there is none in time, or QEMU is gone."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._data:
            left = deadline - time.monotonic()
            if left < 0 or not sandbox.readable(self.socket, max(left, 0)):
                return None
            try:
                part = self.socket.recv(1 << 16)
            except ConnectionError:
                part = b""
            if not part:
                time.sleep(0.05)
                return None
            self._data += part
        line, _, self._data = self._data.partition(b"\n")
        return line.decode(errors="replace").strip()

    def close(self):
        self.socket.close()


class Guest:
    """The machine under test. `state` says what it is at first, see README in main.py."""

    def __init__(self, kernel, room, directory, program):
        self.kernel, self.room, self.directory, self.program = kernel, room, directory, program
        self.disk = os.path.join(directory, "disk.qcow2")
        self.console_file = os.path.join(directory, "console")
        self.log, self.notes, self.captures, self.boots = [], [], [], []
        self.process = self.qmp = self.agent = None
        self.boot_id = self.hello = None
        self._ids = itertools.count(1)
        self._start = time.monotonic()

    def tell(self, text):
        """For the log, with the seconds since the scenario began."""
        self.log.append(f"{time.monotonic() - self._start:6.1f} {text}")

    # Power

    def power_on(self, memory=None, wait=True):
        """From cold; or where memory, a file, left off. Every frame from here on is captured."""
        number = len(self.captures)
        capture = os.path.join(self.directory, f"frames{number}.pcap")
        sockets = [os.path.join(self.directory, f"{name}{number}") for name in ("qmp", "agent")]
        self.captures.append(judge.Capture(capture))
        self.boots, self.woken = [0], bool(memory)
        self.boot_id = self.hello = None
        self.tell("power on" + (" from a saved state" if memory else ""))
        self.process = self.room.spawn(
            "qemu", "qemu-system-x86_64", "-M", "q35", "-smp", "1", "-m", "1024",
            "-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt", "-accel", "tcg,thread=multi",
            "-nodefaults", "-no-user-config", "-display", "none", "-rtc", "base=utc",
            "-kernel", self.kernel.vmlinuz, "-initrd", self.kernel.initrd,
            "-append", "console=ttyS0 loglevel=5 panic=-1 nowatchdog net.ifnames=0 systemd.show_status=1 "
            "rw root=/dev/vda mitigations=off " + self.kernel.append,
            "-drive", f"file={self.disk},if=virtio,format=qcow2,cache=unsafe",
            "-drive", f"file={self.program},if=virtio,format=raw,readonly=on",
            "-netdev", f"tap,id=net0,ifname={r.TAP},script=no,downscript=no,vnet_hdr=off",
            "-device", f"virtio-net-pci,netdev=net0,mac={r.GUEST_MAC},romfile=,guest_announce=off",
            "-object", f"filter-dump,id=dump,netdev=net0,queue=rx,file={capture},maxlen=65536",
            "-device", "virtio-serial-pci", "-device", "virtio-rng-pci",
            "-device", "pcie-root-port,id=plug,chassis=1",
            "-chardev", f"socket,id=agent,path={sockets[1]},server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=agent",
            "-chardev", f"file,id=console,path={self.console_file},append=on",
            "-serial", "chardev:console",
            "-qmp", f"unix:{sockets[0]},server=on,wait=off",
            # QEMU itself would announce the machine that woke: no frame of the guest's.
            "-global", "migration.announce-rounds=0",
            *(["-incoming", f"file:{memory}"] if memory else []))
        self.qmp, self.agent = map(Channel, sockets)
        self.qmp.line(60)
        self.command("qmp_capabilities")
        if memory:
            self._wake()
        elif wait:
            self.wait_boot(None)

    def _wake(self):
        """Goes on; its clock jumps to now, and its tunnel's keys, which the server of today has
        never seen, are given up."""
        until(lambda: self.command("query-status")["status"] not in ("inmigrate", "prelaunch"), 120,
              "the saved state to be read")
        self.boot_id = self.hello = "of a saved state"
        self.command("cont")
        self.run(f"date -s @{time.time():.2f} >/dev/null")
        self.run("for key in \"$(wg genkey)\" \"$(wg show wg0 private-key)\"; do "
                 "wg set wg0 private-key /dev/stdin <<<\"$key\"; done")
        self.tunnel_works()

    def command(self, name, **arguments):
        self.qmp.send(json.dumps({"execute": name, "arguments": arguments}))
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            answer = json.loads(self.qmp.line(5) or "{}")
            if "error" in answer:
                raise Broken(f"QEMU, asked for {name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
            self._alive()
        raise Broken(f"QEMU does not answer to {name}")

    def reboot(self, how="systemctl reboot", seconds=BOOT):
        """Returns when the agent of the next boot says hello."""
        before = self.boot_id
        self.boots.append(self.capture.mark())
        self.start(how)
        self.wait_boot(before, seconds)

    def reset(self, wait=True):
        """As the button does: no shutdown."""
        before = self.boot_id
        self.boots.append(self.capture.mark())
        self.tell("reset")
        self.command("system_reset")
        if wait:
            self.wait_boot(before)

    def power_off(self, how="systemctl poweroff", seconds=BOOT):
        """Returns when there is no more power: nothing can be emitted any more."""
        self.start(how)
        until(lambda: self._gone(), seconds, "the guest to power off")
        self.check()

    def pull_plug(self):
        os.kill(self.process, signal.SIGKILL)
        until(lambda: self._gone(), 10, "QEMU to die")

    def save(self, path):
        """The running machine, into the file path, and stops it. Its disk goes with it."""
        self.command("stop")
        self.command("migrate-set-parameters", **{"max-bandwidth": 1 << 33})
        self.command("migrate", uri=f"file:{path}")
        until(lambda: self.command("query-migrate").get("status") in ("completed", "failed"), 120,
              "the state to be saved")
        if self.command("query-migrate")["status"] != "completed":
            raise Broken("the state could not be saved")
        self.qmp.send('{"execute": "quit"}')
        until(lambda: self._gone(), 60, "QEMU to end")

    def _gone(self):
        if self.process and os.waitpid(self.process, os.WNOHANG)[0]:
            self.room.children.pop("qemu", None)
            self.process = None
            self.qmp.close()
            self.agent.close()
        return not self.process

    def _alive(self):
        if self._gone():
            raise Broken("QEMU ended")
        self.check()

    def check(self):
        """There is a result only if the kernel was well."""
        if alarm := ALARM.search(self.console):
            raise Broken(f"the kernel's own alarm on the console: '{alarm[0]}'")

    # The agent

    def _receive(self, seconds):
        """One line of the agent's; a hello is remembered."""
        line = self.agent.line(seconds)
        if line is None:
            self._alive()
        elif line.startswith("hello "):
            self.hello = line
            self.boot_id = line.split()[1]
        return line

    def wait_boot(self, before, seconds=BOOT):
        """Returns when the agent of another boot than `before` says hello."""
        deadline = time.monotonic() + seconds
        while self.boot_id in (before, None):
            if time.monotonic() > deadline:
                raise Failure(f"waited {seconds} s in vain for a boot; {self.tail()}")
            self._receive(1)
        self.tell("booted")

    def wait_agent(self, before, seconds=BOOT):
        """Returns when the agent says hello once more: after a soft-reboot, say. `before` is
        guest.hello of then."""
        deadline = time.monotonic() + seconds
        while self.hello == before:
            if time.monotonic() > deadline:
                raise Failure(f"waited {seconds} s in vain for the agent; {self.tail()}")
            self._receive(1)

    def _send(self, script, seconds):
        number = next(self._ids)
        text = base64.b64encode(script.encode()).decode()
        self.agent.send(f"{number} {seconds} {text}")
        return number

    def start(self, script, seconds=BOOT):
        """Runs it and does not wait for it."""
        self.tell(f"# {script}")
        self._send(script, seconds)

    def run(self, script, seconds=120, check=True):
        """Runs a bash script as root, its output and its errors together. check: it must succeed."""
        self.tell(f"# {script}")
        number = self._send(script, seconds)
        deadline = time.monotonic() + seconds + 60
        while time.monotonic() < deadline:
            words = (self._receive(2) or "").split(" ")
            if words[0] == "hello":
                raise Failure(f"the agent was started again during '{script}'")
            if words[:2] == ["done", str(number)]:
                break
        else:
            raise Failure(f"no answer to '{script}' in {seconds + 60} s; {self.tail()}")
        result = Result(int(words[2]),
                        base64.b64decode(words[3] if len(words) > 3 else "").decode(errors="replace"))
        self.log += [f"  {line}" for line in result.out.splitlines()[-150:]]
        if result.code:
            self.tell(f"-> {result.code}")
        if check and result.code:
            raise Failure(f"'{script}' failed with {result.code}: {result.out.strip()[-2000:]}")
        return result

    def wait(self, condition, seconds=120):
        """Returns when the script succeeds: it is tried again and again inside the guest."""
        text = f"{{\n{condition}\n}} >/dev/null 2>&1"
        result = self.run(f"until {text}; do sleep 0.2; done", seconds, check=False)
        if result.code:
            said = self.run(condition, check=False)
            raise Failure(f"waited {seconds} s in vain for '{condition}', which says {said.code}: "
                          f"{said.out.strip()[-1000:]}")

    def write(self, path, text, mode="644"):
        data = base64.b64encode(text.encode()).decode()
        self.run(f"mkdir -p {shlex.quote(os.path.dirname(path))} && base64 -d <<<{data} "
                 f">{shlex.quote(path)} && chmod {mode} {shlex.quote(path)}")

    def journal(self, unit):
        return self.run(f"journalctl -b --no-pager -o cat -u {shlex.quote(unit)}").out

    def examine(self):
        """What a person would ask a guest that failed, for the log; it need not answer."""
        try:
            if self.process and self.hello:
                self.run("tunfence status; wg; ip -br addr; ip route; ip -6 route; ip rule; "
                         "systemctl --no-pager --failed; systemctl --no-pager list-jobs; "
                         "journalctl -b --no-pager -o short-monotonic -n 40", 30, check=False)
        except Exception as problem:
            self.log.append(f"could not be examined: {problem}")

    # The console

    @property
    def console(self):
        """All of it since the first power-on, without colours."""
        if not os.path.exists(self.console_file):
            return ""
        with open(self.console_file, errors="replace") as file:
            return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.read()).replace("\r", "")

    def tail(self, lines=15):
        return "the console's end:\n" + "\n".join(self.console.splitlines()[-lines:])

    # A user's steps

    def ready(self, seconds=BOOT):
        """The boot's jobs are all done, well or badly."""
        result = self.run(TO_BE_READY, seconds, check=False)
        if result.out.strip() not in ("running", "degraded"):
            raise Failure(f"the boot does not end: '{result.out.strip()}'; "
                          + self.run("systemctl list-jobs", check=False).out)

    def is_fenced(self):
        """The boot is over, wg0 works and its fence stands, and somebody may log in."""
        self.ready()
        self.tunnel_works()
        said = self.run("tunfence status").out
        if "wg0: fenced" not in said:
            raise Failure(f"'tunfence status' says: {said}")
        # getty comes last: systemd 257 first asks the terminal twice how wide it is, and waits.
        until(lambda: "login:" in self.console, 30, "a login prompt on the console")

    def install(self, package="tunfence.deb"):
        """The package; "tunfence-next.deb" is a later version of it."""
        self.run("mkdir -p /run/program && mount -o ro /dev/vdb /run/program && "
                 f"dpkg -i /run/program/{package}; code=$?; umount /run/program && exit $code", 300)

    NETWORKS = {
        "networkd": ("systemd-networkd.service", ""),
        "networkmanager": ("NetworkManager.service", ""),
        "ifupdown": ("networking.service", "auto eth0\\niface eth0 inet dhcp\\niface eth0 inet6 auto\\n"),
    }

    def use_network(self, name):
        """Which service brings eth0 up from the next boot on."""
        others = " ".join(unit for unit, _ in self.NETWORKS.values())
        unit, interfaces = self.NETWORKS[name]
        self.run(f"""export SYSTEMCTL_SKIP_SYSV=1
            systemctl --no-reload disable {others} systemd-networkd.socket
            systemctl --no-reload enable {unit}
            printf 'auto lo\niface lo inet loopback\n{interfaces}' >/etc/network/interfaces""")

    def tunnel_works(self, seconds=180):
        """A ping comes back through the tunnel."""
        self.wait(f"ping -c 1 -W 2 {r.TUNNEL_SERVER}", seconds)

    def tried(self, rounds=5, seconds=120):
        """Returns when the leaker has tried everything so many times more."""
        self.run(f"""round() {{ sed -n 's/^leaker-//p' /proc/[0-9]*/comm 2>/dev/null | head -n 1; }}
            end=$(($(round) + {rounds}))
            until [ "$(round)" -ge $end ]; do sleep 0.2; done""", seconds)

    # The judge

    @property
    def capture(self):
        return self.captures[-1]

    def leaks(self, since=0):
        """The frames since a mark of this power-on that a fenced machine would not have sent."""
        endpoints = [(r.VPN, r.VPN_PORT), (r.VPN6, r.VPN_PORT)]
        return judge.leaks(self.capture.read()[since:], endpoints)

    def silent(self, since=0, proof=("dhcp", "handshake")):
        """Nothing but plumbing and the tunnel's own messages since the mark; and the capture shows
        that in each boot since power-on the network was alive, in the ways that proof names. The
        boot that a saved state woke in is let off if others followed: it was alive when it was
        saved."""
        seen = self.capture.read()
        if found := self.leaks(since):
            first = next(i for i, f in enumerate(seen) if f is found[0])
            boot = sum(mark <= first for mark in self.boots) - 1
            raise Failure(f"{len(found)} of {len(seen)} frames leaked, the first since "
                          + (f"reboot {boot} was asked for" if boot else "power-on") + ":\n"
                          + judge.describe(found, seen))
        ends = [*self.boots[1:], len(seen)]
        known = 1 if self.woken and len(self.boots) > 1 else 0
        for number, (start, end) in list(enumerate(zip(self.boots, ends)))[known:]:
            for name in proof:
                if not any(judge.PROOFS[name](f) for f in seen[start:end]):
                    raise Failure(f"no evidence: there is no {name} in boot {number} of this "
                                  f"power-on, frames {start} to {end}")
        self.tell(f"silent: {len(seen) - since} frames, none leaked")

    def leaked_kinds(self, since=0):
        return {judge.kind(f) for f in self.leaks(since)}

    def mark(self):
        return self.capture.mark()

    def note(self, name, value):
        """A number for the table of this run."""
        self.notes.append((name, value))
