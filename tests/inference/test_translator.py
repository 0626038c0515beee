import logging
from pathlib import Path

import pytest

import nmt
import nmt.inference.device
from nmt.bundle import load_bundle
from nmt.errors import NmtError, UsageError
from nmt.inference.translator import Translator
from nmt.models.batch import pad
from tests.conftest import needs_bf16

SENTENCES = ["Der Hund schläft.", "", "Maria möchte schwimmen.", "   ", "\u200b", "x" * 50]


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    return nmt.load(str(tiny_run))


@pytest.mark.parametrize(
    "settings",
    [{}, {"greedy": True}, {"sample": True, "seed": 3, "top_k": 5}, {"n_best": 3, "beam_size": 4}],
)
def test_one_translation_for_each_sentence_blank_ones_empty(
    translator: Translator, settings: dict[str, object]
) -> None:
    found = translator.translate(SENTENCES, **settings)
    assert len(found) == len(SENTENCES)
    for row in (1, 3, 4):
        assert (found[row].text, found[row].score, found[row].problem) == ("", 0.0, None)
    assert found[0].score < 0


def test_n_best_is_ranked_and_distinct_as_text(translator: Translator) -> None:
    (found,) = translator.translate(["Der Hund schläft."], n_best=4, beam_size=8, length_penalty=0)
    texts = [candidate.text for candidate in found.n_best]
    scores = [candidate.score for candidate in found.n_best]
    assert len(set(texts)) == len(texts) == 4
    assert scores == sorted(scores, reverse=True)
    assert (found.text, found.score) == (texts[0], scores[0])


def test_the_defaults_are_the_models_own(translator: Translator) -> None:
    assert translator.defaults.beam_size == 3  # of the tiny config
    plain = translator.translate(SENTENCES)
    assert plain == translator.translate(SENTENCES, beam_size=3, length_penalty=1.0)


def test_scores_of_text_are_the_networks_own_loss(translator: Translator, tiny_run: Path) -> None:
    targets = ["The dog is sleeping.", "", "Maria would like to swim."]
    bundle = load_bundle(tiny_run)
    read, written = bundle.tokenizer.source, bundle.tokenizer.target
    for source, target, score in zip(
        SENTENCES[:3], targets, translator.score(SENTENCES[:3], targets), strict=True
    ):
        loss = bundle.model.loss(
            pad([[*read.encode([source])[0], read.eos_id]]),
            pad([[written.bos_id, *written.encode([target])[0], written.eos_id]]),
        )
        assert score == pytest.approx(-loss.item(), abs=1e-3)


def test_a_source_too_long_is_cut_and_said(translator: Translator) -> None:
    sentence = "Hund " * 1500
    (found,) = translator.translate([sentence], greedy=True)
    assert found.problem is not None and "was cut to 1000" in found.problem
    (found,) = translator.translate(["Der Hund schläft."], max_source_length=1)
    assert found.problem is not None and "was cut to 1" in found.problem


def test_a_source_too_long_is_cut_where_it_is_scored_too(
    translator: Translator, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", logger="nmt")
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    sources = ["Hund " * 1500, "Hund " * 1500 + "Katze", "Hund"]
    long, longer, short = translator.score(sources, ["A dog."] * 3)
    assert long == longer != short
    assert "2 of 3 sources were cut to 1000 tokens" in caplog.text


def test_a_sentence_that_fails_takes_no_other_with_it(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = translator.stepper.start

    def failing(source):  # type: ignore[no-untyped-def]
        if length in source.lengths.tolist():
            raise RuntimeError("out of memory")
        return plain(source)

    lengths = [len(ids) + 1 for ids in translator.tokenizer.source.encode(["Hund", "Hund Hund"])]
    before = translator.translate(["Hund", "Hund Hund", "Hund"])
    monkeypatch.setattr(translator.stepper, "start", failing)
    bad = "Hund " * 5
    length = len(translator.tokenizer.source.encode([bad])[0]) + 1
    assert length not in lengths
    found = translator.translate(["Hund", bad, "Hund Hund", "Hund"])
    assert found[1].failed and found[1].problem == "translation failed: out of memory"
    with pytest.raises(NmtError, match="1 of 3 sentences have no translation and cannot be scored"):
        translator.translate_all(["Hund", bad, "Hund"])
    assert [one.text for one in (found[0], found[2], found[3])] == [one.text for one in before]


def test_a_fault_of_the_program_is_not_taken_for_a_bad_sentence(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source):  # type: ignore[no-untyped-def]
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(translator.stepper, "start", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        translator.translate(["Hund"])


@pytest.mark.parametrize("settings", [{}, {"greedy": True}, {"sample": True}])
def test_weights_that_give_no_number_are_an_error(
    tiny_run: Path, settings: dict[str, object]
) -> None:
    bundle = load_bundle(tiny_run)
    bundle.model.decoder.projection.bias.data.fill_(float("nan"))
    broken = Translator(bundle.model, bundle.tokenizer, bundle.config)
    with pytest.raises(NmtError, match="the model gives no finite probability"):
        broken.translate(["Hund"], **settings)
    with pytest.raises(NmtError, match="the model gives no finite probability"):
        broken.score(["Hund"], ["dog"])


def test_translate_all_gives_the_texts_alone(translator: Translator) -> None:
    expected = [one.text for one in translator.translate(SENTENCES)]
    assert translator.translate_all(SENTENCES, progress=True) == expected


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"beam_size": 0}, "beam_size: 0 must be a whole number from 1 to"),
        (
            {"n_best": 9},
            "n_best: 9 .* beam of 3; give a beam_size of at least 9",
        ),
        ({"n_best": 2, "greedy": True}, "n_best: 2 .* greedy"),
        ({"greedy": True, "sample": True}, "sample: True .* greedy"),
        ({"temperature": 0.0}, "temperature: 0.0 "),
        ({"top_p": 1.5}, "top_p: 1.5 "),
        ({"length_penalty": -1.0}, "length_penalty: -1.0 "),
        ({"temperature": 2.0}, "temperature belongs to sample"),
        ({"greedy": True, "prune": 1.0}, "prune belongs to beam search"),
        ({"sample": True, "beam_size": 2}, "beam_size belongs to beam search; leave it or sample"),
    ],
)
def test_senseless_settings_are_refused(
    translator: Translator, settings: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        translator.translate(["Hund"], **settings)


def test_unequal_numbers_cannot_be_scored(translator: Translator) -> None:
    with pytest.raises(UsageError, match="targets: 1 for 2 sources"):
        translator.score(["a", "b"], ["c"])


def test_a_precision_that_is_not_there_is_an_error(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nmt.inference.device, "cpu_has_bf16", lambda: False)
    with pytest.raises(UsageError, match="precision: bf16 is not supported by this processor"):
        nmt.load(str(tiny_run), device="cpu", precision="bf16")


def test_a_device_that_is_not_there_is_an_error(tiny_run: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UsageError, match="cuda needs a GPU, and torch finds none"):
        nmt.load(str(tiny_run), device="cuda")


@needs_bf16
def test_bf16_runs(tiny_run: Path) -> None:
    found = nmt.load(str(tiny_run), precision="bf16").translate(SENTENCES, beam_size=2)
    assert len(found) == len(SENTENCES)
