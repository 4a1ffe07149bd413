#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Makes table and picture of what `tunfence verify --json` said of several kill switches.

    leak_matrix.py DIRECTORY NAME TITLE ABOUT [NAME TITLE ABOUT]...

Reads DIRECTORY/NAME.json of each; writes leak-matrix.md, leak-matrix.svg and vectors.md there and
prints the table. A vector counts as tested only where it was seen without the kill switch in the
same run. What cannot be read, or whose rules could not be made, was not run: it counts neither as
leaked nor as held. The kill switch called "nothing" is the control: what did not get through there
is no vector to rely on, so nobody is said to have held it.
"""

import dataclasses
import html
import json
import os
import sys

CONTROL = "nothing"
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


def frames_of(vector):
    """In spite of the kill switch; where that could not be tried, verify says null."""
    return (vector["fenced"] or {"frames": 0})["frames"]


def state_of(vector):
    """From the frames, not from a word: what was seen in spite of the kill switch has leaked."""
    if not vector["unfenced"]["frames"]:
        return UNTESTED
    if frames_of(vector):
        return LEAKED
    return HELD if vector["verdict"] == "held" else UNTESTED


def read(path, title, about):
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
        if not said["tunnel_works"]:
            return Run(title, about, [], "it blocks its own tunnel")
        rows = [Row(v["group"], v["name"], v["summary"], state_of(v), frames_of(v))
                for v in said["vectors"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"leak_matrix.py: {path}: {type(error).__name__}: {error}", file=sys.stderr)
        return Run(title, about, [], "verify gave no answer")
    return Run(title, about, rows, "" if rows else "no vector was fired")


def distrust(runs, control):
    """What the control did not let through, nobody is said to have held. Gives its names."""
    unsteady = [row.name for row in control.rows.values() if row.state == HELD]
    for run in runs:
        for name in unsteady:
            if run.state(name) == HELD:
                run.rows[name] = dataclasses.replace(run.rows[name], state=UNTESTED)
    return unsteady


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


# The picture: a bar for each kill switch, and below a field for each group, with one sign a vector.

WIDTH, MARGIN = 900, 20
BAR, LABEL = 36, 130    # of the bars: height of one, room for a name
PITCH = 8               # from one sign to the next
GAP = 14                # between groups

# What has a colour: (class, property, light, dark). No variables: not every viewer knows them.
COLOURS = [
    ("paper", "fill", "#ffffff", "#0d1117"), ("ink", "fill", "#1f2328", "#e6edf3"),
    ("soft", "fill", "#656d76", "#8d96a0"), ("track", "fill", "#d8efe0", "#12361f"),
    ("bar", "fill", "#cf222e", "#f85149"), (LEAKED, "stroke", "#cf222e", "#f85149"),
    (HELD, "stroke", "#2da44e", "#3fb950"), ("cross", "stroke", "#ffffff", "#0d1117"),
    (UNTESTED, "stroke", "#8c959f", "#6e7681"), ("rule", "stroke", "#d0d7de", "#30363d"),
]
STYLE = f"""
text {{ font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; }}
.title {{ font-size: 18px; font-weight: 600; }} .bold {{ font-weight: 600; }}
.small {{ font-size: 11px; }} .middle {{ text-anchor: middle; }}
.{HELD} {{ stroke-width: 3.5; stroke-linecap: round; }}
.{LEAKED} {{ stroke-width: 6; }} .cross {{ fill: none; }}
"""


def style():
    light, dark = ("".join(f".{name} {{ {what}: {colours[i]}; }}\n"
                           for name, what, *colours in COLOURS) for i in range(2))
    return f"{STYLE}{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n"


def text(x, y, what, kind="ink"):
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{html.escape(what)}</text>'


def path(kind, commands):
    return [f'<path class="{kind}" d="{"".join(commands)}"/>'] if commands else []


def signs(state, places):
    """A dot, a crossed square or a dash at each of the places: told apart without colour too."""
    if state == HELD:
        return path(HELD, [f"M{x:g} {y:g}h.01" for x, y in places])
    if state == UNTESTED:
        return path(UNTESTED, [f"M{x - 2:g} {y:g}h4" for x, y in places])
    squares = [f"M{x - 3:g} {y:g}h6" for x, y in places]
    crosses = [f"M{x - 2:g} {y - 2:g}l4 4m0-4l-4 4" for x, y in places]
    return path(LEAKED, squares) + path("cross", crosses)


def field(run, names, left, top, across):
    """The signs of one group's vectors under one kill switch, in the vectors' order."""
    places = {}
    for i, name in enumerate(names):
        place = (left + PITCH * (i % across + 0.5), top + PITCH * (i // across + 0.5))
        places.setdefault(run.state(name), []).append(place)
    return [line for state in (HELD, UNTESTED, LEAKED)
            for line in signs(state, places.get(state, []))]


def bar(run, y):
    """Its name and what it is, and how much of what was fired at it leaked."""
    left, width = MARGIN + LABEL, 520
    out = [text(MARGIN, y + 12, run.title, "ink bold"),
           text(left, y + 27, run.about, "soft small")]
    if not run.rows:
        return [*out, text(left, y + 12, f"not run: {run.why}"[:90], "soft")]
    part = run.leaked() / max(1, run.tested())
    out.append(f'<rect class="track" x="{left}" y="{y + 2}" width="{width}" height="13" rx="2"/>')
    if run.leaked():
        out.append(f'<rect class="bar" x="{left}" y="{y + 2}" '
                   f'width="{max(2, part * width):.1f}" height="13" rx="2"/>')
    return [*out, text(left + width + 12, y + 12,
                       f"{run.leaked()} of {run.tested()} leaked, {run.frames()} frames")]


def legend(y):
    out = []
    for i, (state, word) in enumerate(((LEAKED, "leaked"), (HELD, "held"),
                                       (UNTESTED, "not tested, or no verdict"))):
        out += [*signs(state, [(MARGIN + 4 + 90 * i, y - 4)]),
                text(MARGIN + 13 + 90 * i, y, word, "soft small")]
    return out


def grid(runs, top):
    """A line for each group, a column for each kill switch. Gives where it ends, too."""
    left = MARGIN + 82
    column = (WIDTH - MARGIN - left) / max(1, len(runs))
    across = max(1, int((column - 6) // PITCH))
    out = [text(left + column * i + PITCH * across / 2, top, run.title, "ink small middle")
           for i, run in enumerate(runs)]
    y = top + GAP
    for group, vectors in catalogue(runs).items():
        names = [name for name, _ in vectors]
        out += [f'<path class="rule" d="M{MARGIN} {y - 5:g}H{WIDTH - MARGIN}"/>',
                text(MARGIN, y + 9, group, "ink small")]
        for i, run in enumerate(runs):
            out += field(run, names, round(left + column * i), y + 1, across)
        y += PITCH * -(-len(names) // across) + GAP
    return out, y


def picture(runs, where):
    top = 64
    body = [line for i, run in enumerate(runs) for line in bar(run, top + BAR * i)]
    top += BAR * len(runs) + 16
    body += legend(top)
    cells, height = grid(runs, top + 30)
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" '
            f'width="{WIDTH}" height="{height:g}" role="img">',
            "<title>Ways out that kill switches leave open</title>", f"<style>{style()}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{height:g}"/>',
            text(MARGIN, 30, "Ways out that kill switches leave open", "ink title"),
            text(MARGIN, 48, "tunnel up, or just killed; each way leaks without a kill switch; "
                 f"judged on the far side of the wire; {where}", "soft")]
    return "\n".join([*head, *body, *cells, "</svg>"]) + "\n"


def every_vector(runs):
    """Each vector's line, in Markdown: what became of it under each kill switch."""
    words = {HELD: "held", LEAKED: "**leaked**", UNTESTED: "not tested", NOT_RUN: "not run"}
    lines = [["group", "vector", *(run.title for run in runs), "what is tried"]]
    lines.append(["---"] * len(lines[0]))
    lines += [[group, name, *(words[run.state(name)] for run in runs), summary]
              for group, vectors in catalogue(runs).items() for name, summary in vectors]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main():
    directory, *words = sys.argv[1:]
    runs = [read(os.path.join(directory, f"{name}.json"), title, about)
            for name, title, about in zip(words[::3], words[1::3], words[2::3])]
    if CONTROL in words[::3]:
        if unsteady := distrust(runs, runs[words[::3].index(CONTROL)]):
            print(f"leak_matrix.py: nobody is said to have held {', '.join(unsteady)}: not seen "
                  "without a kill switch either", file=sys.stderr)
    kernel = ".".join(os.uname().release.split(".")[:2])
    for name, what in (("leak-matrix.md", table(runs)), ("vectors.md", every_vector(runs)),
                       ("leak-matrix.svg", picture(runs, f"Linux {kernel}"))):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(what)
    print(table(runs), end="")


if __name__ == "__main__":
    main()
