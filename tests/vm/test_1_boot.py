# SPDX-License-Identifier: GPL-2.0
"""From power-on to power-off: without a fence, and with one."""

import judge
import room
from sandbox import until
from scenario import begins, expect


@begins("plain")
def test_control_leaks(guest):
    """Without tunfence every kind that the leaker knows leaves the machine: the judge sees."""
    guest.power_on()
    guest.ready()
    guest.wait("ip -6 route | grep -q '^default'")
    guest.tried()
    missing = judge.KINDS - guest.leaked_kinds()
    expect(not missing, f"the leaker sends what the capture does not show: {missing}")
    unknown = guest.leaked_kinds() - judge.KINDS - {"other"}
    expect(not unknown, f"the judge has no name for what the leaker sends: {unknown}")
    guest.write("/etc/wireguard/wg0.conf", room.wireguard_config(), "600")
    guest.run("wg-quick up wg0")
    guest.tunnel_works()
    guest.power_off()


@begins("fenced")
def test_newcomer_boots_in_silence(guest):
    """README's lines and the first boot after them made this beginning (states.py), which was judged
    there. Two more boots, each with another network service, and a power-off."""
    for network in ("networkmanager", "ifupdown"):
        guest.use_network(network)
        guest.reboot()
        guest.is_fenced()
    guest.run(f"ping -c 1 -W 20 {room.TUNNEL_SERVER6}")
    guest.tried()
    guest.power_off()
    guest.silent()


@begins("fenced")
def test_silent_until_the_power_is_off(guest):
    """It forwards for a neighbour. When every process has ended and what can be unmounted is, the
    kernel would go on doing so until the power is off."""
    guest.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 "
              "net.ipv4.conf.eth0.rp_filter=0 && tunfence down wg0 && wg-quick down wg0")
    guest.room.send_through(b"leak:forwarded;")
    until(lambda: "forwarded" in guest.leaked_kinds(), 60, "the guest to forward")
    guest.run("systemctl restart tunfence@wg0 wg-quick@wg0")
    guest.tunnel_works()
    mark = guest.mark()
    guest.power_off()
    guest.silent(since=mark, proof=("handshake",))
