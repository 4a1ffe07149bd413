# SPDX-License-Identifier: GPL-2.0
"""What service units do: raise a fence out of a sandbox whose mounts end with it, and wait for it."""

import os
import shutil
import signal
import subprocess

import sandbox
import world as w
from sandbox import Failure, Skip, until
from test_6_command import says

STRANGER = w.udp(w.OTHER, 9)
SANDBOX = ("unshare", "--mount", "--propagation", "slave", "--")
OBSERVE = "[Fence]\nMode=observe\n"


class Machine:
    """A mount namespace in which something is PID 1. What is run in it runs beside that; what is
    run in its sandbox has mounts of its own, as a hardened unit has, which end with the command."""

    RUN_DIR = "/run/tunfence"  # anywhere else the tool believes whoever says so

    def __init__(self, world):
        self.world = world
        process = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--mount-proc",
                                    "--kill-child", "sleep", "infinity"],
                                   preexec_fn=sandbox.die_with_parent)
        world.processes.append(process)
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        self.init = until(lambda: open(children).read().strip(), 5, "PID 1")
        until(lambda: open(f"/proc/{self.init}/comm").read() == "sleep\n", 5, "its command")

    def tunfence(self, *args, inside=(), **options):
        """Runs the tool in it, by means of the command inside."""
        enter = ("nsenter", f"--target={self.init}", "--mount", "--pid", "--", *inside)
        return self.world.tunfence(*args, wrapper=enter, run_dir=None, **options)

    def sandboxed(self, *args, **options):
        return self.tunfence(*args, inside=SANDBOX, **options)

    def sandboxed_after(self, command, *args):
        """In a sandbox in which command has been run."""
        return self.tunfence(*args, inside=(*SANDBOX, "sh", "-ec", f'{command}; exec "$@"', "sh"))


def machine(world):
    """One per test, without what an earlier one left in a directory that only its mounts covered."""
    shutil.rmtree(Machine.RUN_DIR, ignore_errors=True)
    return Machine(world)


def test_sandbox_whose_mounts_would_end(world):
    """A fence that ended with its unit would be none: it is refused, whatever is mounted there."""
    here = machine(world)
    world.write_config(w.BASIC)
    prepare = f"{world.settings.tool} prepare --bpffs={world.bpffs}"
    shown = f"mount -t bpf bpf {world.bpffs}"
    for said in (here.sandboxed("up", "wg0"), here.sandboxed_after(prepare, "up", "wg0"),
                 here.sandboxed_after(f"{prepare}; umount {here.RUN_DIR}", "up", "wg0")):
        says(world.must(said, 1), "tunfence prepare")
        world.leaks(STRANGER)
    world.must(here.tunfence("prepare"))
    held = f"{world.bpffs}/tunfence-held"
    for command in (f"umount {here.RUN_DIR}; mount -t bpf bpf {here.RUN_DIR}/bpf",
                    f"umount {here.RUN_DIR}; umount {here.RUN_DIR}/bpf; umount {held}; umount {held}",
                    shown):
        says(world.must(here.sandboxed_after(command, "up", "wg0"), 1), "tunfence prepare")
        world.leaks(STRANGER)


def test_raised_from_a_sandbox(world):
    """It holds when the sandbox is gone, and all see it."""
    here = machine(world)
    world.write_config(w.BASIC)
    for _ in range(2):
        said = world.must(here.tunfence("prepare"))
        if said.out or said.err:
            raise Failure(f"prepare says: {said}")
        world.leaks(STRANGER)
    world.must(here.sandboxed("up", "wg0"))
    world.silent(STRANGER)
    for run in (here.tunfence, here.sandboxed):
        world.must(run("status", "wg0"))
        says(world.must(run("sync", "wg0")), "wg0: ")
        world.must(run("gate", "wg0"))
    world.must(here.tunfence("prepare"))
    world.must(here.sandboxed("up", "wg0"))
    world.silent(STRANGER)
    world.passes(w.outer())
    world.must(here.sandboxed("down", "wg0"))
    world.leaks(STRANGER)


def test_prepare_covers_again(world):
    """Where somebody took the cover off, and with a fence up."""
    world.up()
    sandbox.unmount(world.run_dir)
    says(world.must(world.tunfence("status", "wg0")), "nothing covers")
    world.must(world.tunfence("prepare"))
    if not sandbox.has_cover(world.run_dir) or "nothing covers" in world.tunfence("status").out:
        raise Failure("there is no cover")
    world.silent(STRANGER)


def test_prepare_where_nothing_can_be_made(world):
    world.must(world.tunfence("prepare", run_dir="/proc/tunfence"), 1)
    says(world.must(world.tunfence("prepare", bpffs=world.directory), 1), "mount -t bpf")


def test_prepare_makes_what_a_sandbox_may_write_to(world):
    """And where the disk cannot be written there is a fence all the same."""
    world.must(world.tunfence("prepare"))
    if os.stat(world.state_dir).st_mode & 0o777 != 0o755:
        raise Failure(f"'{world.state_dir}' has another mode")
    said = world.must(world.tunfence("prepare", state_dir="/proc/tunfence"))
    if said.out or said.err:
        raise Failure(f"prepare says: {said}")


def test_gate(world):
    says(world.must(world.tunfence("gate", "wg0"), 1), "there is no fence 'wg0'",
         "systemctl start NetworkManager", "systemctl disable tunfence@wg0")
    world.up()
    said = world.must(world.tunfence("gate", "wg0"))
    if said.out or said.err:
        raise Failure(f"gate says: {said}")
    world.must(world.tunfence("gate", "wg1"), 1)
    world.down()
    world.must(world.tunfence("gate", "wg0"), 1)


def test_gate_of_enabled_fences(world):
    """What 'systemctl enable' put there, masked or not; nothing else."""
    units = os.path.join(world.directory, "tunfence-gate.service.wants")
    nowhere = os.path.join(world.directory, "nowhere")
    gate = ("gate", units, nowhere)
    world.must(world.tunfence(*gate))
    os.mkdir(units)
    for other in ("tunfence@.service", "tunfence-watch.service", "x@wg0.service", "tunfence@wg0"):
        os.symlink("/dev/null", os.path.join(units, other))
    world.must(world.tunfence(*gate))
    for name in ("wg0", "wg1"):
        os.symlink("/dev/null", os.path.join(units, f"tunfence@{name}.service"))
    said = world.must(world.tunfence(*gate), 1)
    says(said, "fence 'wg0' does not", "fence 'wg1' does not")
    if "masked" in said.err:
        raise Failure(f"gate says: {said.err}")
    os.symlink("/dev/null", os.path.join(world.directory, "tunfence@wg1.service"))
    os.symlink("/dev/nullx", os.path.join(world.directory, "tunfence@wg0.service"))
    said = world.must(world.tunfence(*gate), 1)
    says(said, "systemctl unmask tunfence@wg1")
    if "unmask tunfence@wg0" in said.err:
        raise Failure(f"gate says: {said.err}")
    world.up()
    said = world.must(world.tunfence(*gate), 1)
    says(said, "fence 'wg1' does not")
    if "'wg0'" in said.err:
        raise Failure(f"gate says: {said.err}")
    os.remove(os.path.join(units, "tunfence@wg1.service"))
    world.must(world.tunfence(*gate))
    says(world.must(world.tunfence("gate", world.write_config(w.BASIC)), 1), "cannot be read")


def test_gate_puts_in_place_what_came_late(world):
    world.up()
    world.veth(world.client, "late0", world.router, "late1")
    world.must(world.tunfence("status", "wg0"), 3)
    world.must(world.tunfence("gate", "wg0"))
    world.must(world.tunfence("status", "wg0"))


def test_gate_in_another_namespace(world):
    world.up()
    says(world.must(world.tunfence("gate", "wg0", namespace=world.router), 1),
         "another network namespace", "systemctl start")


def test_gate_of_a_fence_that_observes(world):
    """It drops nothing, and the network does not wait for it to."""
    world.up(OBSERVE + w.BASIC)
    world.must(world.tunfence("status", "wg0"), 3)
    world.must(world.tunfence("gate", "wg0"))
    world.leaks(STRANGER)


def loads(process):
    """Whether it has made a map: it knows the interfaces by then, and has raised no plane yet, for
    the kernel to check its programs takes a while."""
    directory = f"/proc/{process.pid}/fd"
    try:
        return any("bpf-map" in os.readlink(os.path.join(directory, fd)) for fd in os.listdir(directory))
    except FileNotFoundError:
        return False


def test_interface_that_comes_during_up(world):
    """The uplink of a machine that boots."""
    world.write_config(w.BASIC)
    with world.client:
        process = subprocess.Popen(
            [world.settings.tool, "up", "wg0", f"--cgroup={world.cgroup.path}",
             f"--config-dir={world.config_dir}", f"--bpffs={world.bpffs}",
             f"--run-dir={world.run_dir}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            preexec_fn=sandbox.die_with_parent)
    world.processes.append(process)
    until(lambda: loads(process) or process.poll() is not None, 30, "up to load its programs")
    process.send_signal(signal.SIGSTOP)
    if w.pins(os.path.join(world.bpffs, "tunfence")) or process.poll() is not None:
        raise Skip("it was faster than this test")
    world.veth(world.client, "late0", world.router, "late1")
    process.send_signal(signal.SIGCONT)
    if process.wait(30):
        raise Failure("up failed")
    world.must(world.tunfence("status", "wg0"))
