"""The page of `nmt serve` in headless Chromium; `scripts/page_checks.sh` installs what it needs.

`NMT_SCREENSHOTS` names a folder for pictures of it.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nmt.inference.translator import Translator
from tests.conftest import Command
from tests.serving.conftest import Served, attentive, backwards, serving

__all__ = ["attentive", "backwards"]
playwright = pytest.importorskip("playwright.sync_api", reason="scripts/page_checks.sh")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="scripts/page_checks.sh")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="scripts/page_checks.sh")

FIRST, SECOND = "Der Hund schläft.", "Ein alter Mann liest heute ein Buch."


@pytest.fixture(scope="module")
def server(
    tiny_run: Path, attentive: Path, backwards: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("page") / "log"
    with serving(log, tiny_run, attentive, backwards) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark", "phone"])
def look(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def open_page(browser: Any, server: Served, look: str = "light") -> Any:
    """Open the page, and note what it asks other hosts for, and its errors."""
    size = {"width": 390, "height": 844} if look == "phone" else {"width": 1200, "height": 900}
    page = browser.new_context(
        viewport=size, color_scheme="dark" if look == "dark" else "light", accept_downloads=True
    ).new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda one: one.type == "error" and page.faults.append(one.text))
    page.on(
        "request",
        lambda one: (
            one.url.startswith((server.url, "blob:", "data:")) or page.faults.append(one.url)
        ),
    )
    page.goto(server.url)
    until(page, "document.querySelector('#model').options.length > 0")
    return page


@pytest.fixture
def page(browser: Any, server: Served) -> Iterator[Any]:
    page = open_page(browser, server)
    yield page
    assert page.faults == []
    page.context.close()


def until(page: Any, true: str) -> None:
    """Wait; Playwright's own way needs `eval`, which the page forbids."""
    end = time.monotonic() + 60
    while not page.evaluate(true):
        assert time.monotonic() < end, true
        page.wait_for_timeout(20)


def type_text(page: Any, text: str) -> None:
    """Type, and wait for the translation."""
    page.fill("#source", text)
    until(
        page,
        "!document.querySelector('#target').classList.contains('stale') "
        "&& document.querySelector('#status').textContent === ''",
    )


def read(page: Any) -> list[str]:
    return [one.text_content() for one in page.query_selector_all("#target p")]


def picture(page: Any, name: str) -> None:
    if folder := os.environ.get("NMT_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def choose_attentive(page: Any) -> None:
    labels = page.locator("#model option").all_text_contents()
    row = next(row for row, label in enumerate(labels) if "attentive" in label)
    page.select_option("#model", index=row)


def test_what_is_typed_is_translated_as_nmt_translate_does(page: Any, tiny_run: Path) -> None:
    options = {"n_best": 3}
    expected = [one.text for one in Translator.load(tiny_run).translate([FIRST, SECOND], **options)]
    type_text(page, f"{FIRST}\n\n{SECOND}")
    assert read(page) == [expected[0], "", expected[1]]
    assert page.text_content("#source-name") == "German"
    page.click("#source")
    rows = page.locator("#alternatives li").all_text_contents()
    assert len(rows) == 3 and all(re.search(r"-\d+\.\d\d$", row) for row in rows)


def test_settings_change_the_search(page: Any, tiny_run: Path) -> None:
    type_text(page, FIRST)
    page.click("summary")
    page.select_option("#way", "greedy")
    expected = Translator.load(tiny_run).translate([FIRST], greedy=True)[0].text
    until(page, "document.querySelectorAll('#alternatives li').length === 1")
    assert read(page) == [expected]
    assert not page.is_visible("#beam_size") and page.is_visible("#max_length_ratio")
    assert not page.is_visible("#coverage_penalty")
    page.select_option("#way", "sample")
    assert page.is_visible("#seed")


def test_a_word_shows_what_else_was_likely_and_goes_on_from_it(page: Any, tiny_run: Path) -> None:
    type_text(page, SECOND)
    words = page.locator("#target button")
    assert words.count() > 2
    prefix = read(page)[0][: int(words.nth(1).get_attribute("data-start"))].rstrip()
    words.nth(1).click()
    page.wait_for_selector("#choices li button")
    guesses = page.locator("#choices li button").all_text_contents()
    assert len(guesses) == 8
    text = re.sub(r"[\d.]+ %$", "", guesses[2])
    page.locator("#choices li button").nth(2).click()
    page.wait_for_selector("#target button.kept")
    begin = prefix + (text if re.match(r"[.,;:!?]", text) else f" {text}")
    expected = Translator.load(tiny_run).translate([SECOND], prefixes=[begin], n_best=3)[0].text
    assert read(page) == [expected] and expected.startswith(begin)
    page.click("#free")
    page.wait_for_selector("#free", state="hidden")
    assert page.locator("#target button.kept").count() == 0


def test_an_alternative_can_be_taken(page: Any) -> None:
    type_text(page, SECOND)
    other = page.locator("#alternatives button").nth(1)
    text = other.text_content()
    other.click()
    assert read(page) == [text]
    assert page.locator("#alternatives button").nth(1).get_attribute("aria-pressed") == "true"
    page.click("summary")
    for name, value in {"length_penalty": 0, "beam_size": 5, "n_best": 5}.items():
        page.fill(f"#{name}", str(value))
    until(page, "document.querySelectorAll('#alternatives li').length === 5")
    found = page.locator("#alternatives button").all_text_contents()
    assert read(page) == [text if text in found else found[0]]  # not another of the same rank


def test_a_sentence_that_is_typed_again_is_translated_again(page: Any) -> None:
    """The server may have a newer model."""
    asked: list[str] = []
    page.on("request", lambda one: one.url.endswith("v1/translate") and asked.append(one.url))
    for text in (FIRST, SECOND, FIRST, f"{FIRST}\n{SECOND}"):
        type_text(page, text)
    assert len(asked) == 4


def test_what_is_not_translated_yet_is_not_copied(page: Any) -> None:
    type_text(page, FIRST)
    page.evaluate(
        "document.querySelector('#source').value = 'Neu';"
        "document.querySelector('#source').dispatchEvent(new Event('input'));"
        "document.querySelector('#copy').click()"
    )
    assert page.text_content("#status") == "Not translated yet"


def test_alignments_are_marked_in_the_source(page: Any, attentive: Path) -> None:
    choose_attentive(page)
    type_text(page, f"{FIRST}\n{SECOND}")
    best = Translator.load(attentive).translate([SECOND], n_best=3, alignments=True)[0].n_best[0]
    words = SECOND.split()
    assert best.alignment
    for source, target in best.alignment[:3]:
        page.locator(f'#target [data-row="1"][data-word="{target}"]').first.hover()
        assert page.locator("#marks mark").all_text_contents() == [words[source]]
    page.mouse.move(0, 0)
    until(page, "document.querySelectorAll('#marks mark').length === 0")
    # The marks lie behind the very words.
    sizes = page.evaluate(
        "['source', 'marks'].map(id => document.getElementById(id).getBoundingClientRect().height)"
    )
    assert sizes[0] == sizes[1]


def test_a_file_gives_as_many_lines_as_it_has(
    page: Any, nmt: Command, tiny_run: Path, tmp_path: Path
) -> None:
    source = tmp_path / "some.notes.txt"
    lines = [FIRST, "", "  ", SECOND, "a\u2028b\x0bc\rd", *[f"{SECOND} {n}" for n in range(100)]]
    source.write_bytes("\r\n".join(lines).encode())  # the last line has no end
    page.set_input_files("#file", source)
    page.wait_for_selector("#download:not([hidden])", timeout=60_000)
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "some.notes.en.txt"
    expected = nmt("translate", tiny_run, source)
    assert Path(download.value.path()).read_bytes() == expected.out.encode()
    assert "105 lines" in page.text_content("#job-status")
    (tmp_path / "latin").write_bytes("schläft".encode("latin-1"))
    page.set_input_files("#file", tmp_path / "latin")
    page.wait_for_selector("#job-status.bad")
    assert "UTF-8" in page.text_content("#job-status")
    (tmp_path / "empty").write_bytes(b"")
    page.set_input_files("#file", tmp_path / "empty")
    page.wait_for_selector("#download:not([hidden])")
    assert "0 lines" in page.text_content("#job-status")


def drop_file(page: Any, lines: int) -> None:
    page.evaluate(
        """(text) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([text], "long.txt", { type: "text/plain" }));
          const drop = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
          document.querySelector("#drop").dispatchEvent(drop);
        }""",
        f"{SECOND}\n" * lines,
    )


def test_a_dropped_file_is_translated_and_can_be_stopped(page: Any) -> None:
    drop_file(page, 30_000)
    until(page, "document.querySelector('#progress').value > 0")
    page.click("#stop")
    until(page, "document.querySelector('#job-status').textContent.includes('stopped')")


def test_a_file_is_stopped_while_an_answer_arrives(page: Any) -> None:
    page.evaluate(
        """() => {
          window.fetch = async (path, { signal }) => new Response(new ReadableStream({
            start(body) {
              signal.addEventListener("abort", () => body.error(signal.reason));
              document.title = "answering";
            },
          }));
        }"""
    )
    drop_file(page, 2)
    until(page, "document.title === 'answering'")
    page.click("#stop")
    until(page, "document.querySelector('#job-status').textContent.includes('stopped after 0 of')")


def test_a_file_survives_a_slow_server_a_lost_answer_and_another_choice_of_model(page: Any) -> None:
    page.evaluate(
        """() => {
          const real = window.fetch;
          window.asked = [];
          window.fetch = (path, options) => {
            const { text, model } = JSON.parse(options.body);
            window.asked.push([text.length, model]);
            const select = document.querySelector("#model");
            if (select.selectedIndex === 0) {
              select.selectedIndex = 1;
              select.dispatchEvent(new Event("change"));
            }
            if (window.asked.length === 3) return Promise.reject(new TypeError("Failed to fetch"));
            if (text.length > 8) return Promise.resolve(new Response("{}", { status: 503 }));
            return real(path, options);
          };
        }"""
    )
    drop_file(page, 20)
    until(page, "document.querySelector('#job-status').textContent.includes('20 lines translated')")
    sizes, models = zip(*page.evaluate("window.asked"), strict=True)
    assert sizes == (20, 10, 5, 5, 5, 5, 5) and len(set(models)) == 1


def test_the_lines_that_are_done_are_offered_after_a_failure(page: Any) -> None:
    page.evaluate(
        """() => {
          const real = window.fetch;
          let calls = 0;
          window.fetch = (path, options) =>
            (calls += 1) > 1
              ? Promise.resolve(new Response("{}", { status: 500 }))
              : real(path, options);
        }"""
    )
    drop_file(page, 100)
    page.wait_for_selector("#download:not([hidden])")
    assert "answered 500, after line 64" in page.text_content("#job-status")
    with page.expect_download() as download:
        page.click("#download")
    assert Path(download.value.path()).read_text().count("\n") == 64


def test_the_word_after_a_hyphen_stays_joined_to_it(page: Any) -> None:
    translation = {"text": "A black-haired man", "score": -1.0, "rank_score": -1.0}
    page.evaluate(
        """(one) => {
          const real = window.fetch;
          const answer = (values) => Promise.resolve(new Response(JSON.stringify(values)));
          window.prefixes = [];
          window.fetch = (path, options) => {
            const asked = JSON.parse(options.body);
            window.prefixes.push([path, asked.prefix].flat().join("|"));
            const guesses = [{ text: "haired", probability: 0.9 }];
            if (path === "v1/next") return answer({ guesses, end: 0, others: 0.1, goes_on: 0 });
            return answer({ translations: [{ n_best: [one], problem: null }] });
          };
        }""",
        translation,
    )
    type_text(page, FIRST)
    page.locator("#target button", has_text="haired").click()
    page.locator("#choices li button").first.click()
    page.wait_for_selector("#target button.kept")
    assert page.evaluate("window.prefixes") == [
        "v1/translate|",
        "v1/next|A black-",
        "v1/translate|A black-haired",
    ]


def test_the_keyboard_alone_does_it(page: Any) -> None:
    page.focus("#source")
    page.keyboard.type(SECOND)
    page.wait_for_selector("#target button")
    type_text(page, SECOND)
    page.focus("#source")
    stops = []
    for _ in range(4):
        page.keyboard.press("Tab")
        stops.append(
            page.evaluate(
                "document.activeElement.id || document.activeElement.parentElement.parentElement.id"
            )
        )
    assert stops[:2] == ["copy", "target"]  # one stop for all words
    page.focus('#target [tabindex="0"]')
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.start") != "0"
    page.keyboard.press("Enter")
    page.wait_for_selector("#choices li button:focus")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    assert not page.is_visible("#choices")
    assert page.evaluate("document.activeElement.parentElement.parentElement.id") == "target"
    page.keyboard.press("Enter")
    page.wait_for_selector("#choices li button:focus")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#target button.kept")
    assert page.evaluate("document.activeElement.parentElement.parentElement.id") == "target"


def test_axe_finds_no_serious_fault(browser: Any, server: Served, look: str) -> None:
    page = open_page(browser, server, look)
    type_text(page, f"{FIRST}\n{SECOND}")
    page.click("summary")
    page.click("#source")
    picture(page, f"{look}-page")
    states = [page.evaluate("document.title")]
    faults = _faults(page)
    page.locator("#target button").nth(1).click()
    page.wait_for_selector("#choices li button")
    picture(page, f"{look}-choices")
    faults += _faults(page)
    assert faults == [] and states == ["Translate"]
    # Nothing is wider than the screen.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select')]
          .filter(one => one.offsetParent && !one.closest('#target'))
          .map(one => [one.id, one.getBoundingClientRect().height])
          .filter(([, height]) => height < 24)"""
    )
    assert small == [] and page.faults == []
    page.context.close()


def test_axe_finds_no_serious_fault_in_a_report(browser: Any, tiny_run: Path, look: str) -> None:
    size = {"width": 390 if look == "phone" else 1200, "height": 900}
    scheme = "dark" if look == "dark" else "light"
    page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
    page.goto((tiny_run / "report.html").as_uri())
    assert _faults(page) == []
    picture(page, f"{look}-report")
    page.context.close()


def _faults(page: Any) -> list[str]:
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_a_server_with_keys_asks_for_one(browser: Any, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("secret\n")
    with serving(tmp_path / "log", tiny_run, "--api-keys", tmp_path / "keys") as server:
        page = open_page(browser, server)
        page.fill("#source", FIRST)
        page.wait_for_selector("#status.bad")
        assert "API key" in page.text_content("#status")
        page.fill("#key", "secret")
        page.keyboard.press("Tab")
        page.wait_for_selector("#target button")
        page.context.close()
