# SPDX-License-Identifier: GPL-2.0
"""Endpoints given by name: resolved, not resolved, and remembered from when they were."""

import contextlib
import functools
import json
import os
import subprocess
import tempfile
import time

import sandbox
import world as w
from sandbox import Failure

NAMED = "[Tunnel]\nInterface=wg0\nKind=tun\nEndpoint=vpn.example:51820\n"
STRANGER = w.udp(w.OTHER, 9)
ROAMED = w.outer(w.VPN_ROAMED)


@contextlib.contextmanager
def file_over(world, path, text):
    """The file at path says this; in the runner's own mount namespace."""
    with tempfile.NamedTemporaryFile("w", dir=world.directory) as file:
        os.chmod(file.name, 0o644)
        file.write(text)
        file.flush()
        subprocess.run(["mount", "--bind", file.name, path], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", path], check=True)


def without_dns(test):
    """Whoever asks for a name learns at once that there is no name server."""
    @functools.wraps(test)
    def run(world):
        with file_over(world, "/etc/resolv.conf", "nameserver 127.0.0.1\n"):
            test(world)
    return run


def resolving_to(world, *addresses):
    return file_over(world, "/etc/hosts", "".join(f"{a} vpn.example\n" for a in addresses))


def hosts_path(world):
    return os.path.join(world.state_dir, "wg0.hosts")


def remembered(world):
    with open(hosts_path(world)) as file:
        return file.read().splitlines()[1:]


def says(text, *words):
    for word in words:
        if word not in text:
            raise Failure(f"'{word}' is not in: {text.strip()}")


def name_of(world):
    """What status says of the name."""
    status = world.tunfence("status", "wg0", "--json")
    return json.loads(status.out)["fences"][0]["names"][0]


def boots(world):
    """A fence raised anew, where nothing is known of the last but what is on the disk."""
    world.down()
    world.leaks(STRANGER)
    return world.up(NAMED).out


@without_dns
def test_last_good_addresses_at_boot(world):
    """up finds no DNS, and the tunnel's endpoint is where it was when there was; no other is."""
    with resolving_to(world, w.VPN):
        said = world.up(NAMED).out
    if "did not resolve" in said or remembered(world) != [f"{w.VPN} vpn.example"]:
        raise Failure(f"remembered: {remembered(world)}; said: {said}")
    mode = os.stat(hosts_path(world)).st_mode & 0o777, os.stat(world.state_dir).st_mode & 0o777
    if mode != (0o644, 0o755) or name_of(world)["last_good"]:
        raise Failure(f"modes {mode}, status {name_of(world)}")
    os.utime(hosts_path(world), (time.time() - 3 * 86400,) * 2)
    says(boots(world), "'vpn.example' did not resolve", "last good addresses", "3 days ago",
         "vpn.example stands on its last good addresses")
    if not name_of(world)["last_good"]:
        raise Failure(f"status: {name_of(world)}")
    world.passes(w.outer())
    world.silent(STRANGER, ROAMED)
    says(world.sync().out, "did not resolve", "last good addresses")
    world.passes(w.outer())


@without_dns
def test_a_fresh_answer_replaces_the_last(world):
    with resolving_to(world, w.VPN):
        world.up(NAMED)
    boots(world)
    world.passes(w.outer())
    with resolving_to(world, w.VPN_ROAMED):
        world.sync()
    world.passes(ROAMED)
    world.silent(w.outer())
    if remembered(world) != [f"{w.VPN_ROAMED} vpn.example"] or name_of(world)["last_good"]:
        raise Failure(f"remembered: {remembered(world)}, status {name_of(world)}")
    boots(world)
    world.passes(ROAMED)
    world.silent(w.outer())


@without_dns
def test_what_is_not_in_the_configuration_is_not_used(world):
    os.mkdir(world.state_dir, 0o755)
    with open(hosts_path(world), "w") as file:
        file.write(f"#\n{w.VPN} vpn.example\n{w.VPN_ROAMED} other.example\n")
    world.up(NAMED)
    world.passes(w.outer())
    world.silent(ROAMED)


@without_dns
def test_last_good_addresses_that_others_could_write(world):
    """Ignored as a whole, with a word; the fence is the stricter for it."""
    with resolving_to(world, w.VPN):
        world.up(NAMED)
    good = open(hosts_path(world)).read()

    def broken(path):
        with open(path, "w") as file:
            file.write(good + "127.0.0.1 vpn.example\n")
    for spoil in (lambda p: os.chmod(p, 0o666), lambda p: os.chown(p, 1000, 1000), broken,
                  lambda p: os.rename(p, p + "x") or os.symlink(p + "x", p)):
        if os.path.lexists(hosts_path(world)):
            os.unlink(hosts_path(world))
        with open(hosts_path(world), "w") as file:
            file.write(good)
        spoil(hosts_path(world))
        says(boots(world), "no last good address counts", "did not resolve", "has no endpoint")
        world.silent(w.outer(), STRANGER)


@without_dns
def test_last_good_addresses_cannot_be_written(world):
    """A full disk or a read-only one costs a warning, never the fence, and never what was."""
    os.mkdir(world.state_dir, 0o755)
    sandbox.mount("tmpfs", world.state_dir, "tmpfs", "size=64k,mode=755")
    try:
        with resolving_to(world, w.VPN):
            world.up(NAMED)
        with open(os.path.join(world.state_dir, "full"), "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while file.write(bytes(4096)):
                    pass
        with resolving_to(world, w.VPN_ROAMED):
            says(world.sync().out, "cannot be written", "No space left")
            world.passes(ROAMED)
            if remembered(world) != [f"{w.VPN} vpn.example"]:
                raise Failure(f"remembered: {remembered(world)}")
            subprocess.run(["mount", "-o", "remount,ro", world.state_dir], check=True)
            says(world.up(NAMED).out, "cannot be written")
        world.passes(ROAMED)
    finally:
        sandbox.unmount(world.state_dir)


def test_up_waits_for_no_resolver(world):
    """Name servers that never answer, and a resolv.conf that would wait for them for minutes."""
    text = "nameserver 192.168.77.77\nnameserver 198.51.100.77\noptions timeout:30 attempts:5\n"
    os.mkdir(world.state_dir, 0o755)
    with open(hosts_path(world), "w") as file:
        file.write(f"#\n{w.VPN} vpn.example\n")
    names = "".join(f"Endpoint=host{n}.example:51820\n" for n in range(12))
    with file_over(world, "/etc/resolv.conf", text):
        start = time.monotonic()
        said = world.up(NAMED + names).out
        took = time.monotonic() - start
    says(said, "no answer")
    if not 2 < took < 20:
        raise Failure(f"up took {took:.1f} s")
    world.passes(w.outer())
    world.silent(STRANGER)
