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
    """Only on these: what depends on no more than the userland is shown once for each of them."""
    def mark(function):
        function.kernels = kernels
        return function
    return mark


def expect(condition, otherwise):
    if not condition:
        raise Failure(otherwise)
