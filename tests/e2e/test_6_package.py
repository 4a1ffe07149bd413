# SPDX-License-Identifier: GPL-2.0
"""The package's maintainer scripts, with real fences and a systemd that only takes notes."""

import os
import shutil
import stat
import subprocess

from sandbox import Failure, Skip

SCRIPTS = os.path.join(os.path.dirname(__file__), "../../scripts/debian")
LINKS = ("sysinit.target.wants/tunfence@wg0.service",
         "tunfence-gate.service.wants/tunfence@wg0.service",
         "multi-user.target.wants/tunfence-watch.service",
         "multi-user.target.wants/tunfence-journal.service",
         "sockets.target.wants/tunfence-run.socket", "timers.target.wants/tunfence-metrics.timer")
OTHERS = ("multi-user.target.wants/ssh.service", "tunfence@masked.service")
OLD = "0+1.gold"


class Machine:
    """Where the scripts run: /run/tunfence is there while a fence was ever up, systemd runs, and what
    is asked of it is in a file. The world's fences are seen by the program as the machine's."""

    def __init__(self, world):
        self.world = world
        self.directory = os.path.join(world.directory, "package")
        self.bin = os.path.join(self.directory, "bin")
        self.notes = os.path.join(self.directory, "notes")
        self.units = os.path.join(self.directory, "units")
        os.makedirs(self.bin)
        self.program(f'exec {world.settings.tool} "$@" --bpffs={world.bpffs} '
                     f'--run-dir={world.run_dir}')
        self.command("udevadm", "exit 0")
        self.systemd(active=True)
        for link in LINKS + OTHERS:
            path = os.path.join(self.units, link)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink("/dev/null", path)

    def command(self, name, text):
        path = os.path.join(self.bin, name)
        with open(path, "w") as file:
            file.write(f'#!/bin/sh\necho "{name} $*" >>{self.notes}\n{text}\n')
        os.chmod(path, 0o755)

    def program(self, text):
        self.command("tunfence", text)

    def systemd(self, active, reload="exit 0"):
        """What it says of every unit, and what a reload comes to."""
        self.command("systemctl", f"echo {'active' if active else 'inactive'}")
        self.command("deb-systemd-invoke", f"[ $1 != reload ] || {reload}")

    def run(self, script, *args, code=0):
        """Runs it in a mount namespace of its own; returns what it said, and asked of systemd."""
        if os.path.exists(self.notes):
            os.unlink(self.notes)
        setup = ("mount -t tmpfs none /run/systemd && mount -t tmpfs none /run/udev && "
                 "mount -t tmpfs none /var/lib && "
                 "mkdir /run/systemd/system && touch /run/udev/control && "
                 "mount --bind $0 /etc/systemd/system && exec \"$@\"")
        if not os.path.isdir("/etc/systemd/system"):
            raise Skip("no /etc/systemd/system here")
        for directory in ("/run/tunfence", "/run/systemd", "/run/udev"):
            os.makedirs(directory, exist_ok=True)
        with self.world.client:
            done = subprocess.run(
                ["unshare", "-m", "sh", "-c", setup, self.units,
                 "sh", os.path.join(SCRIPTS, f"tunfence.{script}"), *args],
                env={"PATH": f"{self.bin}:{os.environ['PATH']}"}, capture_output=True, text=True,
                timeout=60, check=False)
        for directory in ("/run/tunfence", "/run/systemd", "/run/udev"):
            os.rmdir(directory)
        said = done.stdout + done.stderr
        if done.returncode != code:
            raise Failure(f"{script} {' '.join(args)}: exit code {done.returncode}: {said}")
        try:
            with open(self.notes) as file:
                return said, [n for n in file.read().splitlines() if not n.startswith("tunfence")]
        except FileNotFoundError:
            return said, []

    def links(self):
        return {link for link in LINKS + OTHERS
                if os.path.islink(os.path.join(self.units, link))}


def changes(notes):
    """What was asked that is more than a question."""
    return [n for n in notes if n.split()[1] != "is-active"]


def test_removal_of_a_fence_that_is_up_is_refused(world):
    machine = Machine(world)
    world.up()
    said, notes = machine.run("prerm", "remove", code=1)
    if "wg0" not in said or "tunfence down" not in said:
        raise Failure(f"it does not say which fence, and what to do: {said}")
    if changes(notes) or machine.links() != {*LINKS, *OTHERS}:
        raise Failure("a refused removal has changed something")
    machine.program("exit 127")
    machine.run("prerm", "remove", code=1)


def test_removal_leaves_nothing_that_keeps_the_network_down(world):
    machine = Machine(world)
    world.up()
    world.down()
    _, notes = machine.run("prerm", "remove")
    if changes(notes) != ["deb-systemd-invoke stop tunfence-watch.service tunfence-journal.service "
                          "tunfence-run.socket tunfence-metrics.timer"]:
        raise Failure(f"systemd was asked: {notes}")
    if machine.links() != set(OTHERS):
        raise Failure(f"links that are left: {machine.links()}")
    if os.path.exists(os.path.join(machine.units, "tunfence-gate.service.wants")):
        raise Failure("an empty folder is left")


def test_removal_takes_the_metrics_with_it(world):
    """They would say for ever what was true last. An upgrade leaves them, and others' stay."""
    root = os.path.join(world.directory, "root")
    directory = os.path.join(root, "var/lib/prometheus/node-exporter")
    os.makedirs(directory)
    for name in ("tunfence.prom", "apt.prom"):
        with open(os.path.join(directory, name), "w"):
            pass
    for action, left in (("upgrade", ["apt.prom", "tunfence.prom"]), ("remove", ["apt.prom"])):
        subprocess.run(["sh", os.path.join(SCRIPTS, "tunfence.prerm"), action], check=True,
                       env={"DPKG_ROOT": root, "PATH": os.environ["PATH"]})
        if (found := sorted(os.listdir(directory))) != left:
            raise Failure(f"after {action} there are {found}")


def test_upgrade_touches_nothing_before_the_new_program_is_there(world):
    machine = Machine(world)
    world.up()
    for script in ("prerm", "postrm"):
        _, notes = machine.run(script, "upgrade", "2")
        if notes or machine.links() != {*LINKS, *OTHERS}:
            raise Failure(f"{script} upgrade: {notes}")


def test_upgrade_has_systemd_raise_again_what_it_raised(world):
    machine = Machine(world)
    world.up()
    world.up(name="wg-1@b")
    _, notes = machine.run("postinst", "configure", OLD)
    wanted = ["udevadm control --reload", "systemctl --system daemon-reload",
              "deb-systemd-invoke reload tunfence@wg-1@b.service",
              "deb-systemd-invoke reload tunfence@wg0.service",
              "deb-systemd-invoke try-restart tunfence-watch.service tunfence-journal.service"]
    if sorted(changes(notes)) != sorted(wanted):
        raise Failure(f"systemd was asked: {notes}")
    if notes[:2] != wanted[:2] or notes[-1] != wanted[-1]:
        raise Failure(f"the order is wrong: {notes}")


def test_upgrade_tells_of_a_fence_that_could_not_be_raised_again(world):
    machine = Machine(world)
    world.up()
    machine.systemd(active=True, reload="exit 1")
    said, _ = machine.run("postinst", "configure", OLD)
    if "wg0" not in said or "previous version" not in said:
        raise Failure(f"it says: {said}")
    world.must(world.tunfence("status", "wg0"))


def test_upgrade_leaves_alone_what_systemd_did_not_raise(world):
    machine = Machine(world)
    world.up()
    machine.systemd(active=False)
    said, notes = machine.run("postinst", "configure", OLD)
    if any("reload tunfence" in n for n in notes) or "tunfence up wg0" not in said:
        raise Failure(f"asked: {notes}, said: {said}")
    machine.systemd(active=True)
    world.down()
    _, notes = machine.run("postinst", "configure", OLD)
    if any("reload tunfence" in n for n in notes):
        raise Failure(f"what was opened is raised again: {notes}")


def test_installation_raises_and_enables_nothing(world):
    machine = Machine(world)
    world.up()
    _, notes = machine.run("postinst", "configure", "")
    if changes(notes) != ["udevadm control --reload", "systemctl --system daemon-reload"]:
        raise Failure(f"systemd was asked: {notes}")


def test_purge_keeps_what_users_wrote(world):
    machine = Machine(world)
    root = os.path.join(world.directory, "root")
    environment = {"DPKG_ROOT": root, "PATH": os.environ["PATH"]}
    written = os.path.join(root, "etc/tunfence/wg0.conf")

    def purge():
        for name in ("etc/tunfence", "var/lib/tunfence/names"):
            os.makedirs(os.path.join(root, name), exist_ok=True)
        subprocess.run(["sh", os.path.join(SCRIPTS, "tunfence.postrm"), "purge"], check=True,
                       env=environment, timeout=60)
        return sorted(os.path.relpath(os.path.join(d, f), root)
                      for d, folders, files in os.walk(root) for f in folders + files)

    if (left := purge()) != ["etc", "var", "var/lib"]:
        raise Failure(f"left: {left}")
    os.makedirs(os.path.dirname(written))
    with open(written, "w"):
        pass
    if (left := purge()) != ["etc", "etc/tunfence", "etc/tunfence/wg0.conf", "var", "var/lib"]:
        raise Failure(f"left: {left}")
    shutil.rmtree(root)
    machine.run("postrm", "purge")


# ---- /etc/nsswitch.conf --------------------------------------------------------------------------

OTHER_LINES = ("# hosts: files dns\npasswd:         files systemd\n",
               "networks:       files\nhostsfile: files dns\n")
ADDED = (("hosts:          files dns", "hosts:          files tunfence dns"),
         ("hosts: files mdns4_minimal [NOTFOUND=return] dns",
          "hosts: files tunfence mdns4_minimal [NOTFOUND=return] dns"),
         ("hosts: files [NOTFOUND=continue] [ UNAVAIL=return ]  dns",
          "hosts: files [NOTFOUND=continue] [ UNAVAIL=return ] tunfence  dns"),
         ("hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns",
          "hosts: tunfence mymachines resolve [!UNAVAIL=return] files myhostname dns"),
         ("hosts: mymachines files resolve[!UNAVAIL=return]",
          "hosts: mymachines files tunfence resolve[!UNAVAIL=return]"),
         ("hosts: dns files", "hosts: tunfence dns files"),
         ("hosts: xfiles dns", "hosts: tunfence xfiles dns"),
         ("  hosts:\tfiles\tdns # or tunfence", "  hosts:\tfiles tunfence\tdns # or tunfence"),
         ("hosts:files", "hosts:files tunfence"), ("hosts: files#dns", "hosts: files tunfence#dns"),
         ("hosts: ", "hosts: tunfence "), ("hosts: caf\xe9 files", "hosts: caf\xe9 files tunfence"))
ALREADY = ("hosts: files dns tunfence", "hosts: tunfence", "hosts: files tunfence[NOTFOUND=return]")
TWICE = ("hosts: files tunfence dns\nhosts: dns", "hosts: files tunfence dns\nhosts: tunfence dns")
REMOVED = (("hosts: files tunfence [NOTFOUND=return] dns", "hosts: files  dns"),
           ("hosts: files tunfence[NOTFOUND=return]dns", "hosts: files dns"),
           ("hosts: files dns tunfence", "hosts: files dns"), ("hosts: tunfence", "hosts: "),
           ("hosts: tunfence files tunfence dns", "hosts: files dns"),
           ("hosts: [a]tunfence db [b]tunfence", "hosts: [a]db [b]"),
           ("hosts: caf\xe9 tunfence", "hosts: caf\xe9"),
           ("hosts: files tunfence # tunfence", "hosts: files # tunfence"),
           ("hosts: files tunfence2 # tunfence", "hosts: files tunfence2 # tunfence"))


class Root:
    """A machine's files, which dpkg would let the scripts edit."""

    def __init__(self, world):
        self.path = os.path.join(world.directory, "root")
        self.conf = os.path.join(self.path, "etc/nsswitch.conf")
        self.module = os.path.join(self.path, "usr/lib/x86_64-linux-gnu/libnss_tunfence.so.2")
        os.makedirs(os.path.dirname(self.conf))
        os.makedirs(os.path.dirname(self.module))

    def run(self, script, *args):
        done = subprocess.run(["sh", os.path.join(SCRIPTS, f"tunfence.{script}"), *args],
                              env={"DPKG_ROOT": self.path, "PATH": os.environ["PATH"],
                                   "LANG": "C.UTF-8"},
                              capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise Failure(f"{script} {' '.join(args)}: exit code {done.returncode}: {done.stderr}")
        return done.stdout + done.stderr

    def unpack(self, *args):
        said = self.run("preinst", *args)
        with open(self.module, "w"):
            pass
        return said

    def install(self):
        return self.unpack("install") + self.run("postinst", "configure", "")

    def remove(self):
        os.unlink(self.module)
        return self.run("postrm", "remove")

    def say(self, line):
        with open(self.conf, "w", encoding="latin-1") as file:
            file.write(f"{line}\n".join(OTHER_LINES))

    def expect(self, line, after):
        with open(self.conf, encoding="latin-1") as file:
            found = file.read()
        if found != f"{line}\n".join(OTHER_LINES):
            raise Failure(f"after {after}: '{line}' was expected, the file is:\n{found}")
        if (files := os.listdir(os.path.dirname(self.conf))) != ["nsswitch.conf"]:
            raise Failure(f"after {after}: left in /etc: {files}")


def test_installation_has_names_asked_of_the_module_and_removal_ends_it(world):
    root = Root(world)
    for before, with_it in ADDED:
        root.say(before)
        root.install()
        root.expect(with_it, "installation")
        root.install()
        root.expect(with_it, "a second installation")
        root.remove()
        root.expect(before, "removal")
    for before, with_it in (TWICE, *((line, line) for line in ALREADY)):
        root.say(before)
        root.install()
        root.expect(with_it, "installation")
    for before, without_it in REMOVED:
        root.say(before)
        root.run("postrm", "remove")
        root.expect(without_it, "removal")


def test_nsswitch_is_replaced_in_one_step_and_only_if_it_changes(world):
    """Who has opened the old file reads all of it; mode and owner stay; a link stays one."""
    root = Root(world)
    root.say("hosts: files dns")
    os.chmod(root.conf, 0o640)
    os.chown(root.conf, 1, 2)
    with open(root.conf) as old:
        root.install()
        if old.read() != "hosts: files dns\n".join(OTHER_LINES):
            raise Failure("the old file was written into")
    first = os.stat(root.conf)
    if (stat.S_IMODE(first.st_mode), first.st_uid, first.st_gid) != (0o640, 1, 2):
        raise Failure(f"mode {first.st_mode:o}, owner {first.st_uid}:{first.st_gid}")
    root.install()
    if os.stat(root.conf).st_ino != first.st_ino:
        raise Failure("what needs no change was replaced")
    real = os.path.join(root.path, "real.conf")
    os.rename(root.conf, real)
    os.symlink("../real.conf", root.conf)
    root.remove()
    root.expect("hosts: files dns", "removal")
    if not os.path.islink(root.conf):
        raise Failure("a link has become a file")


def test_upgrade_leaves_nsswitch_as_the_admin_has_it(world):
    root = Root(world)
    root.say("hosts: files dns")
    root.install()
    root.say("hosts: files dns")
    root.unpack("upgrade", OLD, "2")
    root.run("postrm", "upgrade", "2")
    root.run("postinst", "configure", OLD)
    root.expect("hosts: files dns", "upgrade")
    root.run("prerm", "upgrade", "2")
    root.run("postinst", "configure", OLD)
    root.expect("hosts: files dns", "a second configuration")


def test_module_that_is_new_is_asked(world):
    """By an upgrade from a version that had none; by an installation after a removal."""
    root = Root(world)
    root.say("hosts: files dns")
    root.unpack("upgrade", OLD, "2")
    root.run("postrm", "upgrade", "2")
    root.run("postinst", "configure", OLD)
    root.expect("hosts: files tunfence dns", "upgrade from a version without the module")
    root.remove()
    root.unpack("install", OLD, "2")
    root.run("postinst", "configure", OLD)
    root.expect("hosts: files tunfence dns", "installation after a removal")


def test_installation_that_fails_leaves_no_word(world):
    root = Root(world)
    root.say("hosts: files dns")
    for first, then in (("install", ("abort-install",)), ("install", ("remove",)),
                        ("upgrade", ("abort-upgrade", OLD))):
        if os.path.exists(root.module):
            os.unlink(root.module)
        root.run("preinst", first)
        root.run("postrm", *then)
        root.expect("hosts: files dns", f"{first}, {then[0]}")


def test_nsswitch_that_cannot_be_edited_is_no_failure(world):
    """None there, or none that can be replaced: installed all the same, and said."""
    root = Root(world)
    if root.install() or os.listdir(os.path.dirname(root.conf)):
        raise Failure("it has made a file, or something to say")
    root.say("hosts: files dns")
    subprocess.run(["mount", "--bind", root.conf, root.conf], check=True)
    try:
        if "behind 'files'" not in (said := root.install()):
            raise Failure(f"it says: {said}")
        root.expect("hosts: files dns", "installation")
        root.say("hosts: files tunfence dns")
        if "take 'tunfence' out" not in (said := root.remove()):
            raise Failure(f"it says: {said}")
        root.expect("hosts: files tunfence dns", "removal")
    finally:
        subprocess.run(["umount", root.conf], check=True)
