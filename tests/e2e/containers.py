# SPDX-License-Identifier: GPL-2.0
"""Containers made by crun, the runtime behind podman: the program of runs.py in namespaces of its
own, in a cgroup of the test's choice, with the capabilities that container engines give.

crun wants its cgroups at /sys/fs/cgroup: where they are elsewhere, they are mounted there for it
alone.
"""

import json
import os
import shutil
import subprocess
import sys

import runs
import sandbox
from sandbox import Failure, Skip, until

STATE = "/run/e2e/crun"
CGROUPS = "/sys/fs/cgroup"
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",
                "CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT"]


def need_crun():
    if not shutil.which("crun"):
        raise Skip("'crun' is not installed; run scripts/install-deps")


def _command(*words):
    """crun, with cgroup2 where it looks for that."""
    crun = ["crun", f"--root={STATE}", "--cgroup-manager=cgroupfs", *words]
    mount = sandbox.cgroup2_mount()
    if mount == CGROUPS:
        return crun
    return ["unshare", "--mount", "sh", "-c", f'mount --bind "$0" {CGROUPS} && exec "$@"', mount,
            *crun]


def _crun(*words):
    return subprocess.run(_command(*words), capture_output=True, text=True, timeout=60, check=False,
                          stdin=subprocess.DEVNULL)


def _mounts():
    """The machine's programs, read-only, and a /proc of its own."""
    yield {"destination": "/proc", "type": "proc", "source": "proc"}
    yield {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}


def _make_root(path):
    """An empty root but for where /usr is mounted, and the names that lead into it."""
    for name in ("usr", "proc", "dev", "sys"):
        os.makedirs(os.path.join(path, name))
    for name in ("bin", "lib", "lib64"):
        if not os.path.islink(f"/{name}"):
            raise Skip(f"'/{name}' is not in /usr")
        os.symlink(os.readlink(f"/{name}").lstrip("/"), os.path.join(path, name))


def _specification(cgroup, network):
    namespaces = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]
    if network:
        namespaces.append({"type": "network", "path": network.path})
    return {
        "ociVersion": "1.0.0",
        "root": {"path": "rootfs", "readonly": True},
        "mounts": list(_mounts()),
        "process": {
            "cwd": "/", "env": ["PATH=/usr/bin"], "user": {"uid": 0, "gid": 0},
            "args": [sys.executable, "-c", runs.APP], "noNewPrivileges": True,
            "capabilities": {kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")},
        },
        "linux": {"namespaces": namespaces,
                  "cgroupsPath": "/" + os.path.relpath(cgroup, sandbox.cgroup2_mount())},
    }


class Group:
    """The cgroup of a container, for an agent to join."""

    def __init__(self, path):
        self.path = path

    def join(self):
        sandbox.Cgroup.join(self)


class Container:
    """network: a namespace; None: that of the client."""

    def __init__(self, world, parent, name, network=None):
        self.world, self.group = world, Group(os.path.join(parent.path, name))
        self.name = f"{os.path.basename(world.directory)}-{name}"
        bundle = os.path.join(world.directory, "containers", name)
        shutil.rmtree(bundle, ignore_errors=True)
        _make_root(os.path.join(bundle, "rootfs"))
        with open(os.path.join(bundle, "config.json"), "w") as file:
            json.dump(_specification(self.group.path, network), file)
        self.app = runs.App(world, words=_command("run", f"--bundle={bundle}", self.name))

    def exec(self):
        """The program once more, in the container that runs."""
        words = _command("exec", self.name, sys.executable, "-c", runs.APP)
        return runs.App(self.world, words=words)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _crun("delete", "--force", self.name)
        self.app.process.wait(10)
        until(lambda: not os.path.exists(self.group.path), 5, "the container's cgroup to be gone")

    def check_group(self):
        """The container is where it was asked for, or it proves nothing."""
        with open(os.path.join(self.group.path, "cgroup.procs")) as procs:
            if not procs.read().strip():
                raise Failure(f"nothing runs in '{self.group.path}'")
