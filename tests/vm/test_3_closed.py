# SPDX-License-Identifier: GPL-2.0
"""What keeps a fence from being raised at boot keeps the network down, says so, and can be mended.

Down means: not one frame, plumbing neither. Over the kernels each of these cases meets each of the
services that bring a network up.
"""

import judge
import room
from sandbox import until
from scenario import begins, expect, on

KERNELS = ("5.10", "6.1", "6.12", "7.x")
TYPO = "# Ours\n[Fence]\n\n[Tunnel]\nInterface=wg0\nEndpont=203.0.113.7:51820\n"
TYPO_SAYS = ("/etc/tunfence/wg0.conf:6:", "unknown key 'Endpont'", "did you mean 'Endpoint'")

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


def gate_says(name):
    return (f"the network is kept down, since fence '{name}' does not stand", "try again:",
            f"journalctl -b -u tunfence@{name}", f"systemctl disable tunfence@{name}")


def early(guest, script):
    guest.write("/etc/early", script)
    guest.write("/etc/systemd/system/early.service", EARLY)
    guest.run("systemctl enable early")


def service(guest, number):
    """The case's name of a network service on this kernel."""
    names = list(guest.NETWORKS)
    return names[(KERNELS.index(guest.kernel.name) + number) % len(names)]


def boot(guest, network):
    """The power fails. Returns a mark before this boot can have a network, and what the console said
    since."""
    guest.use_network(network)
    guest.run("sync")
    written = len(guest.console)
    guest.reset()
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
    address = guest.run("ip -o address | grep eth0", check=False).out
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


def start_network(guest, network):
    """What the gate says: mend it, and start the network. Returns if it started."""
    return guest.run(f"systemctl start {guest.NETWORKS[network][0]}", check=False).code == 0


def stays_closed(guest, network, mark, words):
    """What is in the way now is still enough to keep the network down, and is said."""
    written = len(guest.console)
    expect(not start_network(guest, network), f"{network} starts")
    is_down(guest, network, mark)
    until(lambda: all(w in guest.console[written:] for w in words), 30,
          f"the console to say {words}")


def journal_of_gate(guest):
    return guest.run("journalctl -b --no-pager -o cat -u 'tunfence@*' -u tunfence-gate").out


@begins("fenced")
def test_broken_config_keeps_network_down(guest):
    """A fence with a typo, one whose unit is masked by mistake, one without any configuration: mended
    one after the other, each is enough. The user of the third goes without."""
    network = service(guest, 0)
    guest.write("/etc/tunfence/wg0.conf", TYPO)
    guest.run("systemctl enable tunfence@wg1 tunfence@wg2; systemctl mask tunfence@wg1")
    mark, console = boot(guest, network)
    guest.silent(proof=())
    is_down(guest, network, mark)
    journal = journal_of_gate(guest)
    for words in (gate_says("wg0"), TYPO_SAYS, gate_says("wg1"), ("its unit is masked",),
                  gate_says("wg2"), ("no '/etc/wireguard/wg2.conf'",)):
        says(console, words, "the console")
        says(journal, words, "the journal")
    expect(journal.count(gate_says("wg0")[0]) <= 3, f"something tries again and again:\n{journal}")

    guest.run("rm /etc/tunfence/wg0.conf")
    stays_closed(guest, network, mark, gate_says("wg1"))
    guest.run("systemctl unmask tunfence@wg1; systemctl disable tunfence@wg1")
    stays_closed(guest, network, mark, gate_says("wg2"))
    guest.run("systemctl disable tunfence@wg2")
    expect(start_network(guest, network), "the network does not start")
    is_well(guest, mark)


FILL_RUN = """mount -t tmpfs tmpfs /sys/kernel/btf
until
    set -- $(stat -f -c "%b %f %S %c %d" /run)
    mount -o remount,size=$((($1 - $2) * $3)),nr_inodes=$(($4 - $5)) /run
do
    : # someone wrote there meanwhile
done
"""
FREE_RUN = """mount -o remount,size=100M,nr_inodes=99999 /run
systemctl restart systemd-udevd && udevadm trigger --action=add && udevadm settle"""
RUN_SAYS = ("Failed to start tunfence-g", "Dependency failed for")


@begins("fenced")
def test_machine_that_lacks_something_never_opens(guest):
    """Not a byte nor an inode left in /run, where not every systemd can start what has a sandbox, as
    the gate has, and then has the word alone; nor find the terminal to log in at. And when there is,
    no types of the kernel's (BTF)."""
    network = service(guest, 1)
    early(guest, FILL_RUN)
    guest.run("ln -s /dev/null /etc/systemd/system/serial-getty@ttyS0.service")
    mark, console = boot(guest, network)
    guest.silent(proof=())
    is_down(guest, network, mark)
    says(console, RUN_SAYS, "the console")
    guest.run(FREE_RUN)
    stays_closed(guest, network, mark, (*gate_says("wg0"), "BTF"))
    guest.run("umount /sys/kernel/btf")
    expect(start_network(guest, network), "the network does not start")
    is_well(guest, mark)


@on("5.10", "6.12")
@begins("fenced")
def test_gate_is_masked(guest):
    """The one unit that all network services are bound to: without it there is none."""
    network = service(guest, 0)
    guest.run("systemctl mask tunfence-gate")
    mark, _ = boot(guest, network)
    is_down(guest, network, mark)
    guest.silent(proof=())
    guest.run("systemctl unmask tunfence-gate")
    expect(start_network(guest, network), "the network does not start")
    is_well(guest, mark)


FILL_DISK = "for size in 4M 4K; do dd if=/dev/zero of=/fill-$size bs=$size; done; sync"


@on("6.1", "6.12")
@begins("fenced")
def test_disk_is_full_or_cannot_be_written(guest):
    """The fence is raised, also when what it would keep there was never written before."""
    cannot = "touch /var/lib/x && echo x >/var/lib/x"
    guest.run(f"rm -rf /var/lib/tunfence; ({FILL_DISK}) 2>/dev/null || true")
    expect(guest.run(cannot, check=False).code, "the disk can be written")
    guest.run("systemctl restart tunfence@wg0 && tunfence status wg0")
    guest.run("rm -rf /fill-* /var/lib/tunfence && sed -i 's/ rw / ro /' /etc/fstab")
    mark, _ = boot(guest, "networkd")
    expect(guest.run(cannot, check=False).code, "the disk can be written")
    is_well(guest, mark)
