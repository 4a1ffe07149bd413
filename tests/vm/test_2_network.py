# SPDX-License-Identifier: GPL-2.0
"""The network under the tunnel changes: its services, its cable, what strangers in it say of
routes, and a second uplink that nobody knew of."""

import os

import judge
import room
from scenario import begins, expect
from test_2_tunnel import accident, leads_out, seen, wait_seen

# More specific than what leads into a tunnel.
PULLED = ("0.0.0.0/1", "128.0.0.0/1", "198.51.100.0/24")
PULLED6 = ("::/1", "8000::/1", "2001:db8:51::/64")

IGMP = 2

# What only the wire plane can stop.
PACKET_SOCKETS = {"packet", "packet-ip", "held-packet"}


def leased(guest, since):
    """DHCP was asked, and eth0 is a way out again."""
    wait_seen(guest, since, "dhcp")
    guest.wait("ip -4 route show default dev eth0 | grep via && "
               "ip -6 route show default | grep 'dev eth0'")


@begins("fenced")
def test_network_services(guest):
    """Each is restarted, the link goes down and up, and one service takes over from another: every
    time there is a new lease, and the same tunnel."""
    interfaces = ("auto lo eth0\\niface lo inet loopback\\n"
                  "iface eth0 inet dhcp\\niface eth0 inet6 auto\\n")
    for change in (
            "systemctl restart systemd-networkd",
            "ip link set eth0 down && ip link set eth0 up",
            "systemctl stop systemd-networkd.socket systemd-networkd && ip addr flush dev eth0 && "
            "systemctl start NetworkManager",
            "systemctl restart NetworkManager && nmcli device disconnect eth0 && "
            "nmcli device connect eth0",
            "systemctl stop NetworkManager && ip addr flush dev eth0 && "
            f"printf '{interfaces}' >/etc/network/interfaces && systemctl restart networking",
            "ifdown eth0 && ifup eth0"):
        with accident(guest) as mark:
            guest.run(change, 300)
            leased(guest, mark)
        guest.tunnel_works()
    guest.silent(proof=("dhcp", "handshake"))


class Rogue(room.Advertiser):
    """Another router on the link, and a preferred one."""

    def __init__(self, address, routes):
        super().__init__(routes)
        self.socket.bind((address, 0, 0, self.to[3]))

    def message(self):
        message = bytearray(super().message())
        message[5] |= 0x08
        return bytes(message)


@begins("fenced")
def test_rogue_routes(guest):
    """Routes that pull everything off a tunnel that is up, from whoever answers first: option 121
    in a renewed lease (CVE-2024-3661), and router advertisements with routes. They do arrive."""
    timers = ("option:T1,4", "option:T2,8")
    guest.tunnel_works()
    guest.room.dhcp(*timers)
    with accident(guest) as mark:
        guest.run("networkctl reconfigure eth0")
        leased(guest, mark)
    with accident(guest) as mark:
        guest.room.dhcp(*timers, "121," + ",".join(
            f"{net},{room.ROUTER}" for net in ("0.0.0.0/0", *PULLED)))
        guest.wait(" && ".join(f"ip route show {net} | grep 'via {room.ROUTER} dev eth0'"
                               for net in PULLED))
        expect(seen(guest, mark, "dhcp"), "no DHCP in the capture")
        room.ip(f"addr add fe80::bad/64 dev {room.TAP} nodad")
        guest.room.child("advertiser", lambda: Rogue("fe80::bad", PULLED6).run())
        guest.wait(" && ".join(f"ip -6 route show {net} | grep 'fe80::bad dev eth0'"
                               for net in ("default", *PULLED6)))
        leads_out(guest)
    guest.tunnel_works()
    guest.silent(proof=("dhcp", "handshake"))


class Uplink:
    """A network card that is plugged in while the machine runs, and a network of its own there."""
    TAP, HERE = "tap1", "192.168.78.1"

    def __init__(self, guest):
        room.ip(f"tuntap add {self.TAP} mode tap", f"addr add {self.HERE}/24 dev {self.TAP}",
                f"link set {self.TAP} up")
        path = os.path.join(guest.directory, "frames-eth1.pcap")
        guest.command("netdev_add", type="tap", id="net1", ifname=self.TAP, script="no",
                      downscript="no", vnet_hdr=False)
        guest.command("object-add", **{"qom-type": "filter-dump", "id": "dump1", "netdev": "net1",
                                       "queue": "rx", "file": path, "maxlen": 65536})
        self.capture = judge.Capture(path)

    def plug(self, guest):
        guest.command("device_add", driver="virtio-net-pci", id="nic1", netdev="net1", bus="plug",
                      mac="02:00:00:00:78:02", romfile="")

    def leaks(self, since=0):
        endpoints = [(room.VPN, room.VPN_PORT), (room.VPN6, room.VPN_PORT)]
        return judge.leaks(self.capture.read()[since:], endpoints)


@begins("fenced")
def test_uplink_plugged_in(guest):
    """A card that was not there when the fence was raised, and whose network service brings it up
    at once, with routes. What programs send is held from its first packet; udev has the wire plane
    put on it, nobody asks for that, and then packet sockets are held, too, and on kernels that have
    no namespace plane the IGMP of the kernel's own."""
    has_namespace_plane = guest.kernel.name in ("6.12", "7.x")
    guest.write("/etc/systemd/network/30-eth1.network",
                "[Match]\nName=eth1\n[Network]\nAddress=192.168.78.2/24\n"
                "Address=2001:db8:78::2/64\n"
                + "".join(f"[Route]\nDestination={net}\nGateway={gateway}\n" for net, gateway in (
                    ("198.51.100.0/24", Uplink.HERE), ("2001:db8:51::/64", "2001:db8:78::1"))))
    guest.run("networkctl reload")
    uplink = Uplink(guest)
    uplink.plug(guest)
    guest.wait("tunfence status -v wg0 | grep -E '^ +wire +.*eth1 .(tcx|clsact)'")
    mark = uplink.capture.mark()
    leads_out(guest, "eth1", (room.OTHER, room.WEB, room.OTHER6, room.WEB6))
    guest.tried()
    frames = uplink.capture.read()
    expect(frames, "no evidence: there is not one frame of eth1")
    late = uplink.leaks(mark)
    expect(not late, f"eth1 leaks:\n{judge.describe(late, frames)}")
    early = uplink.leaks()
    guest.note("frames on a new card before the wire plane was on it", len(early))
    others = [f for f in early if judge.kind(f) not in PACKET_SOCKETS and
              not (f.protocol == IGMP and not has_namespace_plane)]
    expect(not others, "eth1 leaked before the wire plane was on it:\n"
           + judge.describe(others, frames))
    guest.tunnel_works()
    guest.silent(proof=("handshake",))
