"""Several networks as one translator: the mean of their log-probabilities, from text to text."""

import dataclasses
import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nmt
from nmt.bundle import load_bundle
from nmt.config import DataConfig, DistillConfig, ModelConfig, TokenizerConfig
from nmt.decoding.beam import beam_search
from nmt.decoding.ensemble import Ensemble
from nmt.decoding.greedy import greedy_search
from nmt.decoding.stepper import Limits, Stepper
from nmt.errors import ConfigError, UsageError
from nmt.inference.engine import fast_engine
from nmt.inference.shortlist import restrict_vocabulary
from nmt.inference.translator import Translator
from nmt.models.batch import pad
from nmt.models.seq2seq import Seq2Seq
from nmt.models.weights import StoredPrecision
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from nmt.training.distill import teachers_of
from tests.conftest import MEMBER, save_member
from tests.decoding.doubles import search_options
from tests.decoding.scoring import forced_scores
from tests.inference.test_engine import network, sentences, targets

LIMITS = Limits(bos_id=2, eos_id=3)
SENTENCES = ["Der Hund schläft.", "", "Maria sieht die kleine Katze.", "Er kommt.", "Gut."]
NETWORKS = [network(), network(cell="gru", layers=1, attention="general", feed_context=False)]
STEPPERS: dict[str, list[Stepper]] = {
    "network": [model for model in NETWORKS],
    "fp32": [fast_engine(model, "fp32") for model in NETWORKS],
    "int8": [fast_engine(model, "int8") for model in NETWORKS],
}


@pytest.fixture(scope="module")
def member(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of another kind, with the tokenizer of `tiny_run`."""
    return save_member(tiny_run, tmp_path_factory.mktemp("member") / "model")


@pytest.mark.parametrize("precision", STEPPERS)
@torch.inference_mode()
def test_a_step_is_the_mean_of_the_networks(precision: str) -> None:
    steppers = STEPPERS[precision]
    ensemble, tokens = Ensemble(steppers), torch.tensor([2, 9, 40])
    found, _ = ensemble.step(tokens, ensemble.start(pad(sentences(3))))
    one, other = (stepper.step(tokens, stepper.start(pad(sentences(3))))[0] for stepper in steppers)
    torch.testing.assert_close(found, (one + other) / 2, atol=1e-6, rtol=0)
    assert not torch.allclose(one, other, atol=0.1)


@torch.inference_mode()
def test_the_beam_finds_what_brute_force_finds_on_a_tiny_vocabulary() -> None:
    models = []
    for seed, cell in enumerate(["lstm", "gru"]):
        torch.manual_seed(seed)
        config = ModelConfig(cell=cell, embedding_size=4, hidden_size=6, layers=1)  # type: ignore[arg-type]
        model = Seq2Seq(config, source_size=6, target_size=6, shared=True).eval()
        for parameter in model.parameters():
            parameter.mul_(4.0)
        models.append(model)
    longest, source = 4, [[4, 5, 3], [5, 3], [3]]
    others = [token for token in range(6) if token != 3]
    every = [
        list(tokens)
        for length in range(longest)
        for tokens in itertools.product(others, repeat=length)
    ]
    found = beam_search(
        Ensemble([fast_engine(model, "fp32") for model in models]),
        pad(source),
        Limits(2, 3, max_length_ratio=0.0, extra_length=longest),
        search_options(beam_size=6 ** (longest - 1), n_best=3),
    )
    for read, hypotheses in zip(source, found, strict=True):
        sources, written = pad([read] * len(every)), pad([[2, *tokens, 3] for tokens in every])
        scores = sum(forced_scores(model, sources, written) for model in models) / 2
        assert isinstance(scores, torch.Tensor)
        best = scores.topk(3)
        assert [one.tokens for one in hypotheses] == [every[row] for row in best.indices.tolist()]
        expected = pytest.approx(best.values.tolist(), abs=1e-3)
        assert [one.score for one in hypotheses] == expected


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@torch.inference_mode()
def test_a_sentence_is_the_same_in_any_batch(precision: StoredPrecision) -> None:
    models = [network(), network(cell="gru", layers=1, feed_context=False)]  # int8: exact
    ensemble = Ensemble([fast_engine(model, precision) for model in models])
    for search in (
        lambda source: [[one] for one in greedy_search(ensemble, source, LIMITS)],
        lambda source: beam_search(ensemble, source, LIMITS, search_options(beam_size=4, n_best=4)),
    ):
        together = search(pad(sentences(24)))
        for row in range(0, 24, 3):
            (alone,) = search(pad([sentences(24)[row]]))
            if precision == "int8":
                assert alone == together[row]
                continue
            for one, other in zip(alone, together[row], strict=True):
                assert one.tokens == other.tokens
                assert one.score == pytest.approx(other.score, abs=1e-4 * (len(one.tokens) + 1))


@torch.inference_mode()
def test_a_restricted_ensemble_is_the_mean_of_the_restricted_members() -> None:
    tokens, read = torch.tensor([2, 3, 9, 40]), torch.tensor([9, 40, 2])
    narrow = Ensemble([restrict_vocabulary(one, tokens) for one in STEPPERS["fp32"]])
    found, _ = narrow.step(read, narrow.start(pad(sentences(3))))
    parts = [
        model.step(read, model.start(pad(sentences(3))))[0][:, tokens].log_softmax(dim=1)
        for model in NETWORKS
    ]
    torch.testing.assert_close(found, (parts[0] + parts[1]) / 2, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_forced_scores_are_the_mean() -> None:
    source, target = pad(sentences(9)), targets(9)
    parts = [forced_scores(model, source, target) for model in NETWORKS]
    found = forced_scores(Ensemble(STEPPERS["fp32"]), source, target)
    torch.testing.assert_close(found, (parts[0] + parts[1]) / 2, atol=1e-3, rtol=0)


def test_one_model_twice_is_the_model(tiny_run: Path) -> None:
    alone, twice = nmt.load(str(tiny_run)), nmt.load(str(tiny_run), ensemble=[str(tiny_run)])
    assert alone.translate(SENTENCES, n_best=3) == twice.translate(SENTENCES, n_best=3)
    assert alone.score(SENTENCES, SENTENCES) == twice.score(SENTENCES, SENTENCES)


def test_text_is_scored_as_by_its_members_on_average(tiny_run: Path, member: Path) -> None:
    both = nmt.load(str(tiny_run), ensemble=[str(member)])
    texts = ["The dog is sleeping.", "", "Maria sees the cat.", "He comes.", "Well."]
    parts = [nmt.load(str(path)).score(SENTENCES, texts) for path in (tiny_run, member)]
    expected = [(one + other) / 2 for one, other in zip(*parts, strict=True)]
    assert both.score(SENTENCES, texts) == pytest.approx(expected, abs=1e-3)
    assert parts[0] != pytest.approx(parts[1], abs=0.5)


@pytest.mark.parametrize("settings", [{}, {"greedy": True}, {"n_best": 3}, {"sample": True}])
def test_a_batch_a_thread_and_single_sentences_give_the_same(
    tiny_run: Path, member: Path, settings: dict[str, object]
) -> None:
    both = nmt.load(str(tiny_run), ensemble=[member])
    single = both.translate(SENTENCES * 9, batch_size=1, **settings)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        threads = both.translate(SENTENCES * 9, **settings)
    finally:
        torch.set_num_threads(before)
    for one, other in zip(single, threads, strict=True):
        assert one.text == other.text and one.score == pytest.approx(other.score, abs=1e-2)


def test_the_defaults_are_those_of_the_first(tiny_run: Path, member: Path) -> None:
    assert nmt.load(str(tiny_run), ensemble=[str(member)]).defaults.beam_size == 3
    assert nmt.load(str(member), ensemble=[str(tiny_run)]).defaults.beam_size == 7


def test_a_shortlist_is_of_what_training_of_any_member_saw(tiny_run: Path, member: Path) -> None:
    alone = nmt.load(str(tiny_run))
    both = nmt.load(str(member), ensemble=[str(tiny_run)])  # the first one counted nothing
    assert len(both.models) == 2 and len(alone.models) == 1
    twice = nmt.load(str(tiny_run), ensemble=[str(tiny_run)])
    expected = alone.translate(SENTENCES, shortlist=60)
    assert twice.translate(SENTENCES, shortlist=60) == expected
    assert both.translate(SENTENCES, shortlist=60) != both.translate(SENTENCES)


def test_a_shortlist_restricts_networks_and_engines_alike(tiny_run: Path) -> None:
    bundle = load_bundle(tiny_run)
    config = dataclasses.replace(
        bundle.config, decoding=dataclasses.replace(bundle.config.decoding, shortlist=50)
    )
    mixed = [bundle.model, fast_engine(bundle.model, "fp32")]
    translator = Translator(Ensemble(mixed), bundle.tokenizer, config, models=mixed)
    assert translator.defaults.shortlist == 50
    alone = Translator(bundle.model, bundle.tokenizer, config, models=[bundle.model])
    for one, other in zip(translator.translate(SENTENCES), alone.translate(SENTENCES), strict=True):
        assert one.text == other.text and one.score == pytest.approx(other.score, abs=1e-3)
    whole = Translator(Ensemble(mixed), bundle.tokenizer, config)  # without its networks
    assert whole.defaults.shortlist is None


def test_automatic_precision_is_int8_only_where_all_are(
    tiny_run: Path, member: Path, tmp_path: Path
) -> None:
    rounded = save_member(tiny_run, tmp_path / "int8", "int8")
    config = dataclasses.replace(MEMBER, model=ModelConfig(cell="relu", hidden_size=20))
    relu = save_member(tiny_run, tmp_path / "relu", "int8", config)
    for paths, precision in [
        ([rounded, rounded], "int8"),
        ([rounded, member], "fp32"),
        ([member, rounded], "fp32"),
        ([rounded, relu], "fp32"),
    ]:
        translator = nmt.load(str(paths[0]), ensemble=[str(paths[1])], device="cpu")
        assert translator.precision == precision
        assert len(translator.translate(SENTENCES)) == len(SENTENCES)
    with pytest.raises(UsageError, match=r"int8 .* model\.cell relu .* use fp32"):
        nmt.load(str(rounded), ensemble=[str(relu)], device="cpu", precision="int8")


def test_another_direction_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    back = DataConfig(source_language="en", target_language="de")
    path = save_member(tiny_run, tmp_path / "back", config=replace(MEMBER, data=back))
    told = f"{tiny_run} and {path} translate de → en and en → de; they must do the same"
    with pytest.raises(UsageError, match=re.escape(f"ensemble: {told}")):
        Translator.load(tiny_run, ensemble=[path])
    distill = DistillConfig(teacher=[str(tiny_run), str(path)])
    with pytest.raises(ConfigError, match=re.escape(f"data.distill.teacher: {told}")):
        teachers_of(replace(MEMBER.data, distill=distill))


def test_a_member_without_attention_takes_the_coverage_penalty_away(
    tiny_run: Path, tmp_path: Path
) -> None:
    decoding = replace(MEMBER.decoding, coverage_penalty=0.2)
    first = save_member(tiny_run, tmp_path / "first", config=replace(MEMBER, decoding=decoding))
    assert Translator.load(first).defaults.coverage_penalty == 0.2
    both = Translator.load(first, ensemble=[tiny_run])
    assert both.defaults.coverage_penalty == 0
    both.translate(["Gut."])
    told = "coverage_penalty: 0.1 needs attention in every model"
    with pytest.raises(UsageError, match=told):
        both.translate(["Gut."], coverage_penalty=0.1)


def test_other_tokenizers_are_refused(tiny_run: Path, member: Path, tmp_path: Path) -> None:
    pairs = [("Der Hund schläft.", "The dog is sleeping.")]
    other, _ = train_tokenizer(TokenizerConfig(vocabulary_size=40), pairs)
    shared = load_bundle(tiny_run).tokenizer.source
    for name, tokenizer in {
        "both": other,
        "source": Tokenizer(other.source, shared),
        "target": Tokenizer(shared, other.target),
    }.items():
        path = save_member(tiny_run, tmp_path / name, tokenizer=tokenizer)
        with pytest.raises(UsageError) as error:
            nmt.load(str(tiny_run), ensemble=[str(member), str(path)])
        assert str(error.value) == (
            f"ensemble: {tiny_run} and {path} have different tokenizers; train one of them with "
            "the other's: tokenizer.path: RUN/tokenizer"
        )
