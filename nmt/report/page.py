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
    Section,
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
    links = [
        f'<a href="#{_anchor(number)}">{escape(section.title)}</a>'
        for number, section in enumerate(report.sections)
    ]
    sections = itertools.starmap(_section, enumerate(report.sections))
    title = escape(report.title)
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


def _anchor(number: int) -> str:
    return f"part-{number + 1}"


def _section(number: int, section: Section) -> str:
    heading = f"<h2>{escape(section.title)}</h2>"
    return f'<section id="{_anchor(number)}">{heading}\n{_blocks(section.blocks)}</section>\n'


def _blocks(blocks: Sequence[Block]) -> str:
    """Return the HTML of blocks; consecutive figures share a grid."""
    parts = []
    for is_figure, group in itertools.groupby(blocks, lambda block: isinstance(block, Figure)):
        inner = "".join(map(_block, group))
        parts.append(f'<div class="grid">{inner}</div>\n' if is_figure else inner)
    return "".join(parts)


def _block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{_prose(text)}</p>\n"
        case Verdict(level, text):
            sign = f'<span class="sign" aria-hidden="true">{_SIGNS[level]}</span>'
            return f'<p class="finding {level}">{sign} {_prose(text)}</p>\n'
        case Table():
            return _table(block)
        case Figure():
            title = escape(block.title)
            return (
                f'<figure><div class="scroll">{inline_svg(block)}</div>'
                f"<figcaption>{title}</figcaption></figure>\n"
            )
        case Sentences(lines, languages):
            entries = "".join(
                f"<dt>{escape(label)}</dt><dd{_lang(languages and languages[number > 0])} "
                f'dir="auto">{_spans(spans)}</dd>'
                for number, (label, spans) in enumerate(lines)
            )
            return f'<dl class="sentences">{entries}</dl>\n'
        case Code(text):
            return f"<pre>{escape(text)}</pre>\n"
        case Details(title, blocks):
            inner = _blocks(blocks)
            return f"<details><summary>{escape(title)}</summary>\n{inner}</details>\n"


def _prose(text: str) -> str:
    """Return the HTML of text, with commands in backticks as code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))


def _lang(tag: str | None) -> str:
    return f' lang="{escape(tag)}"' if tag else ""


def _table(table: Table) -> str:
    kinds = [' class="word"' if i in table.words else "" for i in range(len(table.columns))]
    cells = [kind + _lang(table.languages.get(i)) for i, kind in enumerate(kinds)]
    head = "".join(
        f'<th scope="col"{kind}>{escape(column)}</th>'
        for column, kind in zip(table.columns, kinds, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, cells, strict=True))
        + "</tr>\n"
        for row in table.rows
    )
    # Not a <caption>, which would scroll with a wide table.
    title = f'<p class="caption">{escape(table.title)}</p>' if table.title else ""
    label = f' role="region" aria-label="{escape(table.title)}"' if table.title else ""
    return (
        f'{title}<div class="scroll" tabindex="0"{label}><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>\n"
    )


def _spans(spans: Sequence[Span]) -> str:
    parts = []
    for mark, text in spans:
        tag = _TAGS.get(mark)
        parts.append(f"<{tag}>{escape(text)}</{tag}>" if tag else escape(text))
    return "".join(parts)
