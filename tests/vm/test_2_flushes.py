# SPDX-License-Identifier: GPL-2.0
"""Somebody clears the firewall, the queueing disciplines or the BPF file system."""

from scenario import begins, expect, on
from test_2_network import PACKET_SOCKETS
from test_2_tunnel import accident, comes_back, leads_out


@on("6.1", "7.x")
@begins("fenced")
def test_flushes(guest):
    """Rules, pins and mounts go, and the fence stays, with the tunnel down all the while. Once
    there is a BPF file system again, 'tunfence up' puts its pins there."""
    guest.run("wg-quick down wg0")
    leads_out(guest)
    for flush in ("nft flush ruleset",
                  "iptables -F; iptables -t mangle -F; ip6tables -F; nft list ruleset",
                  "rm -rf /sys/fs/bpf/tunfence && ! ls /sys/fs/bpf/tunfence 2>/dev/null",
                  "umount -l /sys/fs/bpf && ! mountpoint /sys/fs/bpf"):
        with accident(guest):
            guest.run(flush)
    with accident(guest):
        guest.run("mount -t bpf bpf /sys/fs/bpf && systemctl restart tunfence@wg0 && "
                  "tunfence status wg0 && ls /sys/fs/bpf/tunfence/wg0", 300)
    with accident(guest):
        comes_back(guest)
    guest.silent(proof=("handshake",))


@on("5.10", "6.12")
@begins("fenced")
def test_clsact_deleted(guest):
    """Where the kernel has tcx it does not matter. Where it has not, packet sockets are no longer
    held, and they alone; 'tunfence status' says so and 'tunfence sync' mends it."""
    has_tcx = guest.kernel.name in ("6.12", "7.x")
    guest.run("wg-quick down wg0")
    leads_out(guest)
    mark = guest.mark()
    guest.run("tc qdisc add dev eth0 clsact 2>/dev/null; tc qdisc del dev eth0 clsact")
    guest.tried()
    leaked = guest.leaked_kinds(mark)
    if has_tcx:
        guest.silent(mark, proof=())
    else:
        expect(leaked and leaked <= PACKET_SOCKETS, f"these leaked: {leaked}")
        said = guest.run("tunfence status wg0", check=False)
        expect(said.code == 3 and "wire plane on eth0 is missing" in said.out,
               f"status does not say it: {said.out}")
        guest.run("tunfence sync")
    with accident(guest):
        guest.run("tunfence status wg0")
    comes_back(guest)
