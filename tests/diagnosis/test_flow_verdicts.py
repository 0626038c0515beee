"""Planted models get the verdicts that they deserve, and sentences say the numbers."""

from typing import Any

import pytest
import torch
from torch import nn

from nmt.config import ModelConfig
from nmt.diagnosis.flow_verdicts import Decay, flow_verdicts
from nmt.diagnosis.gradient_flow import gradient_flow
from nmt.diagnosis.records import GateStatistics, GradientFlow, GradientSum
from nmt.models.batch import pad
from nmt.models.seq2seq import Seq2Seq

SUM = GradientSum("decoder.stack.weight_hh_l0", [1.0, 0.5], 2e-15)
FAR = ModelConfig(cell="tanh", bidirectional=False, feed_context=False)


def planted(cell: str, change: Any, **settings: Any) -> GradientFlow:
    """The flow through a model whose recurrent weights, or forget biases, are changed."""
    torch.manual_seed(0)
    options = {"bidirectional": False, "feed_context": False, "bridge": "copy", "layers": 1}
    sizes = {"embedding_size": 16, "hidden_size": 16}
    config = ModelConfig(cell=cell, **{**options, **sizes, **settings})  # type: ignore[arg-type]
    model = Seq2Seq(config, source_size=40, target_size=40, shared=True).eval()
    with torch.no_grad():
        for network in (model.encoder, model.decoder):
            change(network.stack)
    words = torch.randint(4, 40, (4, 12)).tolist()
    source, target = pad([[*row, 3] for row in words]), pad([[2, *row, 3] for row in words])
    return gradient_flow(model, config, source, target, "start")


def scaled(times: float) -> Any:
    return lambda stack: stack.weight_hh_l0.mul_(times)


def wide_open(stack: nn.LSTM) -> None:
    stack.bias_ih_l0[16:32] = 6.0


def levels(flow: GradientFlow) -> set[str]:
    return {verdict.level for verdict in flow.verdicts}


def test_a_planted_vanishing_model_is_bad() -> None:
    flow = planted("tanh", scaled(0.1))
    headline, encoder, decoder, arithmetic = flow.verdicts
    assert headline.level == encoder.level == decoder.level == "bad"
    assert flow.reach < 1e-3 and "<0.001 % of the gradient is left: expect no" in headline.text
    assert "try model.cell lstm, model.feed_context true, model.attention" in headline.text
    assert "the gradient halves every 0." in encoder.text and "it vanishes" in encoder.text
    assert arithmetic.level == "good"


def test_a_planted_healthy_model_is_good() -> None:
    flow = planted("lstm", wide_open)
    assert levels(flow) == {"good"} and flow.reach > 0.1


def test_a_planted_exploding_model_is_bad() -> None:
    flow = planted("relu", scaled(3.0), tie_embeddings=False)
    headline, encoder, decoder, _ = flow.verdicts
    assert headline.level == encoder.level == decoder.level == "bad"
    assert "the gradient doubles every 0.6 steps" in encoder.text
    assert "it explodes; try model.cell lstm, a smaller training.clip_norm" in decoder.text
    assert "near words drown in far ones; try" in headline.text


@pytest.mark.parametrize(
    ("settings", "way"),
    [
        ({"feed_context": True}, "the fed context is a shortcut"),
        ({"attention": "dot"}, "attention is a shortcut"),
        ({"attention": "dot", "feed_context": True}, "the fed context and attention are shortcuts"),
    ],
    ids=str,
)
def test_shortcuts_are_named_and_carry_over_the_decoder(settings: dict[str, Any], way: str) -> None:
    plain = planted("tanh", scaled(0.1), reverse_source=True)
    flow = planted("tanh", scaled(0.1), reverse_source=True, **settings)
    assert way in flow.verdicts[0].text and "shortcut" not in plain.verdicts[0].text
    # The first word is read last, next to the final state; a decoder that forgets loses it.
    assert (plain.verdicts[0].level, flow.verdicts[0].level) == ("bad", "good")


def test_the_sentence_of_the_issue() -> None:
    halved = 0.5 ** (1 / 3.1)
    headline, decoder, _ = flow_verdicts(FAR, [Decay("decoder", halved, 20)], 0.0002, [], [SUM])
    assert headline.text == (
        "From the last target word to the first source word 0.02 % of the gradient is left: expect "
        "no long-distance learning; try model.cell lstm, model.feed_context true, "
        "model.attention additive, model.bidirectional true."
    )
    assert decoder.text == (
        "Decoder: the gradient halves every 3.1 steps (fitted); over a mean sentence of 20 steps "
        "1.14 % is left: it fades; try model.cell lstm."
    )
    assert (headline.level, decoder.level) == ("bad", "warning")


@pytest.mark.parametrize(
    ("kept", "level", "told"),
    [
        (0.0, "bad", "no gradient gets past a single step"),
        (1e-30, "bad", "halves every 0.0 steps"),
        (0.5, "bad", "halves every 1.0 steps"),
        (0.9, "good", "halves every 6.6 steps"),
        (1.0, "good", "the fitted decay leaves 100 % of the gradient"),
        (
            1.1,
            "good",
            "doubles every 7.3 steps (fitted); over a mean sentence of 20 steps it grows 6.7",
        ),
        (1.3, "warning", "it swells"),
        (2.0, "bad", "it explodes"),
        (1e30, "bad", "it explodes"),
    ],
)
def test_levels_of_a_decay(kept: float, level: str, told: str) -> None:
    verdict = flow_verdicts(FAR, [Decay("encoder", kept, 20)], 0.5, [], [SUM])[1]
    assert verdict.level == level and told in verdict.text


@pytest.mark.parametrize(
    ("reach", "level", "told"),
    [
        (0.0, "bad", "0 % of the gradient is left"),
        (0.0009, "bad", "0.09 % of the gradient is left"),
        (0.002, "warning", "0.2 % of the gradient is left: long distances will be learned slowly"),
        (0.03, "good", "3 % of the gradient is left."),
        (4.2, "good", "the gradient grows 4.2-fold."),
        (64.2, "warning", "the gradient grows 64.2-fold: near words drown in far ones; try"),
    ],
)
def test_levels_of_reach(reach: float, level: str, told: str) -> None:
    verdict = flow_verdicts(FAR, [], reach, [], [SUM])[0]
    assert verdict.level == level and told in verdict.text


def test_gates_that_keep_shortly_or_are_shut_are_named() -> None:
    decays = [Decay("encoder", 0.8, 20), Decay("decoder", 0.9, 20)]
    steps = [1.0, 2.0, 3.0, 4.0, 5.0]
    forget = GateStatistics("encoder", 1, "forget", 0.7, 0.0, 0.1, steps)
    long = GateStatistics("decoder", 1, "forget", 0.9, 0.0, 0.1, [20 * step for step in steps])
    shut = GateStatistics("decoder", 2, "input", 0.01, 0.97, 0.0, None)
    verdicts = flow_verdicts(FAR, decays, 0.5, [forget, long, shut], [SUM])
    short, closed = verdicts[3:5]
    assert short.level == "warning" and "steps: 5.0 (encoder), 100.0 (decoder)." in short.text
    assert closed.level == "warning"
    assert closed.text.startswith("Decoder, layer 2: 97 % of the input gates' values are shut")
    assert flow_verdicts(FAR, decays[1:], 0.5, [long], [SUM])[2].level == "good"
    # A gradient that arrives all the same, as by a pool or by attention, is fine.
    arrives = [Decay("encoder", 0.9, 20)]
    assert flow_verdicts(FAR, arrives, 0.5, [forget], [SUM])[2].level == "good"
    never = GateStatistics("encoder", 1, "forget", 0.0, 1.0, 0.0, [0.0] * 5)
    assert flow_verdicts(FAR, decays[:1], 0.5, [never], [SUM])[2].level == "warning"


def test_a_wrong_sum_is_bad() -> None:
    wrong = GradientSum("encoder.stack.weight_hh_l1", [1.0], 3e-4)
    verdict = flow_verdicts(FAR, [], 0.5, [], [SUM, wrong])[-1]
    assert verdict.level == "bad"
    assert verdict.text.startswith("The gradient of encoder.stack.weight_hh_l1 is not the sum")
