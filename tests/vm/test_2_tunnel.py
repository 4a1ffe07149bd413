# SPDX-License-Identifier: GPL-2.0
"""The tunnel goes away, in every way there is, and comes back: the fence is never told.

While it is away the machine's routes lead out of eth0, which is asserted, and all that the leaker
knows is tried.
"""

import contextlib
import time

import judge
import room
from sandbox import until
from scenario import begins

TARGETS = (room.RESOLVER, room.OTHER, room.WEB, room.TIME,
           room.RESOLVER6, room.OTHER6, room.WEB6, room.TIME6)


def leads_out(guest, device="eth0", targets=TARGETS):
    """What the leaker sends to is routed off the tunnel: the silence is not the routes' doing."""
    guest.wait(" && ".join(f"ip route get {to} | grep ' dev {device} '" for to in targets))


@contextlib.contextmanager
def accident(guest):
    """Something happens, then everything is tried; nothing has left meanwhile. Gives the mark."""
    mark = guest.mark()
    yield mark
    guest.tried()
    guest.silent(mark, proof=())


def seen(guest, since, name):
    """How many frames of this proof of life the guest emitted since the mark."""
    return sum(map(judge.PROOFS[name], guest.capture.read()[since:]))


def wait_seen(guest, since, name, count=1, seconds=300):
    until(lambda: time.sleep(0.2) or seen(guest, since, name) >= count, seconds,
          f"{count} x {name} in the capture")


def comes_back(guest, how="wg-quick up wg0"):
    """The tunnel, by a handshake of its own. wg-quick needs a second run where an interface that
    was deleted under it left its routing rules behind."""
    mark = guest.mark()
    guest.run(f"{how} || {how}")
    guest.tunnel_works()
    wait_seen(guest, mark, "handshake", seconds=5)
    guest.silent(mark, proof=())


@begins("fenced")
def test_tunnel_killed(guest):
    """Deleted under wg-quick's feet, taken down, its module removed; each time wg-quick is enough
    to have it back."""
    guest.tunnel_works()
    for kill in ("ip link del wg0", "wg-quick down wg0", "rmmod wireguard"):
        with accident(guest):
            guest.run(kill)
            leads_out(guest)
        comes_back(guest)
    guest.silent(proof=("handshake",))


@begins("fenced")
def test_peer_suspended(guest):
    """The server goes silent: handshakes are tried, again and again, and nothing else is. It goes
    on when the server does."""
    guest.tunnel_works()
    with accident(guest) as mark:
        guest.room.suspend_vpn()
        wait_seen(guest, mark, "handshake", 2)
        guest.run(f"! ping -c 1 -W 1 {room.TUNNEL_SERVER}")
    guest.room.resume_vpn()
    guest.tunnel_works()
    guest.silent(proof=("handshake",))
