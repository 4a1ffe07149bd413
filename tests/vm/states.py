# SPDX-License-Identifier: GPL-2.0
"""Where scenarios begin: disks, and running machines, that are made once and kept in the cache.

A state's name has a hash in it of everything it was made from: image, program, and this room's own
code. Only a finished one has the name.
"""

import glob
import hashlib
import os
import shutil
import subprocess

import room

HERE = os.path.dirname(os.path.abspath(__file__))
CODE = ("states.py", "guest.py", "room.py")


def file_hash():
    digest = hashlib.sha256()
    for name in CODE:
        with open(os.path.join(HERE, name), "rb") as file:
            digest.update(file.read())
    return digest


class State:
    def __init__(self, name, kernel, parent, make, key):
        self.name, self.kernel, self.parent, self.make = name, kernel, parent, make
        self.path = f"/cache/state-{kernel.name}-{name}-{key}"

    @property
    def memory(self):
        return f"{self.path}/memory"

    def exists(self):
        return not self.parent or os.path.exists(self.path)

    def line(self):
        """This state and those that it comes from."""
        return [self, *(self.parent.line() if self.parent else [])]

    def begin(self, guest):
        """Gives the guest a disk of its own, over this state's; and wakes it, if it was on."""
        disk = f"{self.path}/disk.qcow2" if self.parent else self.kernel.image
        kind = "qcow2" if self.parent else "raw"
        for state in self.line()[:-1]:
            os.utime(state.path)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", disk,
                        guest.disk], check=True)
        if self.parent and os.path.exists(self.memory):
            guest.power_on(memory=self.memory)

    def keep(self, directory):
        """The disk, and the memory if there is one, that its making left in the directory."""
        new = f"{self.path}.new"
        shutil.rmtree(new, ignore_errors=True)
        os.mkdir(new)
        for name in ("disk.qcow2", "memory"):
            if os.path.exists(f"{directory}/{name}"):
                shutil.copy(f"{directory}/{name}", new)
        os.rename(new, self.path)


def make_installed(guest):
    """As a newcomer does it: README's lines, one by one, up to its reboot. Not one frame too many
    from `up` on."""
    guest.power_on()
    guest.ready()
    guest.install()
    guest.write("/etc/wireguard/wg0.conf", room.wireguard_config(), "600")
    ping = f"ping -c 1 -W 20 {room.TUNNEL_SERVER}"
    guest.run(f"wg-quick up wg0 && {ping}")
    guest.run("tunfence up wg0")
    mark = guest.mark()
    guest.run(f"{ping} && tunfence status")
    guest.run("systemctl enable wg-quick@wg0 tunfence@wg0 && sync")
    guest.power_off()
    guest.silent(mark)


def make_fenced(guest):
    """The first boot with the fence: silent from power-on to the login prompt."""
    guest.power_on()
    guest.is_fenced()
    guest.silent()
    guest.run("sync")
    guest.save(f"{guest.directory}/memory")


def of(kernel, program):
    """The kernel's states by name, each after the one it comes from."""
    digest = file_hash()
    digest.update(f"{kernel.image} {program}".encode())
    key = digest.hexdigest()[:12]
    plain = State("plain", kernel, None, None, key)
    installed = State("installed", kernel, plain, make_installed, key)
    fenced = State("fenced", kernel, installed, make_fenced, key)
    return {s.name: s for s in (plain, installed, fenced)}


def sweep(cache):
    """Of each state only the three last used are kept: they are large."""
    by_name = {}
    for path in glob.glob(f"{cache}/state-*"):
        by_name.setdefault(path.rpartition("-")[0], []).append(path)
    for paths in by_name.values():
        for path in sorted(paths, key=os.path.getmtime)[:-3]:
            shutil.rmtree(path)
