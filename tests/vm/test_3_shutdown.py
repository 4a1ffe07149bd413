# SPDX-License-Identifier: GPL-2.0
"""The last moment of a shutdown: all is unmounted, and what was not killed still sends."""

import re

from scenario import begins, expect, on

# Run by systemd once it has killed and unmounted what it can, before the machine goes down. Says what
# the leaker's round is, seconds apart.
LATE = """#!/bin/bash
round() {
	cat /proc/[0-9]*/comm 2>/dev/null | sed -n 's/^leaker-/late round /p' >/dev/console
}
round
sleep 4
round
"""


@on("5.10", "7.x")
@begins("fenced")
def test_silent_when_all_is_unmounted(guest):
    """The fence stands until the power is gone."""
    guest.write("/usr/lib/systemd/system-shutdown/late", LATE, "755")
    written = len(guest.console)
    guest.reboot()
    rounds = re.findall(r"late round (\d+)", guest.console[written:])
    expect(len(rounds) == 2 and int(rounds[0]) + 5 < int(rounds[1]),
           f"no evidence: the leaker's rounds when all was unmounted: {rounds}")
    guest.silent(proof=())
