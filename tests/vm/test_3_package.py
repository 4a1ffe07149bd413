# SPDX-License-Identifier: GPL-2.0
"""The package on a machine that is fenced: installed by a newcomer, upgraded, and taken away."""

import room
from scenario import begins, expect, on
from test_3_closed import is_open

PROGRAMS = "bpftool prog show | sed -nE 's/^([0-9]+): .* name tunfence_.*/\\1/p' | sort -n"


def programs(guest):
    """The kernel's numbers of our programs: other programs have other numbers."""
    found = set(guest.run(PROGRAMS).out.split())
    expect(found, "there is no program of a fence")
    return found


def upgrade(guest):
    before = programs(guest)
    guest.install("tunfence-next.deb")
    version = guest.run("dpkg-query -Wf '${Version}' tunfence").out
    expect(version.endswith("next"), f"version {version} is installed")
    expect(not before & programs(guest), "programs of the old fence are there after the upgrade")
    guest.run("tunfence status wg0")
    guest.run("systemctl is-active systemd-networkd tunfence@wg0 tunfence-gate")


def is_not_removed(guest):
    result = guest.run("dpkg -r tunfence", check=False)
    expect(result.code != 0, "dpkg -r removed it")
    for word in ("a fence is up", "wg0", "tunfence down"):
        expect(word in result.out, f"dpkg -r does not say '{word}', but: {result.out}")
    guest.run("tunfence status wg0 && systemctl is-enabled tunfence@wg0")


@begins("fenced")
def test_package_comes_and_goes(guest):
    """Upgraded under fire; not removed while fenced; disabled, the machine has its network."""
    upgrade(guest)
    is_not_removed(guest)
    guest.tunnel_works()
    guest.tried()
    guest.run("systemctl disable tunfence@wg0")
    guest.tried()
    guest.silent(proof=("handshake",))
    guest.reboot()
    mark = guest.mark()
    guest.ready()
    is_open(guest, mark)
    guest.run("systemctl enable --now tunfence@wg0")
    guest.tunnel_works()
    mark = guest.mark()
    guest.tried()
    guest.silent(mark, proof=())
    guest.run("tunfence down wg0 && dpkg -r tunfence")
    guest.reboot()
    mark = guest.mark()
    guest.ready()
    guest.tunnel_works()
    is_open(guest, mark)


@on("5.10", "6.12")
@begins("plain")
def test_newcomer(guest):
    """README's lines, one by one."""
    guest.power_on()
    guest.ready()
    guest.install()
    guest.write("/etc/wireguard/wg0.conf", room.wireguard_config(), "600")
    ping = f"ping -c 1 -W 20 {room.TUNNEL_SERVER}"
    guest.run(f"wg-quick up wg0 && {ping}")
    said = guest.run("tunfence up wg0").out
    expect("wg0" in said, f"'tunfence up wg0' says: {said}")
    guest.run(f"{ping} && tunfence status")
    mark = guest.mark()
    guest.run("systemctl enable wg-quick@wg0 tunfence@wg0")
    guest.reboot()
    guest.ready()
    guest.tunnel_works()
    said = guest.run("tunfence status").out
    expect("wg0: fenced" in said, f"'tunfence status' says: {said}")
    guest.tried()
    guest.power_off()
    guest.silent(mark)
