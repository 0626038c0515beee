"""Samples against the translator, and attention of whole sentences against that of single steps."""

from typing import Any

import pytest
import torch

from nmt.diagnosis.sample_translations import samples
from nmt.inference.translator import Translator
from nmt.models.batch import pad
from tests.decoding.scoring import forced_scores, whole_attention
from tests.diagnosis.made import OPTIONS, PAIRS, TOKENIZER, made

CHOSEN = [*PAIRS[:2], ("", "Nothing.")]


@pytest.mark.parametrize("settings", OPTIONS, ids=str)
@torch.no_grad()
def test_samples_are_the_translators(settings: dict[str, Any]) -> None:
    bundle = made(**settings)
    found = samples(bundle, CHOSEN, n_best=4)
    translator = Translator(bundle.model, bundle.tokenizer, bundle.config)
    expected = translator.translate([source for source, _ in CHOSEN], n_best=4, beam_size=4)
    for sample, pair, translation in zip(found, CHOSEN, expected, strict=True):
        assert (sample.source, sample.reference) == pair
        candidates = [(one.text, one.score) for one in translation.n_best]
        assert [(one.text, one.score) for one in sample.candidates] == candidates
        source = [*TOKENIZER.source.encode([sample.source])[0], TOKENIZER.source.eos_id]
        assert sample.source_pieces == TOKENIZER.source.pieces(source)
        ids = translation.n_best[0].tokens
        assert TOKENIZER.target.decode([ids]) == [sample.candidates[0].text]
        assert sample.target_pieces == [*TOKENIZER.target.pieces(ids), "</s>"]
        target = pad([[TOKENIZER.target.bos_id, *ids, TOKENIZER.target.eos_id]])
        if sample.source:
            score = forced_scores(bundle.model, pad([source]), target).item()
            assert score == pytest.approx(translation.score, abs=1e-3)
        if settings.get("attention"):
            looked = whole_attention(bundle.model, pad([source]), target)[0]
            torch.testing.assert_close(torch.tensor(sample.alignment), looked, atol=1e-5, rtol=1e-4)
        else:
            assert sample.alignment is None
    assert found[2].candidates[0].text == "" and found[2].target_pieces == ["</s>"]
