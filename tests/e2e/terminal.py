#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Runs a program as in a terminal of 80 columns and 24 lines: python3 terminal.py PROGRAM
[ARGUMENT...]. What it writes there goes to standard output, escape sequences and all; ends as the
program does."""

import fcntl
import os
import pty
import struct
import sys
import termios

LINES, COLUMNS = 24, 80


def start(words):
    """The program's number, and our end of its terminal."""
    pid, terminal = pty.fork()
    if pid:
        return pid, terminal
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    os.environ["TERM"] = "xterm-256color"
    try:
        os.execvp(words[0], words)
    finally:
        os._exit(127)


def read(terminal):
    """The next bytes; none: everybody has closed the other end."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def main():
    pid, terminal = start(sys.argv[1:])
    while data := read(terminal):
        sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
