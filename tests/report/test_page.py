import itertools
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nmt.report.blocks import Details, Paragraph, Report, Section, Sentences, Table
from nmt.report.page import page
from nmt.report.plots import named_points
from nmt.report.run_report import make_report, write_page
from tests.report.made import HTML, make_diagnosed_run, make_run, poor_hypotheses

VOID = {"meta", "link", "br"}


class Reader(HTMLParser):
    """Checks that every tag is closed, and keeps tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(content: bytes) -> Reader:
    reader = Reader()
    reader.feed(content.decode())
    reader.close()
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The page of a run that has everything."""
    return page(make_report([make_diagnosed_run(tmp_path_factory.mktemp("whole") / "run")]))


def test_the_page_needs_nothing_else_and_holds_no_foreign_markup(whole: bytes) -> None:
    reader = read(whole)
    assert "script" not in {tag for tag, _ in reader.tags}
    for _, attributes in reader.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("href", "src", "xlink:href"):
                assert value is not None and value.startswith(("#", "data:")), value
    text = re.sub(rb'xmlns(:xlink)?="[^"]*"', b"", whole)
    assert not re.search(rb"https?://", text)
    assert b"@import" not in text and not re.search(rb"url\((?!#)", text)
    assert HTML in "".join(reader.text)


def test_the_page_has_every_section_with_its_figures(whole: bytes) -> None:
    reader = read(whole)
    ids = [found["id"] for tag, found in reader.tags if tag == "section"]
    links = [str(found["href"])[1:] for tag, found in reader.tags if tag == "a"]
    assert ids == links[: len(ids)] and len(ids) == 12
    titles = re.findall(r"<h2>(.*?)</h2>", whole.decode())
    assert titles == [
        "Scores",
        "Training",
        "By source length",
        "Loss of the tokens",
        "Gradient flow",
        "State probes",
        "Map of final states",
        "Translations",
        "Candidates and alignments",
        "Settings",
        "Data",
        "Environment",
    ]
    # 6 curves, 3 by length, 2 losses, 3 flow curves, 3 maps, the sum, 2 probes, states, alignment
    assert sum(tag == "svg" for tag, _ in reader.tags) == 22
    assert len(whole) < 1_000_000


def test_references_inside_the_page_lead_somewhere(whole: bytes) -> None:
    reader = read(whole)
    there = {found["id"] for _, found in reader.tags if "id" in found}
    wanted = {found[name] for _, found in reader.tags for name in found if name.endswith("href")}
    assert {str(one)[1:] for one in wanted if str(one).startswith("#")} <= there
    assert set(re.findall(r"url\(#([^)]*)\)", whole.decode())) <= there


def test_the_same_folder_gives_the_same_bytes(whole: bytes, tmp_path: Path) -> None:
    assert page(make_report([make_diagnosed_run(tmp_path / "run")])) == whole


def test_plots_take_the_page_s_ink(whole: bytes) -> None:
    assert b"currentColor" in whole and b"#0a0b0c" not in whole
    assert b"prefers-color-scheme: dark" in whole and b"@media print" in whole


def test_marked_words_are_told_by_more_than_colour() -> None:
    lines = [("reference", [("insert", "a<"), ("", " b")]), ("x", [("delete", "c")])]
    content = page(Report("t", [Section("s", [Sentences(lines)])])).decode()
    assert '<dd dir="auto"><ins>a&lt;</ins> b</dd>' in content
    assert '<dd dir="auto"><del>c</del></dd>' in content
    assert re.search(r"ins \{[^}]*underline", content)
    assert re.search(r"del \{[^}]*line-through", content)


def test_all_text_is_escaped_and_has_bytes() -> None:
    odd = "<i>\0\ud800&"
    blocks = [Paragraph(odd), Table([odd], [[odd]], title=odd), Details(odd, [Paragraph(odd)])]
    content = page(Report(odd, [Section(odd, blocks)]))
    assert b"<i>" not in content and b"\0" not in content
    read(content)


def test_what_is_missing_is_left_out_and_its_command_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", poor_hypotheses())
    for name in ("translations.test.jsonl", "scores.test.json", "environment.json", "metrics.csv"):
        (run / name).unlink()
    shutil.rmtree(run / "model")
    content = page(make_report([run])).decode()
    titles = re.findall(r"<h2>(.*?)</h2>", content)
    assert titles == ["Training", "Settings", "Not computed"]
    assert "<code>nmt diagnose RUN</code>" in content and "`" not in content
    assert "<svg" not in content


def test_an_older_run_without_translations_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", poor_hypotheses())
    (run / "translations.test.jsonl").unlink()
    content = page(make_report([run])).decode()
    assert "the translations of test are missing" in content
    assert "By source length" not in content


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_a_browser_opens_the_page_without_complaint(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    write_page(make_report([make_diagnosed_run(tmp_path / "run")]), out)
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    profile = f"--user-data-dir={tmp_path}/profile"
    done = subprocess.run(
        ["chromium", *words, profile, "--dump-dom", out.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<svg") == 22
    assert "<script" not in done.stdout


def test_sentences_have_their_language_and_no_terminal_s_marks(whole: bytes) -> None:
    content = whole.decode()
    assert '<dt>source</dt><dd lang="de" dir="auto">' in content
    assert '<dt>reference</dt><dd lang="en" dir="auto">' in content
    assert 'lang="en">a &lt;b&gt;</td>' in content  # a candidate
    assert "{+" not in content and "[-" not in content and "`" not in content
    assert "teacher" not in content.partition("all settings")[0]


def test_the_points_of_the_map_have_the_sentences_beside_them() -> None:
    from matplotlib.figure import Figure as Canvas
    from matplotlib.text import Text

    names = [f"Satz {number}" for number in range(30)]
    canvas = Canvas(figsize=(7.5, 6.6), layout="constrained")
    axes = canvas.add_subplot()
    named_points(names, [0.0] * 30, [0.001 * number for number in range(30)], "x", "y")(axes)
    canvas.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without their lines
    assert sorted(text.get_text().strip() for text in axes.texts) == sorted(names)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert max(box.x1 for box in boxes) <= canvas.bbox.x1
