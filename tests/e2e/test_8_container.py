# SPDX-License-Identifier: GPL-2.0
"""Containers in the fence of a cgroup: whatever the runtime starts, restarts or adds below it."""

import world as w
from containers import Container, need_crun
from test_8_groups import EVERY_WAY, STRANGER, scoped
from test_8_run import ways

STRANGERS = [STRANGER, w.udp(w.WEB6, 9)] + [shot for way in ("thread", "daemon", "exec")
                                            for shot in ways(way)]


def silent(world, container):
    container.check_group()
    world.silent(*STRANGERS, agent=container.app, told="EPERM")


def test_network_of_the_machine(world):
    """--network=host. One that is made anew, in the same place, is fenced from its first packet;
    one beside it is not fenced at all."""
    need_crun()
    fenced, beside = world.cgroup.child("fenced"), world.cgroup.child("beside")
    with Container(world, fenced, "one") as container:
        world.leaks(*STRANGERS, agent=container.app)
        world.up(scoped(world, fenced))
        silent(world, container)
        more = container.exec()
        world.silent(*STRANGERS, agent=more, told="EPERM")
        more.end()
        agent = world.new_agent(world.client, container.group)
        world.silent(*EVERY_WAY, agent=agent)
        world.passes(w.outer(), agent=agent)
        agent.stop()
    with Container(world, fenced, "one") as container:
        silent(world, container)
    with Container(world, beside, "two") as container:
        world.leaks(*STRANGERS, agent=container.app)


def test_network_of_its_own(world):
    """Behind a veth that the machine forwards for. Its loopback is its own affair."""
    need_crun()
    world.lan()
    network = world.namespaces[-1]
    fenced, beside = world.cgroup.child("fenced"), world.cgroup.child("beside")
    forwarded = [shot for shot in STRANGERS if ":" not in shot.args[0]]
    with Container(world, fenced, "one", network) as container:
        world.leaks(*forwarded, agent=container.app)
        world.up(scoped(world, fenced))
        container.check_group()
        world.silent(*forwarded, agent=container.app, told="EPERM")
        agent = world.new_agent(network, container.group)
        world.silent(w.tcp(w.WEB, 80), w.ping(w.OTHER), agent=agent)
        loopback = world.sniff(network, "lo")
        world.passes(w.udp("127.0.0.1", 9), agent=agent, sniffer=loopback)
        agent.stop()
    with Container(world, beside, "two", network) as container:
        world.leaks(*forwarded, agent=container.app)
