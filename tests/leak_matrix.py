#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Makes table and picture of what `tunfence verify --json` said of several kill switches.

    leak_matrix.py DIRECTORY NAME TITLE ABOUT [NAME TITLE ABOUT]...

Reads DIRECTORY/NAME.json of each; writes leak-matrix.md and leak-matrix.svg there and prints the
table. A vector counts as tested only where it was seen without the kill switch in the same run.
What cannot be read, or whose rules could not be made, was not run; it never counts as leaked.
"""

import dataclasses
import html
import json
import os
import string
import sys

HELD, LEAKED, UNTESTED, NOT_RUN = "held", "leaked", "untested", "notrun"


@dataclasses.dataclass(frozen=True)
class Row:
    """One vector under one kill switch."""
    group: str
    name: str
    summary: str
    state: str
    frames: int  # seen of it in spite of the kill switch


class Run:
    """What verify said of one kill switch."""

    def __init__(self, title, about, rows, why=""):
        self.title, self.about, self.why = title, about, why
        self.rows = {row.name: row for row in rows}

    def state(self, name):
        return self.rows[name].state if name in self.rows else NOT_RUN

    def count(self, *states, group=None):
        return sum(row.state in states and group in (None, row.group)
                   for row in self.rows.values())

    def leaked(self, group=None):
        return self.count(LEAKED, group=group)

    def tested(self, group=None):
        return self.count(HELD, LEAKED, group=group)

    def frames(self):
        return sum(row.frames for row in self.rows.values() if row.state == LEAKED)


def state_of(vector):
    """From the frames, and not from a word: what was seen in spite of the kill switch has leaked."""
    if not vector["unfenced"]["frames"]:
        return UNTESTED
    if vector["fenced"]["frames"]:
        return LEAKED
    return HELD if vector["verdict"] == "held" else UNTESTED


def read(path, title, about):
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
        rows = [Row(v["group"], v["name"], v["summary"], state_of(v), v["fenced"]["frames"] or 0)
                for v in said["vectors"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Run(title, about, [], f"{type(error).__name__}: {error}")
    return Run(title, about, rows, "" if rows else "no vector was fired")


def catalogue(runs):
    """{group: [(name, summary)]} of every vector that any run knows, in their order."""
    groups = {}
    for run in runs:
        for row in run.rows.values():
            vectors = groups.setdefault(row.group, [])
            if (row.name, row.summary) not in vectors:
                vectors.append((row.name, row.summary))
    return groups


# The table

def table(runs):
    """In Markdown, padded so that it reads well as text."""
    lines = [["leaked, of those fired", *(run.title for run in runs)]]
    for group in catalogue(runs):
        lines.append([group, *(share(run, group) for run in runs)])
    lines.append(["**all**", *(f"**{share(run)}**" for run in runs)])
    lines.append(["frames seen", *(str(run.frames()) if run.rows else "not run" for run in runs)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(runs) + 1)]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        "| " + " | ".join([line[0].ljust(widths[0]),
                           *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:]))]) + " |"
        for line in lines) + "\n"


def share(run, group=None):
    """How many leaked of how many; a dash where none could be tested."""
    if not run.rows:
        return "not run"
    tested = run.tested(group)
    return f"{run.leaked(group)}/{tested}" if tested else "-"


# The picture: bars, one for each kill switch, are the key to the columns of the grid below them.

WIDTH, MARGIN, GUTTER = 900, 20, 28
BAR, ROW, CELL = 38, 15, 24
BLOCKS = 2

# What has a colour: (class, property, light, dark). No variables: not every viewer knows them.
COLOURS = [
    ("paper", "fill", "#ffffff", "#0d1117"), ("ink", "fill", "#1f2328", "#e6edf3"),
    ("soft", "fill", "#656d76", "#8d96a0"), ("track", "fill", "#d8efe0", "#12361f"),
    ("leak", "fill", "#cf222e", "#f85149"), ("held", "stroke", "#1a7f37", "#3fb950"),
    ("cross", "stroke", "#ffffff", "#0d1117"), ("none", "stroke", "#656d76", "#8d96a0"),
    ("rule", "stroke", "#d0d7de", "#30363d"),
]
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; }
.title { font-size: 18px; font-weight: 600; } .small { font-size: 11px; } .bold { font-weight: 600; }
.key { font-weight: 600; text-anchor: middle; }
.name { font: 11px ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
path, circle { fill: none; stroke-width: 1.6; } .rule { stroke-width: 1; }
"""


def style():
    light, dark = ("".join(f".{name} {{ {what}: {colours[i]}; }}\n"
                           for name, what, *colours in COLOURS) for i in range(2))
    return f"{STYLE}{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n"


# Each is 11 by 11, around its middle. Told apart by shape, not by colour alone.
SIGNS = {
    HELD: '<path class="held" d="M-4 0 l3 3 l5 -6"/>',
    LEAKED: '<rect class="leak" x="-5.5" y="-5.5" width="11" height="11" rx="2"/>'
            '<path class="cross" d="M-3 -3 l6 6 m0 -6 l-6 6"/>',
    UNTESTED: '<path class="none" d="M-3 0 h6"/>',
    NOT_RUN: '<circle class="none" r="3"/>',
}
WORDS = {HELD: "held", LEAKED: "leaked", UNTESTED: "not tested", NOT_RUN: "not run"}


def text(x, y, what, kind="ink"):
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{html.escape(what)}</text>'


def sign(state, x, y):
    return f'<use href="#{state}" x="{x:g}" y="{y:g}"/>'


def bars(runs, top):
    """A kill switch: its letter and name, how much of what was fired at it leaked, what it is."""
    out, left, width = [], 150, 540
    for i, run in enumerate(runs):
        y = top + i * BAR
        out += [text(MARGIN + 8, y + 12, string.ascii_uppercase[i], "ink key"),
                text(MARGIN + 26, y + 12, run.title)]
        if not run.rows:
            out.append(text(left, y + 12, "not run", "soft"))
            continue
        part = run.leaked() / max(1, run.tested())
        out += [f'<rect class="track" x="{left}" y="{y + 2}" width="{width}" height="13" rx="3"/>',
                f'<rect class="leak" x="{left}" y="{y + 2}" width="{part * width:.1f}" height="13" '
                'rx="3"/>' if run.leaked() else "",
                text(left + width + 12, y + 12, f"{run.leaked()} of {run.tested()} leaked, "
                     f"{run.frames()} frames")]
        out.append(text(left, y + 28, run.about, "soft small"))
    return out, top + len(runs) * BAR


def legend(top):
    out = []
    for i, (state, word) in enumerate(WORDS.items()):
        x = MARGIN + 8 + i * 110
        out += [sign(state, x, top + 8), text(x + 12, top + 12, word, "soft")]
    return out, top + ROW


def lines_of(groups):
    """The grid's lines, groups' headings among them: (group, None) or (name, summary)."""
    return [[(group, None), *vectors] for group, vectors in groups.items()]


def blocks(groups):
    """The groups in BLOCKS columns of about the same height, in order and undivided."""
    parts, total = lines_of(groups), sum(len(v) + 1 for v in groups.values())
    out, done = [[] for _ in range(BLOCKS)], 0
    for part in parts:
        middle = done + len(part) / 2
        out[min(BLOCKS - 1, int(middle * BLOCKS / max(1, total)))] += part
        done += len(part)
    return out


def grid(runs, block, left, top, names):
    """One block: the letters, then a line for each vector."""
    def column(i):
        return left + names + CELL * (i + 0.5)
    out = [text(column(i), top, string.ascii_uppercase[i], "ink key") for i in range(len(runs))]
    y = top
    for name, summary in block:
        y += ROW + (4 if summary is None else 0)
        if summary is None:
            right = left + names + CELL * len(runs)
            out += [text(left, y, name, "ink bold"),
                    f'<path class="rule" d="M{left:g} {y + 3.5:g} H{right:g}"/>']
            continue
        signs = "".join(sign(run.state(name), column(i), y - 4) for i, run in enumerate(runs))
        out.append(f"<g><title>{html.escape(summary)}</title>"
                   f"{text(left, y, name, 'ink name')}{signs}</g>")
    return out, y


def picture(runs, where):
    out, y = bars(runs, 62)
    key, y = legend(y + 6)
    out += key
    names = (WIDTH - 2 * MARGIN - GUTTER * (BLOCKS - 1)) / BLOCKS - CELL * len(runs)
    bottom = top = y + 26
    for i, block in enumerate(blocks(catalogue(runs))):
        left = MARGIN + i * (names + CELL * len(runs) + GUTTER)
        cells, end = grid(runs, block, left, top, names)
        out += cells
        bottom = max(bottom, end)
    height = bottom + MARGIN
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" '
            f'width="{WIDTH}" height="{height:g}" role="img">',
            "<title>Ways out that kill switches leave open</title>", f"<style>{style()}</style>",
            "<defs>", *(f'<g id="{state}">{shape}</g>' for state, shape in SIGNS.items()), "</defs>",
            f'<rect class="paper" width="{WIDTH}" height="{height:g}"/>',
            text(MARGIN, 30, "Ways out that kill switches leave open", "ink title"),
            text(MARGIN, 48, f"the tunnel is up or was killed; each way leaks without a kill switch; "
                 f"judged on the far side of the wire; {where}", "soft")]
    return "\n".join([*head, *filter(None, out), "</svg>"]) + "\n"


def main():
    directory, *words = sys.argv[1:]
    runs = [read(os.path.join(directory, f"{name}.json"), title, about)
            for name, title, about in zip(words[::3], words[1::3], words[2::3])]
    for run in runs:
        if run.why:
            print(f"leak_matrix.py: '{run.title}' was not run: {run.why}", file=sys.stderr)
    for name, what in (("leak-matrix.md", table(runs)),
                       ("leak-matrix.svg", picture(runs, f"Linux {os.uname().release}"))):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(what)
    print(table(runs), end="")


if __name__ == "__main__":
    main()
