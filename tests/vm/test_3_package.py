# SPDX-License-Identifier: GPL-2.0
"""The package on a machine that is fenced: upgraded, and taken away."""

from scenario import begins, expect
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
    mark = guest.mark()
    guest.run("tunfence down wg0 && dpkg -r tunfence && systemctl restart systemd-networkd")
    guest.tunnel_works()
    is_open(guest, mark)
