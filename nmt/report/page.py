"""Writes a report as one self-contained HTML file, without network or scripts."""

import html
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from nmt.diagnosis.records import Verdict
from nmt.report.blocks import (
    Block,
    Code,
    Details,
    Figure,
    Paragraph,
    Report,
    Sentences,
    Span,
    Table,
)
from nmt.report.drawing import inline_svg

_TAGS = {"insert": "ins", "delete": "del"}
_SIGNS = {"good": "✓", "warning": "!", "bad": "✗"}


def page(report: Report) -> bytes:
    """Return the HTML of a report, in UTF-8."""
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    links, sections, title = [], [], escape(report.title)
    for number, section in enumerate(report.sections, start=1):
        heading, anchor = escape(section.title), f"part-{number}"
        links.append(_element("a", heading, href=f"#{anchor}"))
        content = _element("h2", heading) + _blocks(section.blocks)
        sections.append(_element("section", content, id=anchor))
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<header><h1>{title}</h1>
<nav>{" ".join(links)}</nav></header>
<main>
{"".join(sections)}</main>
</body>
</html>
"""
    return text.encode("utf-8", "replace")  # a lone surrogate has no encoding


def escape(text: str) -> str:
    """Escape text for tags and attributes; every text of a page passes through here."""
    return html.escape(text.replace("\0", "\ufffd"))


def _element(tag: str, *content: str, **attributes: str | None) -> str:
    """Return an element of HTML contents; attributes are escaped, and left out without a value."""
    given = {name.strip("_").replace("_", "-"): value for name, value in attributes.items()}
    written = "".join(f' {name}="{escape(value)}"' for name, value in given.items() if value)
    return f"<{tag}{written}>{''.join(content)}</{tag}>"


def _blocks(blocks: Sequence[Block]) -> str:
    """Return the HTML of blocks, one a line; consecutive figures share a grid."""
    parts = []
    for is_figure, group in itertools.groupby(blocks, lambda block: isinstance(block, Figure)):
        inner = "\n".join(map(_block, group))
        parts.append(_element("div", inner, class_="grid") if is_figure else inner)
    return "\n".join(["", *parts, ""])


def _block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return _element("p", _prose(text))
        case Verdict(level, text):
            sign = _element("span", _SIGNS[level], class_="sign", aria_hidden="true")
            return _element("p", sign, " ", _prose(text), class_=f"finding {level}")
        case Table():
            return _table(block)
        case Figure(title=title):
            plot = _element("div", inline_svg(block), class_="scroll")
            return _element("figure", plot, _element("figcaption", escape(title)))
        case Sentences(lines, languages):
            entries = []
            for number, (label, spans) in enumerate(lines):
                language = languages[number > 0] if languages else None
                entries.append(_element("dt", escape(label)))
                entries.append(_element("dd", _spans(spans), lang=language, dir="auto"))
            return _element("dl", *entries, class_="sentences")
        case Code(text):
            return _element("pre", escape(text))
        case Details(title, blocks):
            return _element("details", _element("summary", escape(title)), _blocks(blocks))


def _prose(text: str) -> str:
    """Return the HTML of text, with commands in backticks as code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))


def _table(table: Table) -> str:
    kinds = ["word" if i in table.words else None for i in range(len(table.columns))]
    columns = zip(table.columns, kinds, strict=True)
    head = [_element("th", escape(name), scope="col", class_=kind) for name, kind in columns]
    rows = []
    for row in table.rows:
        cells = [
            _element("td", escape(cell), class_=kinds[i], lang=table.languages.get(i))
            for i, cell in enumerate(row)
        ]
        rows.append(_element("tr", *cells))
    whole = _element("thead", _element("tr", *head)) + _element("tbody", "\n".join(rows))
    # Not a <caption>, which would scroll with a wide table.
    caption = _element("p", escape(table.title), class_="caption") if table.title else ""
    label = {"role": "region", "aria_label": table.title} if table.title else {}
    scroll = {"class_": "scroll", "tabindex": "0", **label}
    return caption + _element("div", _element("table", whole), **scroll)


def _spans(spans: Sequence[Span]) -> str:
    return "".join(
        _element(_TAGS[mark], escape(text)) if mark else escape(text) for mark, text in spans
    )
