# SPDX-License-Identifier: GPL-2.0
"""tunfence run: a program in the fence of a cgroup, and the door for users who are not root."""

import os
import signal
import socket
import subprocess
import sys
import time

import runs
import sandbox
import world as w
from runs import App, Door, OWN, Session, Systemd, USER, run, slice_of
from sandbox import Failure, until
from test_2_verdict import relative
from test_6_command import says

STRANGER = w.udp(w.OTHER, 9)
STRANGER6 = w.udp(w.WEB6, 9)
CONNECT = ("import os, select, socket, sys, time\n"
           "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
           f"s.connect('{runs.SOCKET}')\n")

# As long as whoever answers does: it needs them alive.
STAY = "p = select.poll(); p.register(s, 0); p.poll(20000)"


def up(world, name="wg0", config=OWN):
    return world.up(config + w.BASIC.replace("wg0", name), name)


def ways(way):
    """The shots, by an App, but not from its first thread."""
    return (w.Shot(f"udp {w.OTHER}:9 by {way}", None, w.OTHER, 9, w.same, way=way),
            w.Shot(f"udp {w.WEB6}:9 by {way}", None, w.WEB6, 9, w.same, way=way))


# ---- the fence's own slice ----

def test_own_slice(world):
    """up makes it, down takes it away, and says nothing of programs where there are none."""
    for name in ("wg0", "my-vpn@home"):
        up(world, name)
        if not os.path.isdir(slice_of(world, name)):
            raise Failure(f"there is no '{slice_of(world, name)}'")
        says(world.must(world.tunfence("status", name)), slice_of(world, name))
        up(world, name)
        if "running" in world.down(name).out:
            raise Failure("down tells of programs")
    if os.path.exists(os.path.join(world.cgroup.path, "tunfence.slice")):
        raise Failure("down leaves 'tunfence.slice'")


def test_two_own_slices(world):
    """The parent goes with the last of them."""
    up(world, "wg0")
    up(world, "wg1")
    world.down("wg0")
    if not os.path.exists(slice_of(world, "wg1")):
        raise Failure("another fence's slice is gone")
    one = App(world, "wg1")
    world.silent(STRANGER, agent=one)
    one.end()
    world.down("wg1")


# ---- what a program in it can and cannot do ----

def test_tunnel_up_and_killed(world):
    """By the tunnel alone while it is there, EPERM and silence when it is not; the rest of the
    machine is not touched."""
    up(world)
    app = App(world)
    world.silent(STRANGER, STRANGER6, agent=app, told="EPERM")
    world.passes(STRANGER, agent=world.agent)
    world.passes(STRANGER, agent=world.outside)
    tunnel = world.tun()
    world.ip(world.client, f"route add {w.OTHER} dev wg0")
    mark = world.sniffer.mark()
    answer, _ = STRANGER.fire(app)
    until(lambda: any(socket.inet_aton(w.OTHER) in data for data in read_all(tunnel)), 5,
          "the datagram in the tunnel")
    if answer != "sent":
        raise Failure(f"the sender was told {answer}")
    world.quiet_since(mark)
    world.devices.remove(tunnel)
    os.close(tunnel)
    world.silent(STRANGER, STRANGER6, agent=app, told="EPERM")
    world.passes(STRANGER, agent=world.outside)
    app.end()


def read_all(tunnel):
    found = []
    while True:
        try:
            found.append(os.read(tunnel, 2048))
        except BlockingIOError:
            return found


def test_threads_children_and_daemons(world):
    up(world)
    app = App(world)
    for way in ("thread", "daemon", "exec"):
        world.silent(*ways(way), agent=app, told="EPERM")
    app.end()


def test_inside_once_more(world):
    """From inside it goes on inside, where it is; also from a group below."""
    up(world)
    nested = runs.command(world, "wg0", sys.executable, "-c", runs.APP)
    app = App(world, words=runs.command(world, "wg0", *nested))
    if not app.cgroup().startswith(f"{slice_of(world)}/"):
        raise Failure(f"it is in '{app.cgroup()}'")
    world.silent(STRANGER, agent=app)
    app.end()


# ---- it is the program ----

def test_exit_status_and_signals(world):
    up(world)
    for status in (0, 1, 7, 255):
        world.must(run(world, "wg0", "sh", "-c", f"exit {status}"), status)
    if (code := run(world, "wg0", "sh", "-c", "kill -KILL $$").code) != -signal.SIGKILL:
        raise Failure(f"SIGKILL became {code}")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        runs.end_with(App(world).process, number)


# Python ignores SIGPIPE and SIGXFSZ, but not on behalf of what it starts.
PYTHON_IGNORES = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1


def ignored(status):
    """The signals that are, a bit for each."""
    return int(next(line for line in status if line.startswith("SigIgn")).split()[1], 16)


def test_same_process(world):
    """Its number, environment, directory, mounts, standard input and open files; no child, and no
    signal ignored or blocked that was not."""
    up(world)
    process = runs.start(world, "wg0", "sh", "-c",
                         "cat; echo $$ $NOTE; pwd; readlink /proc/$$/ns/mnt; ls /proc/$$/fd; "
                         "exec grep -E '^Sig(Blk|Ign)|^Cap|^NoNew' /proc/$$/status",
                         stdin=subprocess.PIPE, cwd=world.directory,
                         env=os.environ | {"NOTE": "x y"})
    told = process.communicate("from me\n", timeout=30)
    out = told[0].splitlines()
    with open("/proc/self/status") as status:
        lines = [line.strip() for line in status]
    mine = [line for line in lines if line.startswith(("SigBlk", "Cap", "NoNew"))]
    wanted = ["from me", f"{process.pid} x y", world.directory, os.readlink("/proc/self/ns/mnt"),
              "0", "1", "2"]
    if out[:7] != wanted or told[1] or not set(mine) <= set(out):
        raise Failure(f"the program finds {told}, not {wanted} and {mine}")
    # Whoever started the tests may ignore some: glibc's posix_spawn leaves 32 and 33 ignored.
    if more := ignored(out) & ~(ignored(lines) & ~PYTHON_IGNORES):
        raise Failure(f"signals {more:#x} are ignored that were not")
    app = App(world)
    with open(f"/proc/{app.process.pid}/task/{app.process.pid}/children") as children:
        if children.read():
            raise Failure("something stays behind")
    app.end()


def test_program_that_cannot_be_run(world):
    """As env(1) has it; what was made for it goes with the next."""
    up(world)
    says(world.must(run(world, "wg0", "no-such-program"), 127), "no-such-program")
    says(world.must(run(world, "wg0", "/etc/passwd"), 126), "/etc/passwd")
    world.must(run(world, "wg0", "true"))
    if len(found := [d for d in os.listdir(slice_of(world)) if d.startswith("run-")]) > 1:
        raise Failure(f"groups of ended runs: {found}")
    world.down()
    if os.path.exists(slice_of(world)):
        raise Failure("down leaves the slice")


def test_wrong_usage(world):
    up(world)
    for words in (("wg0",), ("wg0", "true"), ("wg0", "true", "--"), ("wg0", "--"), ("--", "wg0"),
                  ("wg0", "true", "--", "x")):
        tool = [world.settings.tool, "run", f"--run-dir={world.run_dir}", *words]
        world.must(run(world, "wg0", words=tool), 2)
    says(world.must(run(world, "wg0", "echo", "--json", "-h")), "--json -h")
    says(world.must(run(world, "../wg0", "true"), 1), "not started")


def test_inherited_socket(world):
    """Said, and not taken away; what cannot reach a network is not worth a word."""
    up(world)
    with world.client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        said = world.must(run(world, "wg0", "true", stdin=sock))
        says(said, "descriptor 0", "fence 'wg0'")
        says(run(world, "wg0", "true", pass_fds=[sock.fileno()]), f"descriptor {sock.fileno()}")
        if run(world, "wg0", "true").err:
            raise Failure("a descriptor that the program does not get is named")
    here, there = socket.socketpair()
    with here, there:
        if said := run(world, "wg0", "true", stdin=here).err:
            raise Failure(f"of a socket of this machine it says: {said}")


# ---- when it refuses ----

def refused(world, *words, name="wg0", **options):
    """The program is not run."""
    marker = os.path.join(world.directory, "marker")
    says(world.must(run(world, name, "touch", marker, **options), 1), name, *words)
    if os.path.exists(marker):
        raise Failure("the program was run")


def test_fence_that_is_not_up(world):
    refused(world, "not up", "tunfence up wg0")
    up(world)
    refused(world, "tunfence up other", name="other")
    world.down()
    refused(world, "tunfence up wg0")


def test_fence_of_the_machine(world):
    world.up()
    refused(world, "whole machine", "just run it")


def test_fence_that_observes(world):
    """It is for trying: the program runs, and its user knows."""
    up(world, config=OWN + "Mode=observe\n")
    says(world.must(run(world, "wg0", "echo", "ran")), "ran", "only observes")


def test_fence_with_a_hole(world):
    up(world)
    world.veth(world.client, "late0", world.router, "late1")
    refused(world, "hole", "late0", "tunfence sync wg0")
    world.sync()
    world.must(run(world, "wg0", "true"))


def test_group_made_anew(world):
    """It looks the same, and nothing is attached to it."""
    up(world)
    os.rmdir(slice_of(world))
    refused(world, "tunfence up wg0")
    os.mkdir(slice_of(world))
    refused(world, "tunfence up wg0")
    up(world)
    app = App(world)
    world.silent(STRANGER, agent=app)
    app.end()
    up(world, config=OWN + "Mode=observe\n")
    run(world, "wg0", "true")
    until(lambda: remove_all_in(slice_of(world)), 5, "the slice to be empty")
    os.rmdir(slice_of(world))
    os.mkdir(slice_of(world))
    refused(world, "tunfence up wg0")


def remove_all_in(group):
    """Whether nothing is in it any more."""
    for name in os.listdir(group):
        if name.startswith("run-"):
            try:
                os.rmdir(os.path.join(group, name))
            except OSError:
                return False
    return True


def test_out_of_another_fence(world):
    """That would be a way out of it. Deeper in is none."""
    up(world, "wg0")
    up(world, "wg1")
    app = App(world, "wg0")
    refused(world, "another fence", name="wg1", cgroup=app.cgroup())
    refused(world, "another fence", name="wg1", cgroup=slice_of(world, "wg0"))
    app.end()
    world.down("wg0")
    world.up(f"[Fence]\nCgroup={relative(world, world.cgroup)}\n{w.BASIC}", "wg0")
    inner = App(world, "wg1", cgroup=world.cgroup.path)
    world.silent(STRANGER, agent=inner, told="EPERM")
    inner.end()


def test_hierarchy_that_is_mounted_twice(world):
    """The fence's group may be known by the path of another mount than a process's is."""
    elsewhere = os.path.join(world.directory, "cgroup2")
    os.mkdir(elsewhere)
    sandbox.mount("cgroup2", elsewhere, "cgroup2")
    try:
        world.write_config(OWN + w.BASIC)
        world.must(world.tunfence("up", "wg0",
                                  cgroup=os.path.join(elsewhere, relative(world, world.cgroup))))
        app = App(world)
        world.silent(STRANGER, agent=app, told="EPERM")
        app.end()
        other = world.cgroup.child("other")
        world.up(f"[Fence]\nCgroup={relative(world, other)}\n{w.BASIC}", "other")
        refused(world, "another fence", cgroup=other.path)
        world.down("other")
        world.down()
    finally:
        sandbox.unmount(elsewhere)


def test_group_named_in_the_configuration(world):
    """Root may run in that, too."""
    group = world.cgroup.child("app")
    world.up(f"[Fence]\nCgroup={relative(world, group)}\n{w.BASIC}")
    app = App(world)
    if os.path.dirname(app.cgroup()) != group.path:
        raise Failure(f"it is in '{app.cgroup()}'")
    world.silent(STRANGER, agent=app)
    app.end()


# ---- down while it runs ----

def test_down_while_it_runs(world):
    """It is told who is left, and they go on without a fence; nothing is left when they ended."""
    up(world)
    app = App(world)
    world.silent(STRANGER, agent=app)
    says(world.down(), "no longer fenced", f"({app.process.pid})")
    world.passes(STRANGER, agent=app)
    up(world)
    world.silent(STRANGER, agent=app)
    app.end()
    if "running" in world.down().out or os.path.exists(slice_of(world)):
        raise Failure("down leaves the slice of a program that ended")


# ---- by systemd ----

def test_scope_of_systemd(world):
    """A process, a slice and a name; and only where it then is counts."""
    up(world)
    with Systemd(slice_of(world)) as systemd:
        app = App(world)
        _, member, unit, body = systemd.asked[0]
        if (member, unit) != ("StartTransientUnit", f"tunfence-wg0-{app.process.pid}.scope"):
            raise Failure(f"systemd was asked: {systemd.asked}")
        for word in (b"tunfence-wg0.slice\0", b"CollectMode\0", b"inactive-or-failed\0", b"fail\0"):
            if word not in body:
                raise Failure(f"'{word}' was not asked for: {body}")
        if app.cgroup() != os.path.join(slice_of(world), unit):
            raise Failure(f"it is in '{app.cgroup()}'")
        world.silent(STRANGER, agent=app, told="EPERM")
        app.end()


def test_systemd_that_fails(world):
    up(world)
    for options, words in (({"error": "no such thing"}, ("no such thing",)),
                           ({"result": "failed", "moves": False}, ("failed", "systemctl status")),
                           ({"moves": False}, ("did not get into",))):
        with Systemd(slice_of(world), **options):
            refused(world, *words)
    os.makedirs("/run/systemd/system")
    try:
        refused(world, "/run/systemd/private")
    finally:
        os.removedirs("/run/systemd/system")


# ---- as a user ----

def test_user_without_the_door(world):
    up(world)
    refused(world, "systemctl enable --now tunfence-run.socket", "sudo", uid=USER)


def test_door_that_is_not_roots(world):
    up(world)
    code = (f"import socket, time\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
            f"s.bind('{runs.SOCKET}')\ns.listen(1)\nprint(flush=True)\ntime.sleep(60)")
    os.chmod("/run", 0o777)
    try:
        other = runs.start(world, "", words=[sys.executable, "-c", code], uid=USER + 1)
        other.stdout.readline()
        os.chmod(runs.SOCKET, 0o666)
        refused(world, "not root", uid=USER)
    finally:
        os.chmod("/run", 0o755)
        os.unlink(runs.SOCKET)


def test_user(world):
    up(world)
    with Door(world) as door, Session(world) as session:
        app = App(world, uid=USER, cgroup=session)
        world.silent(STRANGER, STRANGER6, agent=app, told="EPERM")
        for way in ("thread", "daemon", "exec"):
            world.silent(*ways(way), agent=app, told="EPERM")
        app.end()
        says(door.said[0], f"user {USER}, process {app.process.pid}", "'wg0'")
        said = run(world, "wg0", "sh", "-c", "id -u; exit 5", uid=USER, cgroup=session)
        says(world.must(said, 5), str(USER))
        refused(world, "not up", name="wg7", uid=USER, cgroup=session)


def test_user_by_systemd(world):
    up(world)
    with Door(world), Session(world) as session, Systemd(slice_of(world)) as systemd:
        app = App(world, uid=USER, cgroup=session)
        if os.path.dirname(app.cgroup()) != slice_of(world) or len(systemd.asked) != 1:
            raise Failure(f"it is in '{app.cgroup()}'")
        world.silent(STRANGER, agent=app, told="EPERM")
        app.end()


def test_user_cannot_leave(world):
    """Not another fence, nor a service, nor another user's session, nor get into other groups."""
    up(world)
    up(world, "wg1")
    group = world.cgroup.child("app")
    world.up(f"[Fence]\nCgroup={relative(world, group)}\n{w.BASIC}", "named")
    with Door(world), Session(world) as session, Session(world, USER + 1) as others:
        as_user = {"uid": USER, "cgroup": session}
        app = App(world, "wg1", **as_user)
        refused(world, "not in a session", uid=USER, cgroup=app.cgroup())
        app.end()
        refused(world, "not in a session", uid=USER, cgroup=world.cgroup.path)
        refused(world, "not in a session", uid=USER, cgroup=others)
        refused(world, "only root", name="named", **as_user)
        world.up(f"[Fence]\nCgroup={os.path.relpath(session, sandbox.cgroup2_mount())}\n{w.BASIC}",
                 "around")
        refused(world, session, "attached", **as_user)
        world.down("around")
        world.must(run(world, "wg0", "true", **as_user))


# ---- hostile callers ----

def ask(world, door, code, session, uid=USER, before=None):
    """What a program that connected is told, and what the journal is. before: called when it has
    connected and waits."""
    caller = runs.start(world, "", words=[sys.executable, "-c", CONNECT + code], uid=uid,
                        cgroup=session)
    connection, _ = door.socket.accept()
    if before:
        before(caller)
    said = door.answer(connection)
    if said.code not in (0, 1):
        raise Failure(f"admit ended with {said}")
    return said, caller.communicate(timeout=30)[0]


def test_hostile_messages(world):
    up(world)
    answer = "print(s.recv(9999).decode())"
    with Door(world, automatic=False) as door, Session(world) as session:
        for message, word in ((b"x" * 64, "too long"), (b"x" * 60000, "too long"), (b"", "name"),
                              (b"wg0\0", "not a fence's name"), (b"../wg0", "name"),
                              (b"wg0\n", "name"),
                              (b"\xff\xfe", "name"), (b"%s%n", "name"), (b"wg0/../wg0", "name")):
            said, told = ask(world, door, f"s.send({message!r}); {answer}", session)
            if said.code != 1 or word not in told or not told.startswith("error "):
                raise Failure(f"{message[:20]}: {said} and {told}")
            if len(said.err.splitlines()) != 1:
                raise Failure(f"the journal has {said.err}")
        said, told = ask(world, door, f"s.send(b'wg0'); {answer}", session)
        if said.code or not told.startswith("fenced "):
            raise Failure(f"{said} and {told}")


def test_slow_and_silent_callers(world):
    """They cost a few seconds of a process of their own; who never reads the answer, nothing."""
    up(world)
    with Door(world, automatic=False) as door, Session(world) as session:
        began = time.monotonic()
        said, told = ask(world, door, "print(s.recv(9999).decode())", session)
        if said.code != 1 or "in time" not in told or time.monotonic() - began > 20:
            raise Failure(f"{said} and {told}")
        world.must(ask(world, door, "s.close()", session)[0], 1)
        world.must(ask(world, door, "s.shutdown(socket.SHUT_RD); s.send(b'wg0'); " + STAY,
                       session)[0])


def test_caller_that_has_ended(world):
    """Nobody is moved instead."""
    up(world)
    with Door(world, automatic=False) as door, Session(world) as session:
        said, _ = ask(world, door, "s.send(b'wg0')", session, before=lambda c: c.wait(10))
        says(world.must(said, 1), "has ended")
    if any(d.startswith("run-") for d in os.listdir(slice_of(world))):
        raise Failure("something was moved")


def test_caller_that_became_another_user(world):
    """As the number of a process that ended does when it is given again."""
    up(world)
    code = (f"s.send(b'wg0'); os.setresuid({USER}, {USER}, {USER}); print(flush=True)\n"
            "print(s.recv(9999).decode())")
    with Door(world, automatic=False) as door, Session(world) as session:
        said, told = ask(world, door, code, session, uid=0,
                         before=lambda caller: caller.stdout.readline())
        says(world.must(said, 1), "another user")
        if "another user" not in told:
            raise Failure(f"it is told {told}")


def test_caller_is_held_meanwhile(world):
    """When it is killed in the middle its number is nobody else's until the move is over."""
    up(world)
    fake = Systemd(slice_of(world), moves=False)
    with Door(world, automatic=False) as door, Session(world) as session, fake:
        caller = runs.start(world, "", words=[sys.executable, "-c",
                                              CONNECT + "s.send(b'wg0'); time.sleep(60)"],
                            uid=USER, cgroup=session)
        connection, _ = door.socket.accept()
        found = []

        def kill(*_):
            caller.kill()
            until(lambda: state_of(caller.pid) == "Z", 5, "it to be dead")
            found.append(caller.poll())
        fake._move, fake.moves = kill, True
        world.must(door.answer(connection), 1)
        if found != [None] or caller.wait(10) != -signal.SIGKILL:
            raise Failure(f"it was waited for in the middle: {found}")


def state_of(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]
