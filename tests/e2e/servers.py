#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The internet in small: a web server, a name server and an echo, all on every given address.

    servers.py ADDRESS...      prints "ready" once all ports are open; ends when stdin closes

TCP 80 answers any request with a page that names the client's address, but /announce as a tracker
of torrents does; UDP 53 answers any name with the first IPv4 and the first IPv6 address; TCP and
UDP 7 echo. One thread, one poll loop.
"""

import ipaddress
import os
import selectors
import signal
import socket
import struct
import sys
import urllib.parse

WEB, DNS, ECHO = 80, 53, 7


def open_socket(address, kind, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    if kind == socket.SOCK_STREAM:
        sock.listen(16)
    sock.setblocking(False)
    return sock


def page(body):
    return (b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n" % len(body)) + body


def announce(path, address, swarms):
    """Notes who asks for a torrent, and answers with everybody who has (compact, IPv4)."""
    query = urllib.parse.parse_qs(path.partition("?")[2], encoding="latin-1")
    swarm = swarms.setdefault(query["info_hash"][0], set())
    swarm.add(socket.inet_aton(address) + struct.pack("!H", int(query["port"][0])))
    peers = b"".join(sorted(swarm))
    return b"d8:intervali5e5:peers%d:%se" % (len(peers), peers)


def dns_answer(query, addresses):
    """One A or AAAA record for whatever name was asked; None for what is no query."""
    if len(query) < 17 or query[2] & 0x80:
        return None
    end = query.find(b"\x00", 12)
    question = query[12:end + 5]
    if end < 0 or len(question) != end - 12 + 5:
        return None
    kind = struct.unpack("!H", question[-4:-2])[0]
    version = {1: 4, 28: 6}.get(kind)
    data = next((a.packed for a in addresses if a.version == version), None)
    header = query[:2] + struct.pack("!HHHHH", 0x8580, 1, 1 if data else 0, 0, 0)
    if not data:
        return header + question
    return header + question + struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(data)) + data


class Servers:
    def __init__(self, addresses):
        self.addresses = [ipaddress.ip_address(a) for a in addresses]
        self.selector = selectors.DefaultSelector()
        self.swarms = {}
        for address in addresses:
            self._watch(open_socket(address, socket.SOCK_STREAM, WEB), self._accept_web)
            self._watch(open_socket(address, socket.SOCK_STREAM, ECHO), self._accept_echo)
            self._watch(open_socket(address, socket.SOCK_DGRAM, ECHO), self._echo_datagram)
            self._watch(open_socket(address, socket.SOCK_DGRAM, DNS), self._resolve)

    def _watch(self, sock, callback):
        self.selector.register(sock, selectors.EVENT_READ, callback)

    def _accept_web(self, listener):
        connection, _ = listener.accept()
        self._watch(connection, self._serve_page)

    def _accept_echo(self, listener):
        connection, _ = listener.accept()
        self._watch(connection, self._echo_stream)

    def _forget(self, connection):
        self.selector.unregister(connection)
        connection.close()

    def _serve_page(self, connection):
        request, address = connection.recv(4096).split(), connection.getpeername()[0]
        if request[1:] and request[1].startswith(b"/announce?info_hash="):
            connection.sendall(page(announce(request[1].decode(), address, self.swarms)))
        elif request:
            connection.sendall(page(f"hello, {address}\n".encode()))
        self._forget(connection)

    def _echo_stream(self, connection):
        data = connection.recv(65536)
        if data:
            connection.sendall(data)
        else:
            self._forget(connection)

    @staticmethod
    def _echo_datagram(sock):
        data, peer = sock.recvfrom(65536)
        sock.sendto(data, peer)

    def _resolve(self, sock):
        query, peer = sock.recvfrom(4096)
        answer = dns_answer(query, self.addresses)
        if answer:
            sock.sendto(answer, peer)

    def run(self, until_closed):
        """Serves until there is something to read, or an end of file, on until_closed."""
        if until_closed is not None:
            self.selector.register(until_closed, selectors.EVENT_READ, None)
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    return
                try:
                    key.data(key.fileobj)
                except OSError:
                    if key.fileobj.type == socket.SOCK_STREAM and key.data in (
                            self._serve_page, self._echo_stream):
                        self._forget(key.fileobj)


class NameServer:
    """One that answers any name with what it is given or, if that is nothing, not at all."""

    def __init__(self, address, port, addresses):
        self.addresses = [ipaddress.ip_address(a) for a in addresses]
        self.socket = open_socket(address, socket.SOCK_DGRAM, port)
        self.socket.setblocking(True)

    def run(self, _until_closed):
        while True:
            query, peer = self.socket.recvfrom(4096)
            answer = dns_answer(query, self.addresses)
            if answer and self.addresses:
                self.socket.sendto(answer, peer)


_prepared = []


def prepare_names(address, port, addresses):
    """For an agent of the tests, likewise."""
    _prepared.append(NameServer(address, port, addresses))


def prepare(addresses):
    """For an agent of the tests: opens the ports, and returns when they are open."""
    _prepared.append(Servers(addresses))


def serve_forever():
    _prepared[0].run(None)


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever holds the other end
    servers = Servers(sys.argv[1:])
    print("ready", flush=True)
    servers.run(os.dup(0))


if __name__ == "__main__":
    main()
