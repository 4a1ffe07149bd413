# SPDX-License-Identifier: GPL-2.0
"""The world itself, before any fence: packets arrive, the judge sees them, the tunnel works."""

import senders
import wireguard
import world as w
from sandbox import Failure


def test_judge_sees_what_leaves(world):
    world.leaks(w.udp(w.OTHER, 9), w.udp(w.WEB6, 9), w.tcp(w.WEB, 80), w.tcp(w.WEB6, 80),
                w.ping(w.OTHER), w.ping(w.WEB6), w.udp(w.RESOLVER, 53))


def test_judge_knows_plumbing_from_a_leak(world):
    mark = world.sniffer.mark()
    world.passes(w.outer(), w.outer(w.VPN6))
    world.quiet_since(mark)
    for shot in (w.udp(w.VPN, w.VPN_PORT), w.outer(w.OTHER), w.udp(w.OTHER, 9)):
        try:
            world.silent(shot)
        except Failure:
            continue
        raise Failure(f"the judge took {shot} for plumbing")


def test_tunnel_carries_a_page(world):
    world.serve()
    tunnel = wireguard.Tunnel(world)
    mark = world.sniffer.mark()
    page = world.agent.call(senders.fetch, w.WEB)
    if f"hello, {w.TUNNEL_CLIENT}" not in page:
        raise Failure(f"no page through the tunnel: {page}")
    world.quiet_since(mark)
    tunnel.kill()
    page = world.agent.call(senders.fetch, w.WEB)
    if f"hello, {w.CLIENT}" not in page:
        raise Failure(f"without a fence a dead tunnel should leak: {page}")
