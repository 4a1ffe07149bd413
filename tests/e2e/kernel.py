# SPDX-License-Identifier: GPL-2.0
"""What the running kernel has of the hooks that not every kernel has.

Tried by hand, once, in a namespace of its own: the tool's own probing is what is tested.
"""

import ctypes
import functools
import os
import socket
import struct

import hostile
import sandbox
from sandbox import Skip

NETFILTER_TYPE, NETFILTER_ATTACH = 32, 45  # of a program; of a link
PF_IPV4, POST_ROUTING = 2, 4

# What each new namespace has from the start where the modules are loaded. Uplinks like any other.
FALLBACK = {"tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "sit0", "ip6tnl0", "ip6gre0",
            "ip6_vti0"}


def _netfilter_link():
    accept = ctypes.create_string_buffer(bytes.fromhex("b700000001000000" "9500000000000000"), 16)
    license_ = ctypes.create_string_buffer(b"GPL")
    program = hostile._bpf(hostile.BPF_PROG_LOAD, struct.pack(
        "IIQQ44xI", NETFILTER_TYPE, 2, ctypes.addressof(accept), ctypes.addressof(license_),
        NETFILTER_ATTACH))
    try:
        return hostile._bpf(hostile.BPF_LINK_CREATE, struct.pack(
            "IIIIIIiI", program, 0, NETFILTER_ATTACH, 0, PF_IPV4, POST_ROUTING, 7, 0))
    finally:
        os.close(program)


def _can(attach):
    namespace = sandbox.Namespace()
    try:
        with namespace:
            os.close(attach())
    except OSError:
        return False
    finally:
        namespace.close()
    return True


@functools.cache
def has_tcx():
    return _can(lambda: hostile.stand_in_front(socket.if_nametoindex("lo")))


@functools.cache
def has_netfilter():
    return _can(_netfilter_link)


def device_hook():
    """What status calls the hooks of an uplink."""
    return "tcx" if has_tcx() else "clsact"


def namespace_hook():
    """What status says of the namespace plane."""
    return "attached" if has_netfilter() else "not on this kernel"


def need_tcx():
    if not has_tcx():
        raise Skip("this kernel has no tcx")


def need_netfilter():
    if not has_netfilter():
        raise Skip("this kernel has no netfilter programs")
