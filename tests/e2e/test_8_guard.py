# SPDX-License-Identifier: GPL-2.0
"""The guard and namespace planes of a fence that was raised as users raise it: the ways round tc are
refused where they begin, what cannot pass says so at once, and a device that nobody has told the
fence of is fenced already."""

import socket

import kernel
import senders
import world as w
from sandbox import Failure, Skip
from world import Shot

SOL_PACKET, PACKET_QDISC_BYPASS, PACKET_RESERVE = 263, 20, 12
AF_XDP, SOL_XDP, XDP_UMEM_COMPLETION_RING = 44, 283, 6

NEW_CLIENT, NEW_ROUTER = "198.18.0.2", "198.18.0.1"


def frame_to(address):
    """A UDP datagram in a frame: what AF_PACKET sends past the IP stack."""
    def build(token):
        udp = b"\x0f\xa0\x00\x09" + (8 + len(token)).to_bytes(2, "big") + b"\0\0" + token
        ip = b"\x45\0" + (20 + len(udp)).to_bytes(2, "big") + b"\0\0\0\0\x40\x11\0\0"
        return w.ethernet(0x0800, ip + socket.inet_aton(w.CLIENT) + socket.inet_aton(address) + udp)
    return build


@senders.outcome
def open_bypass(name):
    """A socket that sends past every qdisc, and past tc with it."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    senders.kept[name] = sock
    sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)


@senders.outcome
def send_by(name, device, data):
    senders.kept[name].sendto(data, (device, 0))


@senders.outcome
def bypassing(device, data):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        sock.sendto(data, (device, 0))


@senders.outcome
def set_option(family, kind, level, option, value):
    with socket.socket(family, kind, 0) as sock:
        sock.setsockopt(level, option, value)


@senders.outcome
def connect(address, port, kind=socket.SOCK_STREAM):
    """As programs do it: waits for the answer, if there is to be one."""
    with socket.socket(senders.family_of(address), kind) as sock:
        sock.settimeout(3)
        try:
            sock.connect((address, port))
        except TimeoutError:
            raise OSError(110, "timed out") from None


def says(world, wanted, function, *args, agent=None):
    answer = (agent or world.agent).call(function, *args)
    world.log.append(f"{function.__name__}{args}: {answer}")
    if answer != wanted:
        raise Failure(f"{function.__name__}{args}: {answer}, not {wanted}")


def test_a_bypass_of_the_qdisc_is_refused(world):
    shot = Shot("a frame past the qdisc", bypassing, "eth0", frame_to(w.OTHER))
    world.leaks(shot)
    world.up()
    world.silent(shot, told="EPERM")
    says(world, "sent", set_option, socket.AF_PACKET, socket.SOCK_RAW, SOL_PACKET, PACKET_RESERVE, 8)
    world.down()
    world.leaks(shot)


def test_no_xdp_socket_gets_a_ring(world):
    ring = (AF_XDP, socket.SOCK_RAW, SOL_XDP, XDP_UMEM_COMPLETION_RING, 64)
    if world.agent.call(set_option, *ring) == "EAFNOSUPPORT":
        raise Skip("this kernel has no AF_XDP")
    says(world, "sent", set_option, *ring)
    world.up()
    says(world, "EPERM", set_option, *ring)


def test_the_guard_follows_into_another_namespace(world):
    elsewhere = world.new_agent(world.namespace(), world.cgroup)
    bypass = (socket.AF_PACKET, socket.SOCK_RAW, SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    says(world, "sent", set_option, *bypass, agent=elsewhere)
    world.up()
    says(world, "EPERM", set_option, *bypass, agent=elsewhere)
    says(world, "sent", set_option, *bypass, agent=world.outside)


def test_a_bypass_opened_before_the_fence_is_stopped_or_named(world):
    """Only BPF LSM can stop it. Without, `up` says who holds such a socket."""
    says(world, "sent", open_bypass, "early")
    shot = Shot("a frame past the qdisc", send_by, "early", "eth0", frame_to(w.OTHER))
    world.leaks(shot)
    result = world.up()
    if world.agent.call(send_by, "early", "eth0", frame_to(w.OTHER)(b"\0" * 16)) == "EPERM":
        world.silent(shot, told="EPERM")
    elif "AF_PACKET" not in result.out + result.err:
        raise Failure(f"a bypass socket is open and up does not say so: {result}")


def test_what_cannot_pass_fails_at_once(world):
    world.serve()
    says(world, "sent", connect, w.WEB, 80)
    world.up()
    for address in (w.WEB, w.WEB6):
        says(world, "EPERM", connect, address, 80)
        says(world, "EPERM", connect, address, 9, socket.SOCK_DGRAM)
    says(world, "ECONNREFUSED", connect, "127.0.0.1", 80)
    says(world, "ECONNREFUSED", connect, w.CLIENT, 80)
    says(world, "EPERM", connect, w.RESOLVER, 53)


def test_with_a_tunnel_up_nothing_is_refused_early(world):
    """What then goes the wrong way is dropped, not refused."""
    world.up()
    says(world, "EPERM", connect, w.WEB, 9, socket.SOCK_DGRAM)
    world.tun("wg0")
    says(world, "sent", connect, w.WEB, 9, socket.SOCK_DGRAM)
    world.silent(w.tcp(w.WEB, 80), w.udp(w.WEB, 9))
    world.ip(world.client, "link set wg0 down")
    says(world, "EPERM", connect, w.WEB, 9, socket.SOCK_DGRAM)


def new_device(world):
    """Plugged in now, and the fence is told nothing of it. Gives a sniffer on its far side."""
    world.veth(world.client, "new0", world.router, "new")
    world.ip(world.router, "link set new up", f"addr add {NEW_ROUTER}/24 dev new")
    sniffer = world.sniff(world.router, "new")
    world.ip(world.client, "link set new0 up", f"addr add {NEW_CLIENT}/24 dev new0",
             f"route add 198.51.100.0/24 via {NEW_ROUTER}")
    return sniffer


def test_forwarded_packets_by_a_device_that_is_new(world):
    kernel.need_netfilter()
    lan = world.lan()
    forwarded = w.udp(w.OTHER, 9)
    sniffer = new_device(world)
    world.leaks(forwarded, agent=lan, sniffer=sniffer)
    world.ip(world.client, "link del new0")
    world.up(w.BASIC + "[Allow]\nInside=lan0\n")
    sniffer = new_device(world)
    world.silent(forwarded, agent=lan, sniffer=sniffer, device="new0")
    world.silent(w.udp(w.OTHER, 9), sniffer=sniffer, device="new0", told="EPERM")


def test_kernel_made_packets_by_a_device_that_is_new(world):
    """IGMP goes round the cgroup hook."""
    kernel.need_netfilter()

    def igmp(group):
        return Shot(f"IGMP report for {group}", senders.join_group, group, "new0",
                    match=lambda f: f.protocol == 2)
    sniffer = new_device(world)
    world.leaks(igmp("232.7.7.7"), agent=world.outside, sniffer=sniffer)
    world.outside.call(senders.close, "group")
    world.ip(world.client, "link del new0")
    world.up()
    sniffer = new_device(world)
    world.silent(igmp("232.7.7.8"), agent=world.outside, sniffer=sniffer, device="new0")
