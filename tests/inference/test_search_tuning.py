"""Tuning keeps the setting of the best BLEU; of equals the cheaper, then the more usual one."""

from collections.abc import Callable
from typing import Any

import pytest
from sacrebleu.metrics import BLEU

from nmt.config import SearchOptions
from nmt.errors import DataError
from nmt.evaluation.languages import TargetLanguage
from nmt.inference import search_tuning
from nmt.inference.search_tuning import tune

SOURCES = ["a", "b"]
REFERENCES = ["the dog sees the small cat today", "one two three four five"]
GOOD, FAIR, BAD = (
    REFERENCES,
    ["the dog sees the small cat", "one two three four five"],
    ["the dog was here and sees it", "one two three nine"],
)


class Translator:
    """Answers each setting of the search with given translations."""

    def __init__(self, answer: Callable[[int, float], list[str]], **defaults: Any):
        self.answer = answer
        self.defaults = SearchOptions(**defaults)
        self.calls: list[SearchOptions] = []

    def translate_all(self, sentences: list[str], options: SearchOptions) -> list[str]:
        assert sentences == SOURCES
        self.calls.append(options)
        return self.answer(options.beam_size, options.length_penalty)


def tuned(answer: Callable[[int, float], list[str]], **defaults: Any) -> search_tuning.Tuning:
    translator = Translator(answer, **defaults)
    return tune(translator, SOURCES, REFERENCES, TargetLanguage("en"), translator.defaults)  # type: ignore[arg-type]


def test_the_best_of_the_whole_grid_is_found_with_its_translations() -> None:
    def answer(beam: int, penalty: float) -> list[str]:
        return GOOD if (beam, penalty) == (8, 1.75) else FAIR if beam == 3 else BAD

    found = tuned(answer)
    assert (found.best.beam_size, found.best.length_penalty) == (8, 1.75)
    assert found.hypotheses == GOOD and found.best.bleu == pytest.approx(100)
    axes = [
        (beam, penalty)
        for beam in search_tuning.BEAM_SIZES
        for penalty in search_tuning.LENGTH_PENALTIES
    ]
    assert [(one.beam_size, one.length_penalty) for one in found.grid] == axes
    for one in found.grid:
        texts = answer(one.beam_size, one.length_penalty)
        assert one.bleu == BLEU().corpus_score(texts, [REFERENCES]).score
    assert "tok:13a" in found.signature
    assert found.to_json() == {
        "beam_size": 8,
        "length_penalty": 1.75,
        "bleu": found.best.bleu,
        "signature": found.signature,
    }


@pytest.mark.parametrize(
    ("equals", "expected"),
    [
        ({(12, 1.0), (5, 0.0), (8, 1.0)}, (5, 0.0)),
        ({(5, 0.0), (5, 0.5), (5, 1.75)}, (5, 0.5)),
        ({(3, 2.0), (3, 0.25)}, (3, 0.25)),
        ({(3, 2.0), (3, 1.25), (5, 1.0)}, (3, 1.25)),
    ],
)
def test_ties_go_to_the_smaller_beam_then_to_the_penalty_nearest_1(
    equals: set[tuple[int, float]], expected: tuple[int, float]
) -> None:
    best = tuned(lambda beam, penalty: GOOD if (beam, penalty) in equals else BAD).best
    assert (best.beam_size, best.length_penalty) == expected


def test_the_models_own_setting_is_tried_too_and_others_are_passed_on() -> None:
    found = tuned(lambda beam, penalty: GOOD if (beam, penalty) == (10, 0.9) else BAD)
    assert found.best.bleu < 100
    own = {"beam_size": 10, "length_penalty": 0.9}
    found = tuned(lambda beam, penalty: GOOD if (beam, penalty) == (10, 0.9) else BAD, **own)
    assert (found.best.beam_size, found.best.length_penalty) == (10, 0.9)
    translator = Translator(lambda *_: BAD)
    tune(translator, SOURCES, REFERENCES, TargetLanguage("en"), SearchOptions(batch_size=7))  # type: ignore[arg-type]
    assert {call.batch_size for call in translator.calls} == {7}


def test_the_table_has_a_row_for_each_beam_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_tuning, "BEAM_SIZES", (1, 5))
    monkeypatch.setattr(search_tuning, "LENGTH_PENALTIES", (0.0, 1.0))
    bad = BLEU().corpus_score(BAD, [REFERENCES]).score
    assert str(tuned(lambda beam, penalty: GOOD if (beam, penalty) == (5, 0) else BAD)) == (
        "BLEU by beam size and length penalty\n"
        "beam      0      1\n"
        f"   1  {bad:.2f}  {bad:.2f}\n"
        f"   5 100.00  {bad:.2f}\n"
        "best: beam size 5, length penalty 0"
    )


def test_what_cannot_be_scored_is_refused_before_any_search() -> None:
    translator = Translator(lambda *_: BAD)
    for sources, references in ((SOURCES, ["one"]), ([], [])):
        with pytest.raises(DataError):
            tune(translator, sources, references, TargetLanguage("en"), translator.defaults)  # type: ignore[arg-type]
    assert not translator.calls
