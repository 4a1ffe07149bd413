#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Counts what is in a capture, by the tests' own reading of a frame.

    count_frames.py ADDRESS PORT FILE.pcap      the VPN server's, and a capture of what left

Prints: all, WireGuard to the server, plumbing (ARP, ND, MLD, DHCP), DNS, web, anything else.
"""

import struct
import sys

import frames

HEADER, RECORD = 24, 16


def read(path):
    """The frames of a pcap file in either byte order; a record cut short ends it."""
    with open(path, "rb") as file:
        data = file.read()
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}[data[:4]]
    at = HEADER
    while at + RECORD <= len(data):
        size, = struct.unpack_from(f"{order}I", data, at + 8)
        at += RECORD
        if at + size > len(data):
            return
        yield frames.parse(data[at:at + size])
        at += size


def kind(frame, judge):
    if frames.is_plumbing(frame):
        return "plumbing"
    if judge.is_outer(frame):
        return "wireguard"
    return {53: "dns", 80: "web"}.get(frame.dport, "other")


def main():
    address, port, path = sys.argv[1:]
    judge = frames.Judge([(address, int(port))])
    seen = [kind(frame, judge) for frame in read(path)]
    print(len(seen), *(seen.count(k) for k in ("wireguard", "plumbing", "dns", "web", "other")))


if __name__ == "__main__":
    main()
