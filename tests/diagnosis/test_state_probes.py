"""Probes against a decoder that is started by hand, and planted decoders that must be found."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.bundle import Bundle
from nmt.diagnosis.collect import diagnose
from nmt.diagnosis.probe_verdicts import probe_verdicts
from nmt.diagnosis.records import Probe, StateProbes
from nmt.diagnosis.state_probes import noised, shuffled, state_probes
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import quick_scores
from nmt.inference.translator import Translator
from nmt.models.batch import pad
from nmt.models.bridge import DecoderInit
from nmt.models.stacks import RecurrentState
from tests.diagnosis.made import OPTIONS, PAIRS, TOKENIZER, made


@torch.no_grad()
def loss_by_hand(bundle: Bundle, **scales: float) -> float:
    """Mean loss with parts of what is handed over, such as `hidden1`, times a number."""
    model, losses = bundle.model, []
    for source, reference in PAIRS:
        encoded = model.encoder(pad([[*TOKENIZER.source.encode([source])[0], 3]]))
        handed = model.bridge(encoded)

        def scaled(states: Tensor, kind: str) -> Tensor:
            parts = [part * scales.get(f"{kind}{n}", 1.0) for n, part in enumerate(states, start=1)]
            return torch.stack(parts)

        cell = handed.state.cell
        state = RecurrentState(
            scaled(handed.state.hidden, "hidden"), None if cell is None else scaled(cell, "cell")
        )
        size = bundle.config.model.hidden_size
        parts = handed.context.split(size, dim=1)
        names = ["context", "pool"]
        context = torch.cat(
            [part * scales.get(name, 1.0) for name, part in zip(names, parts, strict=False)], dim=1
        )
        ids = [*TOKENIZER.target.encode([reference])[0], 3]
        readouts = model.decoder(
            torch.tensor([[2, *ids[:-1]]]), DecoderInit(state, context), encoded
        )
        logits = model.decoder.projection(readouts[0])
        losses.append(F.cross_entropy(logits, torch.tensor(ids), reduction="none"))
    return torch.cat(losses).mean().item()


@pytest.mark.parametrize("settings", OPTIONS, ids=str)
def test_probes_are_what_a_decoder_started_by_hand_loses(settings: dict[str, Any]) -> None:
    bundle = made(**settings)
    before = {name: value.clone() for name, value in bundle.model.state_dict().items()}
    found = state_probes(bundle, PAIRS)
    config = bundle.config.model
    probes = {probe.name: probe for probe in found.probes}
    expected = {"intact": loss_by_hand(bundle)}
    parts = {}
    for layer in range(1, config.layers + 1):
        parts[f"without layer {layer}'s hidden state"] = f"hidden{layer}"
        if config.cell == "lstm":
            parts[f"without layer {layer}'s cell"] = f"cell{layer}"
    if config.feed_context:
        parts["without the fed final state"] = "context"
        if config.pool != "none":
            parts[f"without the fed {config.pool}"] = "pool"
    if len(parts) > 1:
        expected |= {name: loss_by_hand(bundle, **{part: 0.0}) for name, part in parts.items()}
    expected["zeroed"] = loss_by_hand(bundle, **dict.fromkeys(parts.values(), 0.0))
    losses = {name: probe.loss for name, probe in probes.items()}
    assert {name: losses[name] for name in expected} == pytest.approx(expected, abs=1e-4)
    assert {name for name in probes if name.startswith("without")} == expected.keys() - {
        "intact",
        "zeroed",
    }
    counts = ["0 components", "1 component", "2 components", "4 components", "8 components"]
    assert [name for name in probes if "component" in name] == counts
    translator = Translator(bundle.model, bundle.tokenizer, bundle.config)
    texts = translator.translate_all([source for source, _ in PAIRS], greedy=True)
    bleu = quick_scores(texts, [reference for _, reference in PAIRS], TargetLanguage("en"))["bleu"]
    assert found.probes[0].bleu == pytest.approx(bleu)
    for name, value in bundle.model.state_dict().items():
        assert torch.equal(value, before[name])


def test_everyone_gets_the_vector_of_another() -> None:
    vectors = torch.arange(40.0)[:, None].expand(-1, 3)
    mixed = shuffled(vectors, seed=3)
    assert bool((mixed != vectors).all())
    assert sorted(mixed[:, 0].tolist()) == vectors[:, 0].tolist()
    assert torch.equal(mixed, shuffled(vectors, seed=3))
    assert not torch.equal(mixed, shuffled(vectors, seed=4))
    assert shuffled(vectors[:2], seed=1)[:, 0].tolist() == [1, 0]


def test_noise_is_as_large_as_each_units_spread() -> None:
    vectors = torch.randn(4000, 3, generator=torch.Generator().manual_seed(1))
    vectors = vectors * torch.tensor([1.0, 10.0, 0.0]) + 5
    noise = noised(vectors, 0.5, seed=2) - vectors
    assert noise.std(dim=0).tolist() == pytest.approx([0.5, 5.0, 0.0], rel=0.05)
    assert noise.mean(dim=0).tolist() == pytest.approx([0.0, 0.0, 0.0], abs=0.3)
    assert torch.corrcoef(torch.stack([noise[:, 0], vectors[:, 0]]))[0, 1].abs() < 0.05


def own(bundle: Bundle) -> list[tuple[str, str]]:
    """Pairs whose references the model itself would write."""
    sources = [source for source, _ in PAIRS]
    translator = Translator(bundle.model, bundle.tokenizer, bundle.config)
    return list(zip(sources, translator.translate_all(sources, greedy=True), strict=True))


def deafen(stack: nn.Module, layer: int, *, cell: bool) -> None:
    """Let a layer of an LSTM read no hidden state of its own, and forget its cell or keep it."""
    size = stack.hidden_size
    with torch.no_grad():
        getattr(stack, f"weight_hh_l{layer}").zero_()
        getattr(stack, f"weight_ih_l{layer}")[size : 2 * size] = 0
        getattr(stack, f"bias_ih_l{layer}")[size : 2 * size] = -30 if cell else 30


def texts(found: StateProbes) -> list[str]:
    return [verdict.text for verdict in found.verdicts]


def test_a_decoder_that_is_handed_nothing_is_found() -> None:
    bundle = made(bridge="linear", feed_context=False)
    for parameter in bundle.model.bridge.parameters():
        parameter.data.zero_()
    found = state_probes(bundle, own(bundle))
    assert [verdict.level for verdict in found.verdicts] == ["bad"]
    assert "among sentences costs 0.00 nats a token" in texts(found)[0]
    assert texts(found)[0].endswith("the decoder ignores its source.")


def test_a_decoder_that_does_not_listen_is_found() -> None:
    bundle = made(bridge="copy", feed_context=False)
    for layer in range(2):
        deafen(bundle.model.decoder.stack, layer, cell=True)
    found = state_probes(bundle, own(bundle))
    assert [verdict.level for verdict in found.verdicts] == ["bad"]
    assert texts(found)[0].endswith("the decoder ignores its source.")


def test_a_decoder_that_listens_is_not_accused() -> None:
    bundle = made(bridge="copy")
    assert "ignores" not in " ".join(texts(state_probes(bundle, own(bundle))))


def test_a_decoder_that_uses_only_one_cell_is_found() -> None:
    bundle = made(bridge="copy", feed_context=False)
    deafen(bundle.model.decoder.stack, 0, cell=True)
    deafen(bundle.model.decoder.stack, 1, cell=False)
    found = state_probes(bundle, own(bundle))
    assert found.verdicts[0].level != "bad"
    (told,) = (text for text in texts(found) if "Zeroed alone" in text)
    assert told.startswith("Zeroed alone, layer 2's cell costs most")
    spared = "layer 1's hidden state, layer 2's hidden state, layer 1's cell"
    assert told.endswith(f"next to nothing: {spared}.")


def test_with_attention_a_final_state_that_does_nothing_is_no_fault() -> None:
    bundle = made(bridge="linear", feed_context=False, attention="dot")
    for parameter in bundle.model.bridge.parameters():
        parameter.data.zero_()
    found = state_probes(bundle, own(bundle))
    assert [verdict.level for verdict in found.verdicts] == ["good"]
    assert texts(found)[0].endswith("nearly nothing depends on the final state beside attention.")


def test_a_penalty_that_only_a_beam_knows_is_no_hindrance() -> None:
    bundle = made(attention="dot")
    decoding = replace(bundle.config.decoding, coverage_penalty=0.5)
    config = replace(bundle.config, decoding=decoding)
    assert state_probes(replace(bundle, config=config), PAIRS) == state_probes(bundle, PAIRS)


def test_verdicts_of_made_up_numbers() -> None:
    losses = {"shuffled": 4.0, "0 components": 3.0, "1 component": 2.0, "2 components": 1.15}
    losses |= {"4 components": 1.0, "without layer 1's cell": 1.01, "without layer 2's cell": 1.02}
    probes = [Probe(name, loss, 2.0) for name, loss in losses.items()]
    intact = Probe("intact", 1.0, 30.0)
    found = probe_verdicts([intact, *probes], attention=False)
    assert [verdict.text for verdict in found] == [
        "Shuffling the final states among sentences costs 3.00 nats a token (BLEU 30.0 → 2.0): "
        "the decoder relies on its source.",
        "Zeroed alone, layer 2's cell costs most: 0.02 nats a token; the others make up for each "
        "part.",
        "2 principal components hold 92 % of the 2.00 nats a token that the final state gains "
        "over its mean.",
    ]
    little = [Probe("shuffled", 1.2, 25.0), Probe("0 components", 1.01, 29.0)]
    found = probe_verdicts([intact, *little], attention=False)
    assert [verdict.level for verdict in found] == ["warning"]


def test_one_sentence_alone_cannot_be_shuffled() -> None:
    assert state_probes(made(), PAIRS[:1] * 3) is None
    found = diagnose(made(), PAIRS[:1] * 3, split="test", weights="hash")
    assert found.probes is None and found.states is None and found.losses
