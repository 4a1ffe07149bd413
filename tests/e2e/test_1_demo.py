# SPDX-License-Identifier: GPL-2.0
"""scripts/demo, which newcomers run first: it ends, and its numbers are those of the promise."""

import os
import re
import subprocess

from sandbox import Failure

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEMO = os.path.join(ROOT, "scripts", "demo")
INSIDE = ["unshare", "--mount", "--propagation", "private", "--net", "--pid", "--fork",
          "--kill-child", "--mount-proc", DEMO, "--inside"]  # what it does itself once it has built


def table(text):
    """Row -> [frames, WireGuard, ARP/ND, DNS, web, other]."""
    rows = re.findall(r"^  (tunnel \w+, \w[\w ]*\w)((?: +\d+){6})$", text, re.M)
    return {name: [int(n) for n in numbers.split()] for name, numbers in rows}


def check(world, count, open_one, *options):
    """All frames but those of one row are the tunnel's, or plumbing."""
    run = subprocess.run([*INSIDE, *options], capture_output=True, text=True, timeout=500)
    world.log.append(run.stdout + run.stderr)
    if run.returncode:
        raise Failure(f"it ended with {run.returncode}")
    rows = table(run.stdout)
    if len(rows) != count:
        raise Failure(f"its table has {len(rows)} rows of {count}")
    for name, (frames, tunnel, plumbing, *leaked) in rows.items():
        if frames != tunnel + plumbing + sum(leaked):
            raise Failure(f"'{name}' does not add up")
        if bool(sum(leaked)) != (name == open_one):
            raise Failure(f"'{name}' leaked {sum(leaked)} frames")


def test_nothing_leaks_in_the_demo(world):
    check(world, 5, "tunnel killed, no fence")


def test_nothing_leaks_in_the_demo_of_one_app(world):
    check(world, 4, "tunnel killed, the rest", "--app")
