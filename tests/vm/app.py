# SPDX-License-Identifier: GPL-2.0
"""Stands for a program that has a fence of its own. Sends each kind five times a second and ten
times as soon as it is started, from new sockets and from held ones; counts rounds and the answers
that its echo server gave, in the file that is its argument."""

import os
import socket
import sys
import time

OTHER, WEB, OTHER6, ECHO, DOOR = "198.51.100.9", "198.51.100.80", "2001:db8:51::9", 7, 8081
ETHERTYPE = 0x88b5


def marker(kind):
    return b"leak:app-%s;" % kind.encode()


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except OSError:
        return None


def datagram(kind, family, address, held=None):
    sock = held or socket.socket(family, socket.SOCK_DGRAM)
    attempt(sock.sendto, marker(kind), (address, ECHO))


def syn():
    sock = socket.socket()
    sock.setblocking(False)
    attempt(sock.connect, (WEB, DOOR))
    return sock


def frames(held=None):
    """To every interface but loopback, past the socket plane."""
    sock = held or attempt(socket.socket, socket.AF_PACKET, socket.SOCK_DGRAM)
    for _, name in socket.if_nameindex():
        if sock and name != "lo":
            attempt(sock.sendto, marker("held-packet" if held else "packet"),
                    (name, ETHERTYPE, 0, 0, b"\xff" * 6))


def main():
    echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    echo.setblocking(False)
    held = attempt(socket.socket, socket.AF_PACKET, socket.SOCK_DGRAM)
    number = answers = 0
    while True:
        connection = syn()
        datagram("udp4", socket.AF_INET, OTHER)
        datagram("udp6", socket.AF_INET6, OTHER6)
        datagram("held-udp4", socket.AF_INET, OTHER, echo)
        frames()
        frames(held)
        time.sleep(0.2 if number > 10 else 0.02)
        while attempt(echo.recv, 2048):
            answers += 1
        connection.close()
        number += 1
        with open(f"{sys.argv[1]}.new", "w") as file:
            file.write(f"{number} {answers} {os.getpid()}\n")
        os.rename(f"{sys.argv[1]}.new", sys.argv[1])


main()
