import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from nmt.errors import DataError
from nmt.report.blocks import Figure
from nmt.report.drawing import inline_svg, save_images
from nmt.report.plots import Line, alignment, heat, lines

SVG = "{http://www.w3.org/2000/svg}"


def test_images_are_png_and_svg_and_always_the_same(tmp_path: Path) -> None:
    draw = lines([Line("a", [0, 1], [1, 2]), Line("b", [0, 1], [2, 1])], "x", "y")
    figures = [Figure("one", "One", draw), Figure("two", "Two", draw, (2, 2))]
    for folder in ("first", "second"):
        save_images(figures, tmp_path / "new" / folder)
    names = sorted(path.name for path in (tmp_path / "new" / "first").iterdir())
    assert names == ["one.png", "one.svg", "two.png", "two.svg"]
    for name in names:
        first, second = ((tmp_path / "new" / f / name).read_bytes() for f in ("first", "second"))
        assert first == second
        if name.endswith(".png"):
            assert first.startswith(b"\x89PNG\r\n\x1a\n")
        else:
            assert ET.fromstring(first).tag == f"{SVG}svg"


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=f"cannot write {tmp_path}/file/images"):
        save_images([], tmp_path / "file" / "images")


def test_letters_of_pieces_are_drawn_as_they_are() -> None:
    pieces = ["▁$\\frac$", "<&>", "a\nb\x1b\xa0"]
    draw = alignment([[0.5, 0.25, 0.25]], pieces, ["日"])
    svg = inline_svg(Figure("a", "A", draw))
    texts = [node.text for node in ET.fromstring(svg).iter(f"{SVG}text")]
    assert texts == ["▁$\\frac$", "<&>", "a\ufffdb\ufffd\xa0", "日"]


def test_a_map_leaves_out_what_is_not_known() -> None:
    from matplotlib.figure import Figure as Canvas

    axes = Canvas().add_subplot()
    rows = [[1.0, None, None], [0.5, 1e-12, None]]
    heat(rows, "x", "y", (1e-8, 1.0))(axes)
    (image,) = axes.get_images()
    shown = image.get_array()
    assert shown is not None and shown.shape == (2, 2)
    assert shown.mask.tolist() == [[False, True], [False, False]]
    assert shown[1].tolist() == [0.5, 1e-8]


def test_axes_of_powers_are_written_plainly() -> None:
    draw = lines([Line("a", [0, 1], [1e-6, 1])], "x", "y", log=True)
    texts = [
        node.text for node in ET.fromstring(inline_svg(Figure("a", "A", draw))).iter(f"{SVG}text")
    ]
    assert "1e\N{MINUS SIGN}06" in texts and "1" in texts


def test_every_named_line_is_in_the_legend_whatever_its_name() -> None:
    long = f"start{'x' * 60}end"
    plotted = [Line(name, [0, 1], [1, 2]) for name in ("_hidden", long, "")]
    svg = inline_svg(Figure("a", "A", lines(plotted, "x", "y")))
    texts = [str(node.text).strip() for node in ET.fromstring(svg).iter(f"{SVG}text")]
    assert "_hidden" in texts
    (shortened,) = (text for text in texts if text.startswith("startx"))
    assert shortened.endswith("xend") and len(shortened) < 40
