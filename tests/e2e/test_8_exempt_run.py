# SPDX-License-Identifier: GPL-2.0
"""tunfence run --exempt: programs that are started to send past the tunnel, and who may do that."""

import os

import runs
import sandbox
import world as w
from runs import App, Door, Session, Systemd, run
from sandbox import Failure
from test_5_loader import MOST_STEPS, long
from test_6_command import says
from test_8_accidents import read, write
from test_8_exempt_judged import NAMES, exempting, held, in_own_slice, own_slice
from test_8_run import ask

STRANGER, STRANGER6 = w.udp(w.OTHER, 9), w.udp(w.WEB6, 9)
USER = runs.USER


def ways(way):
    return [w.udp(a, 9, way=way) for a in (w.OTHER, w.WEB6)]


def refused(world, *texts, name="wg0", exempt=True, **options):
    said = run(world, name, "echo", "started", exempt=exempt, **options)
    if said.code == 0 or "started" in said.out:
        raise Failure(f"it was started: {said}")
    says(said, *texts)



def test_by_root(world):
    """The program and what it starts; its exit status is its own."""
    says(world.up(exempting(world)), own_slice(world))
    app = App(world, exempt=True)
    if os.path.dirname(app.cgroup()) != own_slice(world):
        raise Failure(f"it is in '{app.cgroup()}'")
    world.leaks(STRANGER, STRANGER6, agent=app)
    for way in ("thread", "daemon", "exec"):
        world.leaks(*ways(way), agent=app)
    world.silent(w.udp(w.RESOLVER, 53), agent=app)
    held(world, world.agent)
    app.end()
    world.must(run(world, "wg0", "sh", "-c", "exit 7", exempt=True), 7)
    world.must(run(world, "wg0", "no-such-program", exempt=True), 127)


def test_by_systemd(world):
    world.up(exempting(world))
    with Systemd(own_slice(world)) as systemd:
        app = App(world, exempt=True)
        if systemd.asked[0][2] != f"tunfence-wg0-{app.process.pid}.scope":
            raise Failure(f"systemd was asked for {systemd.asked}")
        world.leaks(STRANGER, agent=app)
        app.end()


def test_fenced_again(world):
    """The slice for exempt programs lies in the fence's own: who is in there is not fenced yet."""
    world.up(exempting(world, fence="[Fence]\nScope=cgroup\n"))
    fenced = runs.command(world, "wg0", "cat", "/proc/self/cgroup")
    said = world.must(run(world, "wg0", *fenced, exempt=True))
    if "tunfence-wg0.slice/run-" not in said.out or "-exempt.slice" in said.out:
        raise Failure(f"told to be fenced it is in {said.out}")


def test_no_fence(world):
    refused(world, "'wg0' is not up")
    world.up(w.BASIC)
    refused(world, "has no slice for exempt programs", "add [Exempt]")
    world.up(exempting(world))
    os.rmdir(own_slice(world))
    os.mkdir(own_slice(world))
    refused(world, "made anew", "tunfence up wg0")
    held(world, in_own_slice(world))


def test_out_of_the_fence(world):
    """What is fenced stays fenced, whoever asks."""
    world.up(exempting(world, fence=runs.OWN, more=f"Users={USER}\n"))
    app = App(world)
    world.silent(STRANGER, agent=app)
    refused(world, "stays there", cgroup=app.cgroup())
    with Door(world):
        refused(world, "stays there", cgroup=app.cgroup(), uid=USER)
    free = App(world, exempt=True)
    world.leaks(STRANGER, agent=free)
    free.end()
    app.end()


def test_users(world):
    """Those who are named, by number or by name, from their own sessions; nobody else."""
    world.up(exempting(world, more=f"Users={USER} daemon\n"))
    with Door(world) as door, Session(world) as session, Session(world, 1) as daemons, \
            Session(world, USER + 1) as others:
        app = App(world, exempt=True, uid=USER, cgroup=session)
        world.leaks(STRANGER, STRANGER6, agent=app)
        world.silent(NAMES[0], agent=app)
        app.end()
        says(door.said[0], f"user {USER}, process {app.process.pid} is exempt of fence 'wg0'")
        world.must(run(world, "wg0", "true", exempt=True, uid=1, cgroup=daemons))
        refused(world, f"user {USER + 1} is none of those", uid=USER + 1, cgroup=others)
        refused(world, "not in a session", uid=USER, cgroup=world.cgroup.path)
        world.up(exempting(world))
        refused(world, f"user {USER} is none of those", uid=USER, cgroup=session)
        refused(world, "every program is in it", exempt=False, uid=USER, cgroup=session)


def pin_numbers(directory):
    """What a step of a new policy changes: a pin that is put anew is another file."""
    return {path: os.stat(os.path.join(directory, path)).st_ino for path in w.pins(directory)}


@long
def test_users_taken_out(world):
    """By an 'up' that dies: from the first step of its policy on they are refused."""
    before = exempting(world, more=f"Users={USER} daemon\n")
    after = exempting(world, more="Users=daemon\n")
    state = os.path.join(world.run_dir, "wg0.json")
    pins = os.path.join(world.run_dir, "bpf", "wg0")
    found = {}
    with Door(world), Session(world) as session, Session(world, 1) as daemons:
        def lets(uid, cgroup):
            return run(world, "wg0", "true", exempt=True, uid=uid, cgroup=cgroup).code == 0
        world.up(before)
        at_work = world.new_agent(world.client)
        at_work.call(sandbox.uncover, world.run_dir)
        wide = at_work.call(read, state)
        world.write_config(after)
        for step in range(1, MOST_STEPS):
            at_work.call(write, state, wide)
            old = at_work.call(pin_numbers, pins)
            if not lets(USER, session):
                raise Failure(f"before step {step} he is refused")
            code = world.tunfence("up", "wg0", environment={"TUNFENCE_FAULT": str(step)}).code
            touched, let = at_work.call(pin_numbers, pins) != old, lets(USER, session)
            found[touched, let] = step
            if touched and let:
                raise Failure(f"step {step}: it is a new policy's, and he still is let")
            if not lets(1, daemons):
                raise Failure(f"step {step}: who is named still is refused")
            del world.log[:-40]
            if code == 0:
                break
        if not found.get((True, False), 0) > 50:
            raise Failure(f"this shows little: {found}")


def test_hostile_messages(world):
    """One word in front of a name is all that is understood; what else is said is not repeated."""
    world.up(exempting(world, more=f"Users={USER}\n"))
    answer = "print(s.recv(9999).decode())"
    with Door(world, automatic=False) as door, Session(world) as session:
        for message, word in ((b"exempt ", "name"), (b"exempt", "not up"), (b"exempt  wg0", "name"),
                              (b"exempt exempt wg0", "name"), (b"exempt wg0\0", "name"),
                              (b"Exempt wg0", "name"), (b"exempt " + b"x" * 64, "too long"),
                              (b"exempt " + b"x" * 9000, "too long"), (b"x" * 70, "too long")):
            said, told = ask(world, door, f"s.send({message!r}); {answer}", session)
            if said.code != 1 or word not in told or not told.startswith("error "):
                raise Failure(f"{message[:20]}: {said} and {told}")
        said, told = ask(world, door, f"s.send(b'exempt wg0'); {answer}", session)
        if said.code or not told.startswith("exempt "):
            raise Failure(f"{said} and {told}")
