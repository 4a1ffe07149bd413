# SPDX-License-Identifier: GPL-2.0
"""The few words that scenarios share. main.py says how one is written."""

from sandbox import Failure, Skip  # noqa: F401  (for the scenarios)


def begins(state):
    """How the guest is when the scenario begins: "plain", "installed" or "fenced"."""
    def mark(function):
        function.begins = state
        return function
    return mark


def on(*kernels):
    """Only on these: one kernel of each userland, where that is what it depends on; or one without
    tcx and one with it."""
    def mark(function):
        function.kernels = kernels
        return function
    return mark


def expect(condition, otherwise):
    if not condition:
        raise Failure(otherwise)
