"""Scores against sacreBLEU's own command line and numbers worked by hand."""

import json
import math
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

from nmt.errors import DataError
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import bleu_metric, corpus_scores, quick_scores, with_interval
from nmt.evaluation.significance import paired_bootstrap

REFERENCES = [
    "The cat is sitting on the mat .",
    "A man reads the newspaper in the park.",
    "Two dogs are running through the snow, and a child is watching them.",
    "She did not want to go home because it was early.",
]
HYPOTHESES = [
    "The cat sits on the mat .",
    "A man reads a newspaper in a park.",
    "Two dogs run through the snow, and a child is watching.",
    "She did not want to go home because it was early.",
]


def test_scores_and_signatures_are_sacrebleus(tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("\n".join(REFERENCES) + "\n")
    (tmp_path / "hyp").write_text("\n".join(HYPOTHESES) + "\n")
    words = ["ref", "-i", "hyp", "-m", "bleu", "chrf", "ter", "--confidence", "-w", "6"]
    done = subprocess.run(
        [sys.executable, "-m", "sacrebleu", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = json.loads(done.stdout)
    scores = corpus_scores(HYPOTHESES, [REFERENCES], TargetLanguage("en"))
    for ours, reported in zip((scores.bleu, scores.chrf, scores.ter), theirs, strict=True):
        assert ours.score == pytest.approx(reported["score"], abs=1e-5)
        assert (ours.low + ours.high) / 2 == pytest.approx(reported["confidence_mean"], abs=1e-5)
        assert (ours.high - ours.low) / 2 == pytest.approx(reported["confidence_var"], abs=1e-5)
        assert ours.signature in reported["signature"]
    assert scores.sentences == 4


def test_bleu_by_hand() -> None:
    """Six of seven words, and their runs, by the formula of Papineni et al. 2002."""
    bleu = corpus_scores(
        ["the cat sat on the red mat"], [["the cat sat on the mat"]], TargetLanguage("en")
    ).bleu
    precisions = [6 / 7, 4 / 6, 3 / 5, 2 / 4]
    by_hand = 100 * math.exp(sum(map(math.log, precisions)) / 4)  # longer, so no brevity penalty
    assert bleu.score == pytest.approx(by_hand, abs=1e-4)


def test_a_perfect_translation_scores_full_marks() -> None:
    scores = corpus_scores(REFERENCES, [REFERENCES], TargetLanguage("en"))
    assert scores.bleu.score == pytest.approx(100)
    assert scores.bleu.low == pytest.approx(100) and scores.bleu.high == pytest.approx(100)
    assert scores.ter.score == 0


def test_intervals_hold_the_score() -> None:
    bleu = corpus_scores(HYPOTHESES * 20, [REFERENCES * 20], TargetLanguage("en")).bleu
    assert bleu.low < bleu.score < bleu.high
    assert "bs:1000" in bleu.signature


@pytest.mark.parametrize("installed", [True, False])
def test_a_missing_tokenizer_leaves_the_other_scores(
    monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    references, hypotheses = ["今日 は 良い 天気", "犬 が 走る"], ["今日 は 天気", "犬 が 走る"]
    japanese = TargetLanguage("jpn", "char" if installed else None)
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_ja_mecab.MeCab", None)
    scores = corpus_scores(hypotheses, [references], japanese)
    quick = quick_scores(hypotheses, references, japanese)
    assert scores.chrf.score == pytest.approx(CHRF().corpus_score(hypotheses, [references]).score)
    assert ("bleu" in quick, "BLEU" in str(scores)) == (installed, installed)
    assert quick["chrf"] == scores.chrf.score
    if installed:
        assert scores.bleu is not None and "tok:char|" in scores.bleu.signature
        return
    assert scores.bleu is None and scores.to_json()["bleu"] is None
    with pytest.raises(DataError, match=r"jpn needs the tokenizer ja-mecab: .*'nmt\[ja\]'"):
        bleu_metric(japanese)


def test_ter_of_asian_scripts_counts_characters() -> None:
    """Of two ideographs each, one differs; as one word for each line, all would."""
    texts = ["今天", "明天"], [["今天", "今天"]]
    assert corpus_scores(*texts, TargetLanguage("zho_Hans")).ter.score == pytest.approx(25)
    assert corpus_scores(*texts, TargetLanguage("en")).ter.score == pytest.approx(50)
    expected = TER(normalized=True, asian_support=True).corpus_score(*texts).score
    assert corpus_scores(*texts, TargetLanguage("yue")).ter.score == pytest.approx(expected)


def test_quick_scores_are_the_same_without_intervals() -> None:
    quick, full = (
        quick_scores(HYPOTHESES, REFERENCES, TargetLanguage("en")),
        corpus_scores(HYPOTHESES, [REFERENCES], TargetLanguage("en")),
    )
    assert quick == {"bleu": full.bleu.score, "chrf": full.chrf.score}


def test_translations_that_are_almost_all_empty_still_get_their_interval() -> None:
    """Some bootstrap samples then score nothing at all, which sacreBLEU 2.6 stumbles over."""
    scores = corpus_scores(
        ["", "", "", "x sun"], [["sun set", "moon", "", "the sun"]], TargetLanguage("en")
    )
    assert 0 <= scores.chrf.low <= scores.chrf.score <= scores.chrf.high


def test_what_sacrebleu_would_score_without_a_word_is_refused() -> None:
    with pytest.raises(DataError, match="3 hypotheses do not match 4 references line by line"):
        corpus_scores(HYPOTHESES[:3], [REFERENCES], TargetLanguage("en"))
    with pytest.raises(DataError, match="nothing to score: the references are empty"):
        corpus_scores([], [[]], TargetLanguage("en"))
    with pytest.raises(DataError, match="3 hypotheses do not match 4"):
        paired_bootstrap(HYPOTHESES, HYPOTHESES[:3], [REFERENCES], TargetLanguage("en"))


@pytest.mark.parametrize("times", [1, 7])
def test_samples_are_those_of_sacrebleu_drawn_one_at_a_time(times: int) -> None:
    """sacreBLEU holds all of them: 10 GB for chrF of 100,000 sentences."""
    texts, references = HYPOTHESES[1:] * times, [REFERENCES[1:] * times, HYPOTHESES[:3] * times]
    for metric in (CHRF(), BLEU(), TER()):
        theirs = metric.corpus_score(texts, references, n_bootstrap=1000)
        ours = with_interval(type(metric)(), texts, references)
        assert ours.score == pytest.approx(theirs.score)
        assert (ours.low + ours.high) / 2 == pytest.approx(theirs._mean)
        assert (ours.high - ours.low) / 2 == pytest.approx(theirs._ci)
        assert ours.signature == str(metric.get_signature())
    pair = [("before", HYPOTHESES[1:] * times), ("after", [*REFERENCES[1:], *texts][: len(texts)])]
    test = PairedTest(pair, {"BLEU": BLEU()}, references, test_type="bs", n_samples=1000)
    signatures, results = test()
    found = paired_bootstrap(pair[0][1], pair[1][1], references, TargetLanguage("en"))
    assert found.p_value == pytest.approx(results["BLEU"][1].p_value)
    assert found.signature == str(signatures["BLEU"])
    tracemalloc.start()
    with_interval(CHRF(), HYPOTHESES * 500, [REFERENCES * 500])
    assert tracemalloc.get_traced_memory()[1] < 50e6  # all samples: 144 MB
    tracemalloc.stop()


def test_a_clear_difference_is_significant_and_none_is_not() -> None:
    many = REFERENCES * 20
    clear = paired_bootstrap(HYPOTHESES * 20, many, [many], TargetLanguage("en"))
    assert clear.system == pytest.approx(100) and clear.baseline < 100
    one = paired_bootstrap(HYPOTHESES[:1], REFERENCES[:1], [REFERENCES[:1]], TargetLanguage("en"))
    assert one.p_value == 1 and one.system > one.baseline
    assert clear.p_value < 0.01
    same = paired_bootstrap(HYPOTHESES * 20, HYPOTHESES * 20, [many], TargetLanguage("en"))
    assert same.p_value > 0.5
