# SPDX-License-Identifier: GPL-2.0
"""The other kill switches of scripts/leak-matrix do for their users what those expect of them: the
tunnel works, plain packets stop when it dies, and down opens again. Only so is a leak through one
of them its own."""

import json
import os
import secrets
import socket
import subprocess
import xml.etree.ElementTree

import senders
import world as w
from craft import IP, UDP, Raw
from sandbox import Failure, until

PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/peers")
MARK = 0xca6c


def peer(world, name, verb, **changes):
    environment = {
        "UPLINK": "eth0", "TUNNEL": "wg0", "ENDPOINT": w.VPN, "ENDPOINT6": w.VPN6,
        "PORT": str(w.VPN_PORT), "MARK": hex(MARK), "CLIENT": w.CLIENT, "CLIENT6": w.CLIENT6,
        "ROUTER": w.ROUTER, "LAN_NET": "192.168.77.0/24", "CGROUP": world.cgroup.path,
        "TUNNEL4": w.TUNNEL_CLIENT, "TUNNEL6": w.TUNNEL_CLIENT6} | changes
    with world.client:
        done = subprocess.run([os.path.join(PEERS, name), verb], env=os.environ | environment,
                              text=True, capture_output=True, check=False, timeout=60)
    world.log.append(f"peers/{name} {verb} -> {done.returncode} {done.stderr.strip()}")
    return w.Result(done.returncode, done.stdout, done.stderr)


def tunnel(world):
    """wg0 with the default route; the old one is there to fall back to."""
    world.ip(world.client, "route del default", f"route add default via {w.ROUTER} metric 100",
             f"route add {w.VPN} via {w.ROUTER}")
    fd = world.tun()
    world.ip(world.client, "route add default dev wg0")
    return fd


def ask(address, token):
    """In the agent: a question that somebody has to answer with the same."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(token, (address, 9))
        return sock.recvfrom(100)[0] == token


def works(world, fd):
    """A question goes into the tunnel, and the answer that comes out of it reaches who asked."""
    token = secrets.token_bytes(16)
    mark = world.sniffer.mark()
    world.agent.begin(ask, w.OTHER, token)

    def read():
        try:
            packet = os.read(fd, 2000)
        except BlockingIOError:
            return None
        return packet if token in packet else None
    question = IP(until(read, 5, "the question in the tunnel"))
    os.write(fd, bytes(IP(src=w.OTHER, dst=question.src) / UDP(sport=9, dport=question.sport) /
                       Raw(token)))
    if not world.agent.end():
        raise Failure("the answer was not the question's")
    world.quiet_since(mark)


def send_outer(token, sock=[]):  # one socket for life
    """In the agent: what the tunnel sends, from the one socket that a tunnel has."""
    if not sock:
        sock.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock[0].setsockopt(socket.SOL_SOCKET, senders.SO_MARK, MARK)
        sock[0].bind(("", w.VPN_PORT))
    sock[0].sendto(senders.handshake(token), (w.VPN, w.VPN_PORT))
    return "sent"


def check(world, name, holds=True):
    process = world.new_agent(world.client, world.cgroup)  # before wg0: it must not hold it
    fd = tunnel(world)
    outer = w.Shot("the tunnel's own", send_outer, w.same)
    world.passes(outer, agent=process)
    world.must(peer(world, name, "up"))
    works(world, fd)
    world.passes(outer, agent=process)
    os.close(fd)
    world.devices.remove(fd)
    plain = [w.udp(w.OTHER, 9), w.tcp(w.WEB, 443), w.udp(w.WEB6, 9), w.ping(w.OTHER)]
    if holds:
        world.silent(*plain)
    else:
        world.leaks(*plain)
    world.must(peer(world, name, "down"))
    world.leaks(w.udp(w.OTHER, 9))


def test_nothing(world):
    check(world, "nothing", holds=False)


def test_wg_quick(world):
    """It routes, and no more."""
    check(world, "wg-quick", holds=False)


def test_postup_rule(world):
    check(world, "postup")


def test_rules_files(world):
    check(world, "rules-files")


def test_drop_script(world):
    check(world, "drop-script")


def test_mullvad_style(world):
    check(world, "mullvad-style")


def test_gluetun_style(world):
    check(world, "gluetun-style")


def test_restrict_interfaces(world):
    check(world, "restrict-interfaces")


def test_peers_work_nowhere_else(world):
    """And say so when a rule could not be made."""
    for changes in ({"CLIENT": "192.0.2.1"}, {"UPLINK": "lo"}, {"CGROUP": ""}):
        world.must(peer(world, "drop-script", "up", **changes), 1)
    world.leaks(w.udp(w.OTHER, 9))
    for name, changes in (("wg-quick", {"MARK": "0xzz"}), ("rules-files", {"LAN_NET": "/"}),
                          ("mullvad-style", {"ENDPOINT6": "::/zz"}),
                          ("gluetun-style", {"PORT": "x"}), ("drop-script", {"PORT": "x"}),
                          ("postup", {"TUNNEL": "a-name-that-is-too-long"}),
                          ("restrict-interfaces", {"CGROUP": "/nowhere"})):
        if peer(world, name, "up", **changes).code == 0:
            raise Failure(f"{name} said nothing of rules that cannot be made: {changes}")


def said(frames_without, frames_with, verdict="held"):
    return {"group": "socket", "name": f"way-{frames_without}-{frames_with}", "summary": "a <way>",
            "unfenced": {"frames": frames_without},
            "fenced": None if frames_with is None else {"frames": frames_with},
            "verdict": verdict}


def matrix(world, files, *names):
    """The table's rows of what verify said: {name: its vectors, or text}."""
    for name, vectors in files.items():
        with open(os.path.join(world.directory, f"{name}.json"), "w") as file:
            file.write(vectors if isinstance(vectors, str) else
                       json.dumps({"tunnel_works": name != "mute", "vectors": vectors}))
    subprocess.run([os.path.join(PEERS, "../../tests/leak_matrix.py"), world.directory,
                    *(f"{name}{what}" for name in names for what in ("", "'s title", "'s nature"))],
                   capture_output=True, text=True, check=True)
    xml.etree.ElementTree.parse(os.path.join(world.directory, "leak-matrix.svg"))
    with open(os.path.join(world.directory, "leak-matrix.md")) as file:
        return [[cell.strip() for cell in line.split("|")[1:-1]] for line in file][2:]


def expect_rows(rows, expected):
    if rows != expected:
        raise Failure(f"the table says {rows}")


def test_matrix_counts(world):
    """What was seen has leaked, whatever the verdict's word; what never leaked was not tested."""
    rows = matrix(world, {"open": [said(1, 2), said(1, 1), said(0, 0), said(1, None, "not_tested")],
                          "mute": [said(1, 0)],
                          "wall": [said(1, 0), said(3, 0), said(0, 3)],
                          "torn": '{"vectors": [{"group"'},
                  "open", "wall", "torn", "none", "mute")
    expect_rows(rows, [["socket", "2/2", "0/2", "not run", "not run", "not run"],
                       ["**all**", "**2/2**", "**0/2**", *["**not run**"] * 3],
                       ["frames seen", "3", "0", "not run", "not run", "not run"]])


def test_matrix_distrusts(world):
    """What not even the control lets through is nobody's merit; a leak stays one."""
    def vectors(*seen):
        return [said(1, frames) | {"name": f"way-{i}"} for i, frames in enumerate(seen)]
    rows = matrix(world, {"wall": vectors(0, 0, 0), "nothing": vectors(1, 0, 0),
                          "hole": vectors(0, 1, 0)}, "wall", "nothing", "hole")
    expect_rows(rows[:1], [["socket", "0/1", "1/1", "1/2"]])
