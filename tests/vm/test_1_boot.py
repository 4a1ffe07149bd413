# SPDX-License-Identifier: GPL-2.0
"""From power-on to power-off: without a fence, and with one."""

import judge
import room
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


@begins("installed")
def test_boot_is_silent(guest):
    """Three reboots, each with another network service, and a power-off: not one frame too many."""
    guest.power_on()
    guest.ready()
    guest.tunnel_works()
    for network in ("networkmanager", "ifupdown", "networkd"):
        guest.use_network(network)
        guest.reboot()
        guest.ready()
        guest.tunnel_works()
        expect("login:" in guest.console, "there is no login prompt on the console")
    guest.run(f"ping -c 1 -W 20 {room.TUNNEL_SERVER6}")
    guest.tried()
    guest.power_off()
    guest.silent()
