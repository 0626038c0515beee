"""Draws figures as SVG for a page, and as PNG and SVG files; the bytes are reproducible."""

import html
import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.report.blocks import Figure
from nmt.text.lines import open_output, writing_to

_INK = "#0a0b0c"
"""Placeholder in the SVG for the page's text colour."""
_STYLE = Path(__file__).with_name("style.mplstyle")
_FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Naskh Arabic")


def inline_svg(figure: Figure) -> str:
    """Draw a figure for a page, in the page's text colour, for light and dark mode."""
    svg = _drawn(figure, "svg", ink=_INK, fonttype="none").decode()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r'(?<=<g) id="[^"]*"', "", svg)  # the same in every figure
    width = round(figure.size[0] * 96)
    # A phone shows it a little smaller; below the minimum width it scrolls.
    style = f"width:{width}px;min-width:{round(0.85 * width)}px;height:auto"
    label = html.escape(figure.title)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" style="{style}" ', 1)
    # The page sets the fonts; matplotlib names its own for every text.
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    return re.sub(r">\s+<", "><", svg)


def save_images(figures: Sequence[Figure], folder: Path) -> None:
    """Write each figure as NAME.svg and NAME.png.

    Raises:
        DataError, NmtError: the folder cannot be made or written to.
    """
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        for ending in ("svg", "png"):
            with open_output(folder / f"{figure.name}.{ending}") as stream:
                stream.write(_drawn(figure, ending, ink="black", fonttype="path"))


def _drawn(figure: Figure, ending: str, *, ink: str, fonttype: str) -> bytes:
    from matplotlib import font_manager, rc_context
    from matplotlib.figure import Figure as Canvas

    installed = {font.name for font in font_manager.fontManager.ttflist}
    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    settings: dict[Any, Any] = dict.fromkeys((*inked, "grid.color"), ink) | {
        "font.family": [font for font in _FONTS if font in installed],
        "svg.fonttype": fonttype,
        "svg.hashsalt": figure.name,
    }
    entries = ("Creator", "Date", "Format", "Type") if ending == "svg" else ("Software",)
    metadata: dict[str, Any] = dict.fromkeys(entries)  # without them the bytes are the same
    stream, clear = io.BytesIO(), ending == "svg"
    with rc_context(settings, _STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph is missing in all fonts
        canvas = Canvas(figsize=figure.size, layout="constrained")
        figure.draw(canvas.add_subplot())
        canvas.savefig(stream, format=ending, dpi=300, transparent=clear, metadata=metadata)
    return stream.getvalue()
