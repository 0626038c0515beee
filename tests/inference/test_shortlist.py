"""A shortlist holds what training saw most, and search then writes nothing else."""

from pathlib import Path

import pytest
import torch

import nmt as package
from nmt.bundle import load_bundle, save_bundle
from nmt.decoding.stepper import Hypothesis, Limits, Stepper
from nmt.errors import UsageError
from nmt.inference.engine import fast_engine
from nmt.inference.shortlist import Shortlist, shortlist
from nmt.inference.translator import Translator
from tests.conftest import Command

SENTENCES = ["Der Hund schläft.", "", "Maria sieht die kleine Katze.", "Er kommt."]
EVERY = 300  # more than the vocabulary


def test_training_counts_the_target_tokens(tiny_run: Path, corpus_folder: Path) -> None:
    bundle = load_bundle(tiny_run)
    target = bundle.tokenizer.target
    lines = (corpus_folder / "train.en").read_text(encoding="utf-8").splitlines()
    expected = torch.zeros(len(target))
    for ids in target.encode(lines):
        for token in [*ids, target.eos_id]:
            expected[token] += 1
    assert torch.equal(bundle.model.decoder.token_counts, expected)


def test_it_lists_the_most_frequent_and_the_special_ones(tiny_run: Path) -> None:
    bundle = load_bundle(tiny_run)
    counts = bundle.model.decoder.token_counts.zero_()
    counts[[1, 7, 9, 20]] = torch.tensor([9.0, 5.0, 1.0, 5.0])
    assert shortlist([bundle.model], 4, {2, 3}, 1).tokens.tolist() == [2, 3, 7, 20]
    every = shortlist([bundle.model], 100, {2, 3}, 1)
    assert every.tokens.tolist() == [2, 3, 7, 9, 20]  # what never came is not listed


def test_searches_see_numbers_and_return_ids(tiny_run: Path) -> None:
    model = load_bundle(tiny_run).model
    listed = Shortlist(model, torch.tensor([2, 3, 7, 9, 20]))

    def search(stepper: Stepper, limits: Limits) -> list[list[Hypothesis]]:
        assert stepper is listed
        assert (limits.bos_id, limits.eos_id, limits.extra_length) == (0, 3, 7)
        return [[Hypothesis([2, 4, 1], -1.5)], [Hypothesis([], -2.0, cut=True)]]

    assert listed.search(search, Limits(2, 9, extra_length=7)) == [
        [Hypothesis([7, 20, 3], -1.5)],
        [Hypothesis([], -2.0, cut=True)],
    ]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(
    "settings", [{}, {"greedy": True}, {"sample": True}, {"n_best": 3}], ids=str
)
def test_search_writes_listed_tokens_alone(
    tiny_run: Path, precision: str, settings: dict[str, object]
) -> None:
    translator = package.load(str(tiny_run), precision=precision)
    size = 40
    order = translator.models[0].decoder.token_counts.argsort(descending=True, stable=True)[:size]
    listed = {*order.tolist(), translator.tokenizer.target.bos_id}
    found = translator.translate(SENTENCES, shortlist=size, **settings)
    ids = translator.tokenizer.target.encode([one.text for one in found])
    unseen = {token for row in ids for token in row} - listed
    assert len(found) == len(SENTENCES) and found[1].text == ""
    # Text is cut into tokens anew, so a few others may spell it.
    assert len(unseen) <= 2


def test_a_list_of_all_that_came_changes_no_translation_of_a_model_that_knows_them(
    tiny_run: Path,
) -> None:
    """Probabilities are given that a token is listed: scores rise, by the same for each token."""
    bundle = load_bundle(tiny_run)
    counts = bundle.model.decoder.token_counts
    with torch.no_grad():  # it knows what never came
        bundle.model.decoder.projection.bias[counts == 0] = -20
    engine = fast_engine(bundle.model, "fp32")
    translator = Translator(engine, bundle.tokenizer, bundle.config, models=[engine])
    whole = translator.translate(SENTENCES, greedy=True)
    listed = translator.translate(SENTENCES, greedy=True, shortlist=EVERY)
    for one, other in zip(whole, listed, strict=True):
        assert one.text == other.text and other.score >= one.score - 1e-4


def test_a_model_that_does_not_know_its_counts_says_so(tiny_run: Path, tmp_path: Path) -> None:
    bundle = load_bundle(tiny_run)
    bundle.model.decoder.token_counts.zero_()
    save_bundle(tmp_path / "old", bundle)
    with pytest.raises(UsageError, match="shortlist: 50 needs the token counts"):
        package.load(str(tmp_path / "old")).translate(["Hund"], shortlist=50)
    with pytest.raises(UsageError, match="shortlist: 50 needs a loaded model"):
        Translator(bundle.model, bundle.tokenizer, bundle.config).translate(["Hund"], shortlist=50)
    for size, told in ((0, "shortlist: 0 must be a whole number from 3 to"), (2, "shortlist: 2 ")):
        with pytest.raises(UsageError, match=told):
            package.load(str(tiny_run)).translate(["Hund"], shortlist=size)


def test_a_run_may_have_a_shortlist_which_serves_the_engine_alone(
    tiny_config: Path, tmp_path: Path, nmt: Command
) -> None:
    """Validation searches with the network itself, which has no use for it."""
    run, out = tmp_path / "run", tmp_path / "out"
    result = nmt("train", tiny_config, "--run", run, "--decoding.shortlist", 50)
    assert result.code == 0, result.err
    assert nmt("translate", run, tiny_config.parent / "test.de", "-o", out).code == 0
    bundle = load_bundle(run)
    plain = Translator(bundle.model, bundle.tokenizer, bundle.config)
    assert plain.defaults.shortlist is None
    wrong = nmt("translate", run, tiny_config, "-o", tmp_path / "no", "--resume", "--shortlist", 1)
    assert wrong.code == 2 and "--shortlist: 1 must be" in wrong.err
    assert not list(tmp_path.glob("no*"))
