# SPDX-License-Identifier: GPL-2.0
"""The command as scripts and people meet it: exit codes, refusals, what explain and status say."""

import json
import os

import craft
import senders
import world as w
from sandbox import Failure

STRANGER = w.udp(w.OTHER, 9)


def says(result, *words):
    for word in words:
        if word not in result.out + result.err:
            raise Failure(f"'{word}' is not in: {(result.out + result.err).strip()}")


def test_status_exit_codes(world):
    says(world.must(world.tunfence("status"), 3))
    world.must(world.tunfence("status", "wg0"), 3)
    world.up()
    says(world.must(world.tunfence("status")), "wg0")
    says(world.must(world.tunfence("status", "wg0")), "wg0")
    world.must(world.tunfence("status", "other"), 3)
    # One that does not hold, between two that do: whichever is looked at last.
    world.up("[Fence]\nMode=observe\n" + w.BASIC, "watches")
    world.up(w.BASIC, "third")
    world.must(world.tunfence("status"), 3)
    world.must(world.tunfence("status", "third"))
    for name in ("third", "watches", "wg0"):
        world.down(name)
    world.must(world.tunfence("status", "wg0"), 3)


def test_status_as_json(world):
    world.up()
    world.silent(STRANGER, craft.sent("AF_PACKET", lambda t: craft.ether(craft.ip4(t))))
    text = world.must(world.tunfence("status", "wg0", "--json")).out
    counted = {(c["plane"], c["reason"]) for c in json.loads(text)["fences"][0]["counters"]}
    if not counted >= {("guard", "no_tunnel"), ("wire", "not_allowed")}:
        raise Failure(f"drops are not counted: {counted}")
    json.loads(world.must(world.tunfence("status", "--json")).out)
    world.down()
    json.loads(world.must(world.tunfence("status", "wg0", "--json"), 3).out)


def test_usage(world):
    for words in (("frobnicate",), ("up",), ("up", "a", "b"), ("down",), ("status", "--frob"),
                  ("explain", "udp"), ("check",)):
        world.must(world.tunfence(*words), 2)
    world.must(world.tunfence("help"))
    world.must(world.tunfence("version"))


def test_bad_names(world):
    for name in ("..", ".wg0", "-wg0", "a b", "x" * 64, ""):
        if world.tunfence("up", name).code not in (1, 2):
            raise Failure(f"'{name}' was taken for a fence's name")
    if w.pins(world.bpffs):
        raise Failure("something was made for a bad name")


def test_unknown_fence(world):
    says(world.must(world.tunfence("up", "wg7"), 1), "wg7")
    says(world.must(world.tunfence("down", "wg7"), 1), "wg7")
    world.leaks(STRANGER)


def test_configuration_by_path(world):
    path = os.path.join(world.directory, "elsewhere.conf")
    with open(path, "w") as file:
        file.write(w.BASIC)
    world.must(world.tunfence("up", path))
    world.silent(STRANGER)
    world.must(world.tunfence("status", "elsewhere"))
    world.down("elsewhere")
    world.leaks(STRANGER)


def test_check_needs_no_root_and_changes_nothing(world):
    good, bad = world.write_config(w.BASIC, "good"), world.write_config("[Tunel]\n", "bad")
    os.chmod(world.directory, 0o755)
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    world.must(world.tunfence("check", good, wrapper=nobody))
    says(world.must(world.tunfence("check", bad, wrapper=nobody), 1), f"{bad}:1:")
    world.leaks(STRANGER)


def ssh(address=w.ROUTER):
    """The environment that sshd gives, seen in an ancestor of the tool as after `sudo`."""
    return ("env", f"SSH_CONNECTION={address} 50000 {w.CLIENT} 22",
            "sh", "-c", 'env -u SSH_CONNECTION "$@"; exit $?', "sh")


def test_lock_out_is_refused(world):
    world.write_config(w.BASIC)
    says(world.must(world.tunfence("up", "wg0", wrapper=ssh()), 1), w.ROUTER, "--force")
    world.leaks(STRANGER)
    world.must(world.tunfence("up", "wg0", "--force", wrapper=ssh()))
    world.silent(STRANGER)


def test_lock_out_is_no_worry_where_ssh_is_allowed(world):
    world.write_config(w.BASIC + "[Allow]\nInboundTCP=22\n")
    world.must(world.tunfence("up", "wg0", wrapper=ssh()))
    router = world.new_agent(world.router)
    world.agent.call(senders.listen, "ssh", "0.0.0.0", 22)
    if (told := router.call(senders.tcp_open, "ssh", w.CLIENT, 22)) != "sent":
        raise Failure(f"locked out: {told}")


def test_explain_says_what_the_wire_shows(world):
    world.up(w.BASIC + f"[Allow]\nDestination=udp {w.OTHER} port 123\n")
    cases = (("udp", f"{w.OTHER}:123", "PASS"), ("udp", f"{w.OTHER}:124", "DROP"),
             ("tcp", f"{w.WEB}:443", "DROP"), ("udp", f"{w.RESOLVER}:53", "DROP"),
             ("udp", f"[{w.WEB6}]:9", "DROP"), ("icmp", w.WEB, "DROP"))
    for protocol, target, verdict in cases:
        result = world.must(world.tunfence("explain", protocol, target, "dev", "eth0"))
        if verdict not in result.out.upper():
            raise Failure(f"explain {protocol} {target}: {result.out.strip()}")
    json.loads(world.must(world.tunfence("explain", "udp", f"{w.OTHER}:123", "dev", "eth0",
                                         "--json")).out)
    world.passes(w.udp(w.OTHER, 123))
    world.silent(w.udp(w.OTHER, 124))


def test_up_warns_of_a_tunnel_without_endpoint(world):
    result = world.up("[Tunnel]\nInterface=wg0\n")
    says(result, "wg0", "endpoint")
    world.silent(STRANGER, w.udp(w.VPN, w.VPN_PORT))


def test_down_says_what_is_open(world):
    world.up()
    result = world.down()
    says(result, "wg0")
    if result.err:
        raise Failure(f"noise on stderr: {result.err.strip()}")
    world.leaks(STRANGER)
    world.must(world.tunfence("down", "wg0"), 1)


def test_fence_of_another_namespace_is_not_touched(world):
    """Two namespaces, one name each for its own fence: neither command reaches over."""
    world.up()
    other = world.namespace()
    world.tunfence("sync", namespace=other)
    world.must(world.tunfence("up", "wg0", namespace=other), 1)
    world.silent(STRANGER)
    world.passes(w.outer())
