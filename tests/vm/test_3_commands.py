# SPDX-License-Identifier: GPL-2.0
"""What a user's hand, and an accident, do to the units of a fence that stands: nothing to it."""

import re

import room
from scenario import begins, expect

UNIT = "tunfence@wg0.service"
TYPO = "[Tunnel]\nInterface=wg0\nEndpont=203.0.113.7:51820\n"


def stands(guest):
    """Fence and network do what they did, and nothing leaked since the machine was on."""
    guest.run("tunfence status wg0 && systemctl is-active systemd-networkd tunfence-gate")
    guest.tunnel_works()
    guest.tried()
    guest.silent(proof=("handshake",))


def fails(guest, command, *words):
    """It says so, and why in the journal."""
    before = len(guest.journal(UNIT))
    result = guest.run(command, check=False)
    expect(result.code != 0, f"'{command}' succeeded")
    said = result.out + guest.journal(UNIT)[before:]
    for word in words:
        expect(word in said, f"of '{command}' nobody says \"{word}\", but:\n{said[-2000:]}")


def seconds(guest, unit):
    """How long its command ran."""
    start, end = (int(guest.run(f"systemctl show {unit} -P ExecMain{what}TimestampMonotonic").out)
                  for what in ("Start", "Exit"))
    return (end - start) / 1e6


def note_boot_time(guest):
    """Of the boot after which this machine was saved. Emulated: it is the shares that tell."""
    total = guest.run("systemd-analyze time").out
    whole = re.search(r"= (.*s)", total)
    guest.note("boot", whole[1].strip() if whole else total)
    for unit in ("tunfence-prepare.service", UNIT, "tunfence-gate.service"):
        guest.note(f"of which {unit}", f"{seconds(guest, unit):.2f} s")
    chain = guest.run("systemd-analyze critical-chain default.target").out
    guest.note("on the critical chain", "yes" if "tunfence" in chain else "no")


@begins("fenced")
def test_reload_restart_stop_open_nothing(guest):
    """With a broken configuration and with a good one."""
    note_boot_time(guest)
    guest.write("/etc/tunfence/wg0.conf", TYPO)
    for command in ("reload", "restart"):
        fails(guest, f"systemctl {command} {UNIT}", "/etc/tunfence/wg0.conf:3:",
              "unknown key 'Endpont'")
        stands(guest)
    guest.run("rm /etc/tunfence/wg0.conf")
    guest.run(f"systemctl restart {UNIT} && systemctl reload {UNIT}")
    stands(guest)
    guest.run(f"systemctl stop {UNIT}")
    stands(guest)
    fails(guest, "systemctl stop tunfence-gate", "refused")
    stands(guest)


@begins("fenced")
def test_watcher_crashes(guest):
    """It is started again, and the fence never noticed."""
    guest.run("systemctl enable --now tunfence-watch")
    guest.wait("[ -n \"$(journalctl -b -q -u tunfence-watch)\" ]")
    guest.run("""pid=$(systemctl show -P MainPID tunfence-watch)
        kill -9 $pid
        until now=$(systemctl show -P MainPID tunfence-watch) && [ $now -ne 0 ] && [ $now -ne $pid ]
        do sleep 0.2; done""")
    stands(guest)
    guest.run("systemctl is-active tunfence-watch")


@begins("fenced")
def test_metrics_are_written(guest):
    """Where somebody reads them: every minute, quietly, also that nothing is fenced any more."""
    directory, units = "/var/lib/prometheus/node-exporter", "tunfence-metrics.timer"
    path = f"{directory}/tunfence.prom"
    result = guest.run(f"systemctl start {units}", check=False)
    expect(result.code != 0 and "ssert" in result.out, f"without a reader: {result.out}")
    guest.run("systemctl start tunfence-metrics.service && ! systemctl is-failed tunfence-metrics")
    expect(guest.run(f"[ -e {directory} ]", check=False).code, "it made the directory")
    guest.tunnel_works()
    guest.run(f"mkdir -p {directory} && systemctl enable --now {units}")
    guest.wait(f"grep -qx 'tunfence_fenced 1' {path}")
    guest.run(f"[ \"$(stat -c %a {path})\" = 644 ] && [ \"$(ls {directory})\" = tunfence.prom ]")
    guest.run(f"grep -q '^tunfence_tunnel_last_handshake_timestamp_seconds{{.*}} [1-9]' {path}")
    guest.run(f"grep -q '^tunfence_hook_up{{.*interface=.*}} 1' {path}")
    inode = guest.run(f"stat -c %i {path}").out
    guest.wait(f"[ \"$(stat -c %i {path})\" -ne {inode.strip()} ]")
    stands(guest)
    guest.run(f"tunfence down wg0 && systemctl start tunfence-metrics.service && "
              f"grep -qx 'tunfence_fenced 0' {path}")
    said = guest.run("journalctl -b -q -o cat -u tunfence-metrics.service").out
    expect(not said, f"the journal has: {said}")


# A service that goes on as long as it is heard of, each time by another port: the leaker's kinds may
# take all that the journal is given in a minute. systemd makes one $ of two.
PHONE_HOME = f"""systemd-run -q --unit=phone-home --uid=nobody bash -c '
    port=4321
    while sleep 1; do (echo x >/dev/udp/{room.OTHER}/$$port); port=$$((port + 1)); done'"""


@begins("fenced")
def test_who_would_have_leaked_is_named(guest):
    """wg-quick down: blocked, status and the journal name the service that tries to phone out, and
    for whom it runs."""
    guest.run("systemctl enable --now tunfence-journal")
    guest.run("wg-quick down wg0")
    guest.run(PHONE_HOME)
    guest.wait("tunfence blocked --app phone-home.service wg0 | "
               "grep -E '^bash, .*user nobody, phone-home.service'")
    guest.run(f"tunfence blocked --app bash wg0 --json | grep -F '\"address\": \"{room.OTHER}\"'")
    guest.run("tunfence status wg0 | grep -E '^ +stopped +[0-9]+ packets? on their way out today'")
    guest.wait("journalctl -b -o cat -t tunfence TUNFENCE_REASON=no_tunnel TUNFENCE_APP=bash "
               f"TUNFENCE_UNIT=phone-home.service TUNFENCE_ADDRESS={room.OTHER} | grep nobody")
    guest.run("systemctl stop phone-home && systemctl is-active tunfence-journal")
    guest.run("wg-quick up wg0")
    stands(guest)
