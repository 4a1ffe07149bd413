# SPDX-License-Identifier: GPL-2.0
"""systemd begins anew in its several ways, and everything of tunfence's is killed."""

from scenario import begins, expect
from test_2_tunnel import accident, comes_back, leads_out

STANDS = "tunfence status wg0"


def goes_on(guest):
    """Services were started again: the tunnel is there, and nobody's hand was needed."""
    guest.ready()
    guest.tunnel_works()
    guest.run(STANDS)


@begins("fenced")
def test_systemd_begins_anew(guest):
    """daemon-reexec; rescue mode, where the tunnel is stopped, and back; on newer userlands a
    soft-reboot, in which all processes end."""
    with accident(guest):
        guest.run("systemctl daemon-reexec", 300)
    guest.run(STANDS)
    with accident(guest):
        guest.run("systemctl isolate rescue.target", 300)
        guest.wait("systemctl is-active rescue.service && ! systemctl is-active wg-quick@wg0 && "
                   "! ip link show wg0", 300)
    guest.run(STANDS)
    with accident(guest):
        guest.run("systemctl --no-block isolate default.target")
        guest.wait("systemctl is-active wg-quick@wg0", 300)
        goes_on(guest)
    if guest.kernel.userland == "trixie":
        with accident(guest):
            hello = guest.hello
            guest.start("systemctl soft-reboot")
            guest.wait_agent(hello)
            goes_on(guest)
    guest.silent(proof=("handshake",))


def network_untouched(guest, since):
    """What was started again is the fence and not the network that depends on it."""
    now = guest.run("systemctl show -p ActiveEnterTimestampMonotonic systemd-networkd").out
    expect(now == since, f"the network was stopped: {since} is now {now}")


@begins("fenced")
def test_everything_killed(guest):
    """The watcher runs out of memory; so does 'tunfence up', at several moments; and each process
    of tunfence is killed while the unit is restarted again and again. What is left always holds."""
    since = guest.run("systemctl show -p ActiveEnterTimestampMonotonic systemd-networkd").out
    guest.run("wg-quick down wg0")
    leads_out(guest)
    with accident(guest):
        guest.run("systemctl start tunfence-watch && "
                  "systemctl set-property --runtime tunfence-watch MemoryMax=256K")
        guest.wait("journalctl -b -k | grep -i 'killed process .*tunfence'")
        guest.run("systemctl stop tunfence-watch")
    with accident(guest):
        guest.run("""ends=
            for size in 300K 3M 8M 14M 20M; do
                systemctl set-property --runtime tunfence@wg0 MemoryMax=$size
                systemctl reset-failed tunfence@wg0
                systemctl restart tunfence@wg0
                ends+=" $(systemctl show -P Result tunfence@wg0)"
            done
            systemctl set-property --runtime tunfence@wg0 MemoryMax=infinity
            echo "$ends"
            [[ $ends == *oom-kill* ]]""", 300)
    with accident(guest):
        guest.run("""ends=
            until [ -e /run/enough ]; do pkill -9 -x tunfence; done &
            for moment in 0 0.1 0.2 0.4 0.8; do
                systemctl reset-failed tunfence@wg0
                systemctl restart --no-block tunfence@wg0
                sleep $moment
            done
            until [[ $(systemctl show -P ActiveState tunfence@wg0) == failed ]]; do sleep 0.1; done
            touch /run/enough; wait
            systemctl show -p Result tunfence@wg0""", 300)
    with accident(guest):
        guest.run("systemctl reset-failed tunfence@wg0 && systemctl restart tunfence@wg0 && "
                  + STANDS)
    network_untouched(guest, since)
    comes_back(guest)
    guest.silent(proof=("handshake",))
