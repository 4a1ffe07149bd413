# SPDX-License-Identifier: GPL-2.0
"""A picture of a terminal, made from what was written there: SVG with selectable text, and nothing
but tests/e2e/terminal.py to make it from. Knows the colours of user/colour.h and no other escape."""

import html
import re
import xml.etree.ElementTree as xml

COLUMNS, LINE, COLUMN, MARGIN, FONT = 80, 19, 8.43, 16, 14
CLASSES = {"1;32": "good", "1;31": "bad", "1": "name", "2": "faint"}
SVG = "{http://www.w3.org/2000/svg}"
STYLE = f"""text {{ font: {FONT}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; \
fill: #d0d4dc; white-space: pre }}
.good {{ fill: #6fd68a; font-weight: bold }}
.bad {{ fill: #ff7b72; font-weight: bold }}
.name {{ fill: #ffffff; font-weight: bold }}
.faint {{ fill: #8b93a1 }}"""


def spans(line, state=""):
    """The (class, text) that a line consists of, and the class that it ends in."""
    found = []
    for text, code in re.findall(r"([^\x1b]*)(?:\x1b\[([0-9;]*)m)?", line):
        if text:
            found.append((state, text))
        if code:
            state = "" if code == "0" else CLASSES[code]
    return found, state


def screen(command, said):
    """Its lines, as lists of (class, text)."""
    lines, state = [[("faint", "$ "), ("", command)]], ""
    for line in said.rstrip("\n").split("\n"):
        found, state = spans(line, state)
        lines.append(found)
    return lines


def draw(lines):
    width = round(COLUMNS * COLUMN + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN
    rows = []
    for number, line in enumerate(lines):
        inner = "".join(f'<tspan class="{kind}">{html.escape(text)}</tspan>' if kind else
                        f"<tspan>{html.escape(text)}</tspan>" for kind, text in line)
        rows.append(f'<text x="{MARGIN}" y="{MARGIN + FONT + number * LINE}" '
                    f'xml:space="preserve">{inner}</text>')
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">', f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#161b22"/>', *rows, "</svg>", ""])


def read(text):
    """The lines that a picture was drawn from."""
    return [[(span.get("class", ""), span.text) for span in line.iter(SVG + "tspan")]
            for line in xml.fromstring(text).iter(SVG + "text")]


def alike(lines):
    """Without what is different each time: numbers, and the spaces that they leave; or elsewhere:
    what not every kernel has."""
    def plain(text):
        text = re.sub(r"\bnamespace, |;[^;]* not on this kernel", "", text)
        text = re.sub(r"\d+ (second|minute)s?", "0 seconds", text)
        return re.sub(r" +", " ", re.sub(r"\d+", "0", text)).strip()
    return [[(kind, shown) for kind, text in line if (shown := plain(text))] for line in lines]
