# SPDX-License-Identifier: GPL-2.0
"""What a guest emitted, and what of it should not have been.

Reads QEMU's dump of the guest's network device: every frame from power-on to power-off, in order,
written outside of the guest. What a frame is, and what plumbing is, is said by the end-to-end
tests' own reading of frames.
"""

import os
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

import frames  # noqa: E402

# What guest/leaker.c sends. The control shows that each of them leaves a machine without a fence.
KINDS = {"dns4", "dns6", "ntp4", "ntp6", "udp4", "udp6", "ping4", "ping6", "tcp4", "tcp6",
         "held-udp4", "held-udp6", "held-ping4", "packet", "packet-ip", "held-packet"}

HEADER, RECORD = 24, 16


def kind(frame):
    """Which of the leaker's kinds this is, or "other"."""
    marker = re.search(rb"leak:([a-z0-9-]+);", frame.raw)
    if marker:
        return marker[1].decode()
    if frame.protocol == frames.TCP and frame.dport == 80:
        return "tcp6" if frame.ethertype == frames.IP6 else "tcp4"
    return "other"


def is_handshake(frame):
    return frames.is_wireguard(frame) and frame.payload[:1] == b"\x01"


PROOFS = {"dhcp": frames.is_dhcp, "handshake": is_handshake}


class Capture:
    """One power-on's frames. Read when asked; the file grows meanwhile."""

    def __init__(self, path):
        self.path = path
        self.frames = []
        self._at = HEADER

    def read(self):
        """All frames so far. A record that is still being written is left for the next time."""
        if not os.path.exists(self.path):
            return self.frames
        with open(self.path, "rb") as file:
            file.seek(self._at)
            data = file.read()
        at = 0
        while at + RECORD <= len(data):
            seconds, micros, size, length = struct.unpack_from("=IIII", data, at)
            if at + RECORD + size > len(data):
                break
            frame = frames.parse(data[at + RECORD:at + RECORD + size])
            frame.time = seconds + micros / 1e6
            if size != length:
                raise ValueError(f"a frame of {length} bytes was cut to {size}")
            self.frames.append(frame)
            at += RECORD + size
        self._at += at
        return self.frames

    def mark(self):
        return len(self.read())


def leaks(seen, endpoints):
    return frames.Judge(endpoints).leaks(seen)


def describe(found, all_frames):
    """One line for each kind: how many, and the first of them with its place in the capture."""
    lines = []
    for name in dict.fromkeys(map(kind, found)):
        these = [f for f in found if kind(f) == name]
        first = these[0]
        after = first.time - all_frames[0].time
        lines.append(f"{len(these):5} x {name}: first is frame "
                     f"{next(i for i, f in enumerate(all_frames) if f is first)}, "
                     f"{after:.1f} s after the first frame: {first}, "
                     f"{first.raw[:60].hex()}")
    return "\n".join(lines)
