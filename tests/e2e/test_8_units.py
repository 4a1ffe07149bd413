# SPDX-License-Identifier: GPL-2.0
"""Services named by a fence, with one who plays systemd: what is started again is fenced in. What
the real one does is shown in booted machines (tests/vm/test_4_apps.py)."""

import glob
import os
import re
import secrets
import shutil
import struct

import hostile
import sandbox
import world as w
from runs import Systemd
from sandbox import Failure
from test_2_verdict import relative
from test_5_loader import MOST_STEPS, each_step, long
from test_6_command import says
from test_8_groups import EVERY_WAY, FRAME, STRANGER, held

DROP_INS = "/run/systemd/system"
SYSTEM = "tunfence-e2e-system.slice"


class Manager(Systemd):
    """Knows drop-ins as they were when it last read them, and starts services and slices."""

    def __init__(self, world, name):
        super().__init__(None)
        self.world, self.name = world, name
        self.unit, self.never_run = f"a-{name}.service", f"b-{name}.service"
        self.slice_unit = f"tunfence-{name}.slice"
        self.exempt_unit = f"tunfence-{name}-exempt.slice"
        self.root = sandbox.cgroup2_mount()
        self.loaded, self.service, self.agent, self.against = {}, None, None, {}
        self.reloads = 0
        self.tree = sandbox.Cgroup(os.path.join(self.root, f"{sandbox.Cgroup.PREFIX}{name}.slice"))

    def __exit__(self, *error):
        self.stop()
        self.tree.remove()
        super().__exit__(*error)
        for path in (self.exempt, self.slice, os.path.dirname(self.slice)):
            try:
                os.rmdir(path)
            except OSError:
                pass  # never made; or another's, too

    @property
    def slice(self):
        return os.path.join(self.root, "tunfence.slice", self.slice_unit)

    @slice.setter
    def slice(self, _):
        pass

    @property
    def exempt(self):
        return os.path.join(self.slice, self.exempt_unit)

    def place(self, unit):
        """Where it keeps what is in a slice."""
        return {self.slice_unit: self.slice, self.exempt_unit: self.exempt,
                "tunfence.slice": os.path.dirname(self.slice)}.get(unit, self.tree.path)

    # What it knows

    def read(self):
        found = {}
        for path in sorted(glob.glob(f"{DROP_INS}/*.d/*.conf")):
            with open(path) as file:
                unit = os.path.basename(os.path.dirname(path)).removesuffix(".d")
                found[unit] = found.get(unit, "") + file.read()
        return found

    def has(self, unit, key, otherwise):
        return (re.findall(rf"^{key}=(.*)$", self.loaded.get(unit, ""), re.M) or [otherwise])[-1]

    def value(self, unit, name):
        known = unit.endswith(".slice") or unit in (self.unit, self.never_run)
        return {"Id": unit, "LoadState": "loaded" if known else "not-found",
                "NeedDaemonReload": self.loaded.get(unit) != self.read().get(unit),
                "RefuseManualStop": self.has(unit, "RefuseManualStop", "no") == "yes",
                "Slice": self.has(unit, "Slice", "system.slice")}[name] \
            if name not in self.against else self.against[name]

    # What it does

    def stop(self):
        if self.agent:
            self.agent.stop()
            self.service.remove()
        self.agent = self.service = None

    def start(self):
        """The service; in the slice that systemd would start it in now."""
        self.stop()
        parent = self.place(self.has(self.unit, "Slice", SYSTEM))
        os.makedirs(parent, exist_ok=True)
        self.service = sandbox.Cgroup(os.path.join(parent, self.unit))
        self.agent = self.world.new_agent(self.world.client, self.service)
        return self.agent

    # What it is asked

    def _talk(self, connection):
        hello = connection.recv(4096)
        connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
        if hello != b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n":
            raise Failure(f"it was greeted with {hello}")
        while head := connection.recv(16, 0x100):  # MSG_WAITALL
            _, _, _, _, length, serial, fields = struct.unpack("=4B3I", head)
            rest = connection.recv((fields + 7) // 8 * 8 + length, 0x100)
            header, body = rest[:fields], rest[len(rest) - length:]
            member = re.search(rb"\x03\x01s\0....([A-Za-z]+)\0", header, re.S)[1].decode()
            path = re.search(rb"\x01\x01o\0....([^\0]+)\0", header, re.S)[1].decode()
            connection.sendall(self.answer(member, path, body, serial))

    @staticmethod
    def texts(body):
        found, at = [], 0
        while at < len(body):
            size = struct.unpack_from("=I", body, at)[0]
            found.append(body[at + 4:at + 4 + size].decode())
            at = (at + size + 5 + 3) // 4 * 4
        return found

    def answer(self, member, path, body, serial):
        words = self.texts(body)
        self.asked.append((member, *words))
        if member == "Reload":
            self.loaded = self.read()
            self.reloads += 1
            return self._message(2, serial, "", b"")
        if member == "LoadUnit":
            return self._message(2, serial, "o", self._text(f"/{words[0].encode().hex()}"))
        if member == "Get":
            value = self.value(bytes.fromhex(path[1:]).decode(), words[1])
            if isinstance(value, bool):
                return self._message(2, serial, "v", b"\x01b\0\0" + struct.pack("=I", value))
            return self._message(2, serial, "v", b"\x01s\0\0" + self._text(value))
        return self.job(member, words[0], serial)

    def job(self, member, unit, serial):
        place = self.place(unit)
        if member == "StopUnit" and self.has(unit, "RefuseManualStop", "no") == "yes":
            return self._message(3, serial, "s", self._text("Operation refused"))
        if member == "StartUnit":
            os.makedirs(place, exist_ok=True)
        else:
            os.rmdir(place)
        data = struct.pack("=I", 7)
        for text in ("/job/7", unit, "done"):
            data += b"\0" * (-len(data) % 4) + self._text(text)
        return (self._message(2, serial, "o", self._text("/job/7"))
                + self._signal("JobRemoved", "uoss", data))


def name_in_order():
    """One whose tree is read after the slices of fences, so that who looks for a unit comes there
    last."""
    root = sandbox.cgroup2_mount()
    os.makedirs(f"{root}/tunfence.slice", exist_ok=True)
    while True:
        name = f"u{secrets.token_hex(4)}"
        tree = f"{sandbox.Cgroup.PREFIX}{name}.slice"
        os.mkdir(f"{root}/{tree}")
        names = os.listdir(root)
        os.rmdir(f"{root}/{tree}")
        if names.index("tunfence.slice") < names.index(tree):
            return name


class Fence:
    """One of the service, by a name of its own: slices are where every world's are."""

    def __init__(self, world):
        self.world, self.name = world, name_in_order()
        self.systemd = Manager(world, self.name)
        self.config = f"[Fence]\nUnit={self.systemd.unit}\n{w.BASIC}"

    def __enter__(self):
        self.systemd.__enter__()
        return self

    def __exit__(self, *error):
        if os.path.exists(f"{self.world.bpffs}/tunfence/{self.name}"):
            self.world.tunfence("down", self.name, cgroup=None)
        self.systemd.__exit__(*error)

    def do(self, command, code=0):
        return self.world.must(self.world.tunfence(command, self.name, cgroup=None), code)

    def up(self, config=None, code=0):
        self.world.write_config(config or self.config, self.name)
        return self.do("up", code)


def drop_ins():
    return sorted(os.path.relpath(p, DROP_INS) for p in glob.glob(f"{DROP_INS}/*.d/*"))


def test_started_again(world):
    """A service that ran before the fence, and one that did not; both again and again."""
    with Fence(world) as fence:
        systemd = fence.systemd
        for runs in (True, False):
            if runs:
                world.leaks(STRANGER, FRAME, agent=systemd.start())
            else:
                systemd.stop()
            fence.up()
            if runs:
                held(world, systemd.agent)
            fence.do("status")
            for _ in range(2):
                held(world, systemd.start())
                if os.path.dirname(systemd.service.path) != systemd.slice:
                    raise Failure(f"it is in '{systemd.service.path}'")
                fence.do("status")
                fence.do("sync")
            reloads = systemd.reloads
            fence.up()
            held(world, systemd.agent)
            if systemd.reloads != reloads:
                raise Failure("systemd was made to read again what it knows")
            said = fence.do("down").out
            says(world.must(world.tunfence("status"), 3), "not fenced")
            if "no longer fenced" not in said or drop_ins():
                raise Failure(f"down leaves {drop_ins()} and says {said}")
            world.leaks(STRANGER, FRAME, agent=systemd.start())


def test_old_processes_stay_fenced(world):
    """KillMode=process: what is left of a service where it was before is not let go by 'up'."""
    with Fence(world) as fence:
        systemd = fence.systemd
        old = systemd.start()
        fence.up()
        place, systemd.agent = systemd.service, None
        systemd.start()
        for _ in range(2):
            fence.up()
            held(world, old, systemd.agent)
        old.stop()
        place.remove()
        fence.do("status")


@long
def test_killed_at_each_step_of_up(world):
    """The service is started again whenever 'up' dies, and sends nothing."""
    with Fence(world) as fence:
        systemd = fence.systemd
        systemd.start()
        fence.up()
        after = f"{fence.config}[Allow]\nDestination=udp 192.0.2.1 port 123\n"

        def look(step, _):
            world.silent(STRANGER, FRAME, agent=systemd.start())
            if step % 2:
                shutil.rmtree(f"{DROP_INS}/{systemd.unit}.d")
        world.write_config(after, fence.name)
        tool = world.tunfence

        def without_base(*args, **options):
            return tool(*args, cgroup=None, **options)
        world.tunfence = without_base
        try:
            steps = each_step(world, "up", name=fence.name, after=look)
        finally:
            del world.tunfence
        world.log.append(f"{steps} steps")


def test_service_elsewhere(world):
    """Started past the drop-in, or the drop-in gone: a hole, and 'status' says so."""
    with Fence(world) as fence:
        systemd = fence.systemd
        fence.up()
        systemd.start()
        fence.do("status")
        shutil.rmtree(f"{DROP_INS}/{systemd.unit}.d")
        says(fence.do("status", 3), systemd.unit, "start", "tunfence up")
        systemd.loaded = systemd.read()
        world.leaks(STRANGER, agent=systemd.start())
        says(fence.do("status", 3), systemd.service.path, "does not hold")
        fence.up()
        held(world, systemd.agent)
        held(world, systemd.start())


def test_drop_in_rewritten(world):
    """Its own file, but of other words: 'status' reads it, and 'up' writes it anew."""
    with Fence(world) as fence:
        systemd = fence.systemd
        fence.up()
        path = f"{DROP_INS}/{systemd.unit}.d/zz-tunfence-{fence.name}.conf"
        with open(path) as file:
            good = file.read()
        for text in (good.replace(systemd.slice_unit, "system.slice"), f"{good}Slice=\n", "", good):
            with open(path, "w") as file:
                file.write(text)
            said = fence.do("status", 0 if text == good else 3)
            if text != good:
                says(said, f"nothing makes systemd start '{systemd.unit}'", "tunfence up")
                fence.up()
                held(world, systemd.start())
                fence.do("status")


def test_what_stands_against_it(world):
    """Then nothing is raised."""
    with Fence(world) as fence:
        systemd = fence.systemd
        for against, word in (({"Slice": "other.slice"}, "systemctl cat"),
                              ({"Id": "b.service"}, "another name of 'b.service'"),
                              ({"LoadState": "not-found"}, "has no unit"),
                              ({"RefuseManualStop": False}, "tunfence.slice")):
            systemd.against = against
            says(fence.up(code=1), systemd.unit if "Refuse" not in str(against) else word, word)
            if w.pins(world.bpffs):
                raise Failure("something was raised")
        systemd.against = {}
        fence.up()
        other = f"{DROP_INS}/{systemd.unit}.d/zz-tunfence-other.conf"
        with open(other, "w") as file:
            file.write("[Service]\nSlice=tunfence-other.slice\n")
        says(fence.up(code=1), "slice of fence 'other'", "tunfence down other")
        os.remove(other)
        fence.up()


def test_up_fails(world):
    """What it said of units is taken back; it takes nobody out of the fence that there is."""
    with Fence(world) as fence:
        systemd = fence.systemd
        broken = fence.config.replace("[Fence]\n", "[Fence]\nCgroup=not-there\n")
        world.leaks(STRANGER, agent=systemd.start())
        says(fence.up(broken, code=1), "not-there")
        systemd.against = {"Slice": "other.slice"}
        says(fence.up(code=1), "systemctl cat")
        systemd.against = {}
        if drop_ins() or systemd.loaded:
            raise Failure(f"{drop_ins()} are left, and systemd knows of {systemd.loaded}")
        fence.up(f"{fence.config}[Exempt]\n")
        before = drop_ins()
        says(fence.up(f"{broken.replace(systemd.unit, systemd.never_run)}[Exempt]\n"
                      f"Unit={systemd.unit}\n", code=1), "not-there")
        if drop_ins() != before:
            raise Failure(f"there were {before}, and are {drop_ins()}")
        held(world, systemd.start())
        fence.do("status")


@long
def test_killed_while_a_service_becomes_exempt(world):
    """It is started where the fence that there is holds it, until the new one stands."""
    with Fence(world) as fence:
        systemd = fence.systemd
        systemd.start()
        before = f"{fence.config}[Exempt]\n"
        fence.up(before)
        after = (f"{fence.config.replace(systemd.unit, systemd.never_run)}"
                 f"[Allow]\nDestination=udp 192.0.2.1 port 123\n[Exempt]\nUnit={systemd.unit}\n")
        other = world.new_agent(world.client)
        other.call(hostile.write, f"{systemd.slice}/cgroup.procs", "0")
        seen = set()
        for step in range(1, MOST_STEPS, 5):
            world.write_config(after, fence.name)
            killed = world.tunfence("up", fence.name, cgroup=None,
                                    environment={"TUNFENCE_FAULT": str(step)}).code
            app = systemd.start()
            exempt = os.path.dirname(systemd.service.path) == systemd.exempt
            seen.add(exempt)
            if exempt:
                world.passes(w.udp("192.0.2.1", 123), agent=other)
            else:
                world.silent(STRANGER, FRAME, agent=app)
            if not killed:
                break
            fence.up(before)
        if seen != {False, True}:
            raise Failure(f"it was only seen exempt: {seen}")
        world.leaks(STRANGER, FRAME, agent=systemd.agent)
        other.stop()


def test_named_no_more(world):
    """Its drop-in goes when the new policy stands; the slice's stay while there is a service."""
    with Fence(world) as fence:
        systemd = fence.systemd
        systemd.start()
        fence.up()
        before = drop_ins()
        if not any(systemd.unit in name for name in before):
            raise Failure(f"there is no drop-in among {before}")
        group = world.cgroup.child("other")
        other = world.new_agent(world.client, group)
        fence.up(f"[Fence]\nCgroup={relative(world, group)}\n{w.BASIC}")
        held(world, other)
        if drop_ins() or systemd.loaded:
            raise Failure(f"'up' leaves {drop_ins()}, and systemd knows of {systemd.loaded}")
        world.leaks(*EVERY_WAY, agent=systemd.start())
