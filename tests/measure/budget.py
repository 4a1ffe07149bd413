#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The verifier's budget: how many instructions it may work through for each program, by kernel. A
program that is about to get too large for a kernel is seen long before it is refused there.

    tests/measure/budget.py            root; measures on this kernel and compares with the table
    tests/measure/budget.py --write    root; puts what this kernel says into the table instead

The table is tests/measure/budget. A program fails when it needs a tenth more than it says, and when it
is not in it or not in the kernel any more. Less is no failure: the next --write takes it in. A
kernel that the table does not have is skipped by name. Prints "ok", "FAIL" and "skip" as
scripts/lint does. The machine room (tests/vm) compares its kernels with the same table: what it notes
of a program that grew is to be put there by hand."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "budget")
ROOT = os.path.dirname(os.path.dirname(HERE))
MEASURE = "build-test/measure/measure"
POLICIES = ("home", "sixteen")
MARGIN = 1.1
HEAD = """# Instructions of the verifier, as 'make budget' writes them: kernel, policy, program, instructions.
"""


def kernel_of(release):
    """6.18.44-custom is a 6.18."""
    return ".".join(release.split(".")[:2])


def read_table():
    """(kernel, policy) -> {program: instructions}"""
    table = {}
    with open(TABLE) as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                kernel, policy, program, count = line.split()
                table.setdefault((kernel, policy), {})[program] = int(count)
    return table


def write_table(table):
    rows = sorted((*key, program, count) for key, programs in table.items()
                  for program, count in programs.items())
    with open(TABLE, "w") as file:
        file.write(HEAD)
        file.writelines(f"{k:<6} {p:<8} {name:<16} {count:>8}\n" for k, p, name, count in rows)


def parse(said):
    """What 'measure' printed: the kernel's release, {program: instructions} of those that loaded."""
    lines = said.splitlines()
    rows = [line.split() for line in lines[2:]]
    return (lines[0].split(",")[0],
            {row[0]: int(row[1]) for row in rows if row[-1] == "loaded"})


def breaches(budget, found):
    """A line for each program that is over its budget, new, or gone."""
    for program in sorted(budget.keys() | found.keys()):
        if program not in found:
            yield program, "is in the table, but did not load"
        elif program not in budget:
            yield program, f"{found[program]} instructions, and no budget: run 'make budget'"
        elif found[program] > MARGIN * budget[program]:
            yield program, (f"{found[program]} instructions, the budget is {budget[program]}: "
                            f"{100 * found[program] / budget[program] - 100:.0f} % more")


def measure(policy):
    return parse(subprocess.run([MEASURE, f"tests/vectors/policies/{policy}.conf"], check=True,
                                stdout=subprocess.PIPE, text=True).stdout)


def compare(kernel, policy, budget):
    """Whether all is within it; says so."""
    _, found = measure(policy)
    bad = dict(breaches(budget, found))
    for program, why in bad.items():
        print(f"FAIL {policy}/{program}: {why}")
    for program in sorted(found.keys() - bad.keys()):
        print(f"ok {policy}/{program}: {found[program]} of {budget[program]} on {kernel}")
    return not bad


def main():
    os.chdir(ROOT)
    kernel = kernel_of(os.uname().release)
    table = read_table()
    if sys.argv[1:] == ["--write"]:
        table.update({(kernel, policy): measure(policy)[1] for policy in POLICIES})
        write_table(table)
        return 0
    if sys.argv[1:]:
        sys.exit("usage: tests/measure/budget.py [--write]")
    good = True
    for policy in POLICIES:
        if (kernel, policy) in table:
            good = compare(kernel, policy, table[kernel, policy]) and good
        else:
            print(f"skip {policy}: Linux {kernel} is not in tests/measure/budget")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
