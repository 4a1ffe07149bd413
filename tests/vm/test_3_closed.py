# SPDX-License-Identifier: GPL-2.0
"""What keeps a fence from being raised at boot keeps the network down, says so, and can be mended.

Down means: not one frame, plumbing neither. Over the kernels each of these cases meets each of the
services that bring a network up.
"""

import judge
import room
from scenario import begins, expect, on

KERNELS = ("5.10", "6.1", "6.12", "7.x")
TYPO = "# Ours\n[Fence]\n\n[Tunnel]\nInterface=wg0\nEndpont=203.0.113.7:51820\n"
TYPO_SAYS = ("/etc/tunfence/wg0.conf:6:", "unknown key 'Endpont'", "did you mean 'Endpoint'")
GATE_SAYS = ("the network is kept down, since fence 'wg0' does not stand", "try again:",
             "journalctl -b -u tunfence@wg0", "systemctl disable tunfence@wg0")

# Runs in the guest before anything of tunfence's does.
EARLY = """[Unit]
DefaultDependencies=no
After=local-fs.target
Before=tunfence-prepare.service tunfence@wg0.service tunfence-gate.service

[Service]
Type=oneshot
ExecStart=/bin/bash -e /etc/early

[Install]
WantedBy=sysinit.target
"""


def early(guest, script):
    guest.write("/etc/early", script)
    guest.write("/etc/systemd/system/early.service", EARLY)
    guest.run("systemctl enable early")


def service(guest, number):
    """The case's name of a network service on this kernel."""
    names = list(guest.NETWORKS)
    return names[(KERNELS.index(guest.kernel.name) + number) % len(names)]


def boot(guest, network):
    """Returns a mark before this boot can have a network, and what the console said since."""
    guest.use_network(network)
    written = len(guest.console)
    guest.reboot()
    mark = guest.mark()
    guest.ready()
    guest.tried()
    return mark, guest.console[written:]


def says(text, words, where):
    for word in words:
        expect(word in text, f"{where} does not say \"{word}\", but:\n{text[-3000:]}")


def is_down(guest, network, mark):
    unit = guest.NETWORKS[network][0]
    for frame in guest.capture.read()[mark:]:
        expect(False, f"the network is up: {frame}")
    active = guest.run(f"systemctl is-active {unit}", check=False).out.strip()
    expect(active != "active", f"{unit} is active")
    address = guest.run("ip -o address show dev eth0").out
    expect("inet" not in address, f"eth0 has an address: {address}")


def is_well(guest, mark):
    """With fence and network, after the mark; and nothing ever leaked."""
    guest.tunnel_works()
    guest.run("tunfence status wg0")
    guest.tried()
    guest.silent(proof=())
    for name in ("dhcp", "handshake"):
        expect(any(map(judge.PROOFS[name], guest.capture.read()[mark:])), f"there is no {name}")


def is_open(guest, mark):
    """No fence and a network; and the capture shows what leaves a machine without a fence."""
    guest.wait(f"ping -c 1 -W 2 {room.ROUTER}")
    guest.tried()
    expect(any(map(judge.PROOFS["dhcp"], guest.capture.read()[mark:])), "there is no DHCP")
    missing = {"packet", "held-packet"} - guest.leaked_kinds(mark)
    expect(not missing, f"there is a fence somewhere: {missing} did not leave")


def start_network(guest, network, first):
    """What the gate says: mend it, and start the network."""
    guest.run(first)
    guest.run(f"systemctl start {guest.NETWORKS[network][0]}")


def boot_is_closed(guest, network, words):
    """There is no network in this boot, and its reason is said. Returns a mark before it."""
    mark, console = boot(guest, network)
    guest.silent(proof=())
    is_down(guest, network, mark)
    says(console, GATE_SAYS + words, "the console")
    journal = guest.run("journalctl -b --no-pager -o cat -u tunfence@wg0 -u tunfence-gate").out
    says(journal, GATE_SAYS + words, "the journal")
    expect(journal.count(GATE_SAYS[0]) <= 3, f"something tries again and again:\n{journal}")
    return mark


@begins("fenced")
def test_broken_config_keeps_network_down(guest):
    """A typo, the unit masked by mistake, no configuration at all. The third user goes without."""
    network = service(guest, 0)
    guest.write("/etc/tunfence/wg0.conf", TYPO)
    mark = boot_is_closed(guest, network, TYPO_SAYS)
    start_network(guest, network, "rm /etc/tunfence/wg0.conf")
    is_well(guest, mark)

    network = service(guest, 1)
    guest.run("systemctl mask tunfence@wg0")
    mark = boot_is_closed(guest, network, ())
    start_network(guest, network, "systemctl unmask tunfence@wg0")
    is_well(guest, mark)

    network = service(guest, 2)
    guest.run("rm /etc/wireguard/wg0.conf")
    mark = boot_is_closed(guest, network, ("no '/etc/wireguard/wg0.conf'",))
    start_network(guest, network, "systemctl disable tunfence@wg0")
    is_open(guest, mark)


def boot_is_closed_or_fenced(guest, network, words, mend):
    """What the machine lacks may be what a fence needs, on this kernel; says which."""
    mark, console = boot(guest, network)
    guest.silent(proof=())
    stands = guest.run("tunfence status wg0", check=False).code == 0
    if not stands:
        is_down(guest, network, mark)
        says(console, words, "the console")
    start_network(guest, network, mend)
    is_well(guest, mark)
    return "fenced" if stands else "network down"


FILL_RUN = """set -- $(stat -f -c "%b %f %S %c %d" /run)
mount -o remount,size=$((($1 - $2) * $3)),nr_inodes=$(($4 - $5)) /run
"""


@begins("fenced")
def test_machine_that_lacks_something_never_opens(guest):
    """No types of the kernel's (BTF); and not a byte nor an inode left in /run, where not every
    systemd can start what has a sandbox, as the gate has, nor find the terminal to log in at."""
    early(guest, "mount -t tmpfs tmpfs /sys/kernel/btf")
    found = boot_is_closed_or_fenced(guest, service(guest, 0), (*GATE_SAYS, "BTF"),
                                     "umount /sys/kernel/btf")
    guest.note("without BTF", found)
    early(guest, FILL_RUN)
    guest.run("ln -s /dev/null /etc/systemd/system/serial-getty@ttyS0.service")
    words = ("'/run/tunfence' cannot be made (No space left on device)", "networks that wait for a "
             "fence stay down", "make room there", "Dependency failed for")
    found = boot_is_closed_or_fenced(guest, service(guest, 1), words,
                                     "mount -o remount,size=100M,nr_inodes=99999 /run")
    guest.note("with /run full", found)


@on("5.10", "6.12")
@begins("fenced")
def test_gate_is_masked(guest):
    """The one unit that all network services are bound to: without it there is none."""
    guest.run("systemctl mask tunfence-gate")
    for number in range(2):
        network = service(guest, number)
        mark, _ = boot(guest, network)
        is_down(guest, network, mark)
    guest.silent(proof=())
    start_network(guest, network, "systemctl unmask tunfence-gate")
    is_well(guest, mark)


FILL_DISK = "for size in 4M 4K; do dd if=/dev/zero of=/fill-$size bs=$size; done; sync"


@on("6.1", "7.x")
@begins("fenced")
def test_disk_is_full_or_cannot_be_written(guest):
    """The fence is raised, also when what it would keep there was never written before."""
    for harm in (f"({FILL_DISK}) 2>/dev/null || true", "sed -i 's/ rw / ro /' /etc/fstab"):
        guest.use_network("networkd")
        guest.run(f"rm -rf /var/lib/tunfence; {harm}")
        guest.reboot()
        mark = guest.mark()
        guest.ready()
        expect(guest.run("touch /var/lib/x && echo x >/var/lib/x", check=False).code,
               "the disk can be written")
        is_well(guest, mark)
        guest.run("mount -o remount,rw / && rm -f /fill-*")
