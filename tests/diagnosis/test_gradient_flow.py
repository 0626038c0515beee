"""Gradient flow against torch's own cells, step by step and sentence by sentence."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.diagnosis.gradient_flow import (
    Norms,
    gradient_flow,
    kept_per_step,
    reach,
    state_flow,
    state_norms,
)
from nmt.diagnosis.gradient_sums import gradient_sums
from nmt.errors import NmtError
from nmt.models.batch import pad
from nmt.models.seq2seq import Seq2Seq
from nmt.models.unrolled import unroll

SOURCES = [[4, 5, 6, 7, 8, 3], [7, 3], [8, 9, 3]]
TARGETS = [[2, 4, 3], [2, 5, 6, 7, 9, 3], [2, 3]]
SOURCE, TARGET = pad(SOURCES), pad(TARGETS)
CELLS = ["lstm", "gru", "tanh", "relu"]
PLAIN: dict[str, Any] = {
    "bidirectional": False,
    "feed_context": False,
    "bridge": "copy",
    "tie_embeddings": False,
}


def network(**settings: Any) -> tuple[Seq2Seq, ModelConfig]:
    torch.manual_seed(0)
    config = ModelConfig(**{"embedding_size": 6, "hidden_size": 8, **settings})
    model = Seq2Seq(config, source_size=10, target_size=10, shared=True)
    return model.double().eval(), config


class Cells:
    """A stack of torch's cells; a zero is added to each state, to be derived by."""

    def __init__(self, stack: nn.LSTM | nn.GRU | nn.RNN):
        self.cells = []
        for layer in range(stack.num_layers):
            sizes = stack.input_size if layer == 0 else stack.hidden_size, stack.hidden_size
            cell: nn.RNNCellBase
            if isinstance(stack, nn.LSTM):
                cell = nn.LSTMCell(*sizes)
            elif isinstance(stack, nn.GRU):
                cell = nn.GRUCell(*sizes)
            else:
                cell = nn.RNNCell(*sizes, nonlinearity=stack.nonlinearity)
            cell.double().load_state_dict(
                {name: getattr(stack, f"{name}_l{layer}") for name in cell.state_dict()}
            )
            self.cells.append(cell)
        self.zeros: list[list[Tensor]] = [[] for _ in self.cells]
        self.states: list[list[Any]] = [[] for _ in self.cells]

    def run(self, words: Tensor, before: list[Any]) -> tuple[list[Tensor], list[Any]]:
        outputs = []
        for values in words:
            for layer, cell in enumerate(self.cells):
                after = cell(values[None], before[layer])
                zero = torch.zeros(1, cell.hidden_size, dtype=torch.float64, requires_grad=True)
                self.zeros[layer].append(zero)
                after = (after[0] + zero, after[1]) if isinstance(after, tuple) else after + zero
                self.states[layer].append(after)
                before[layer] = after
                values = (after[0] if isinstance(after, tuple) else after)[0]
            outputs.append(values)
        return outputs, before


def naive(model: Seq2Seq, source: list[int], target: list[int]) -> dict[tuple[str, int], Any]:
    """Norms of one sentence, `[t][step]`, by network and layer."""
    reader, writer = Cells(model.encoder.stack), Cells(model.decoder.stack)
    words = model.encoder.embedding(torch.tensor(source))
    _, handed = reader.run(words, [None] * len(reader.cells))
    outputs, _ = writer.run(model.decoder.embedding(torch.tensor(target[:-1])), handed)
    found: dict[tuple[str, int], Any] = {}
    for output, word in zip(outputs, target[1:], strict=True):
        loss = F.cross_entropy(model.decoder.projection(output), torch.tensor(word))
        for name, stack in (("encoder", reader), ("decoder", writer)):
            for layer, zeros in enumerate(stack.zeros):
                slopes = torch.autograd.grad(
                    loss, zeros, retain_graph=True, allow_unused=True, materialize_grads=True
                )
                row = torch.stack([slope.norm() for slope in slopes])
                found.setdefault((name, layer + 1), []).append(row)
    return {key: torch.stack(rows) for key, rows in found.items()}


@pytest.mark.parametrize("cell", CELLS)
def test_norms_are_those_of_torchs_cells(cell: str) -> None:
    model, config = network(cell=cell, **PLAIN)
    norms = {
        (one.network, one.layer): one.values
        for one in state_norms(unroll(model, SOURCE, TARGET))
        if one.state == "hidden"
    }
    sentences = [naive(model, *pair) for pair in zip(SOURCES, TARGETS, strict=True)]
    flow = gradient_flow(model, config, SOURCE, TARGET, "start")
    maps = {(one.network, one.layer): one.norms for one in flow.states if one.state == "hidden"}
    assert set(norms) == set(maps) == set(sentences[0])
    for key, values in norms.items():
        means: dict[tuple[int, int], list[float]] = {}
        for row, sentence in enumerate(sentences):
            expected = sentence[key] if key[0] == "decoder" else sentence[key].flip(1)
            for loss in range(values.shape[0]):
                for step in range(values.shape[1]):
                    there = loss < expected.shape[0] and step < expected.shape[1]
                    if not there or (key[0] == "decoder" and step > loss):
                        assert values[loss, step, row].isnan()
                        continue
                    own = float(expected[loss, step])
                    assert float(values[loss, step, row]) == pytest.approx(own, rel=1e-9)
                    means.setdefault((loss, step), []).append(own)
        for (loss, step), own_norms in means.items():
            mean = sum(own_norms) / len(own_norms)
            assert maps[key][loss][step] == pytest.approx(mean, rel=1e-3)
        for loss, shown in enumerate(maps[key]):
            assert [norm is not None for norm in shown] == [
                (loss, step) in means for step in range(len(shown))
            ]


def test_the_cells_norm_is_by_the_chain_rule() -> None:
    """c reaches the losses through its step's h = o·tanh(c), and through the next step."""
    model, _ = network(cell="lstm", **PLAIN)
    unrolled = unroll(model, SOURCE, TARGET)
    top = unrolled.layers[-1]
    loss = unrolled.losses[-1].sum()
    states = [top.hidden[1], top.cell[1], top.cell[2], top.recurrent[2]]
    by_hidden, by_cell, by_next, by_gates = torch.autograd.grad(loss, states, retain_graph=True)
    squashed = top.cell[1].tanh()
    through = by_hidden * top.gates["output"][1] * (1 - squashed**2)
    kept = by_next * top.gates["forget"][2]
    assert torch.allclose(by_cell, through + kept)
    assert torch.allclose(by_hidden, by_gates @ model.decoder.stack.weight_hh_l1)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "options",
    [
        PLAIN,
        {},
        {"reverse_source": True, "bridge": "wide", "pool": "max"},
        {"attention": "additive", "input_feeding": True},
        {"attention": "dot", "bidirectional": False, "reverse_source": True, "layers": 1},
    ],
    ids=str,
)
def test_sums_over_time_are_autograds(cell: str, options: dict[str, Any]) -> None:
    """Against the fused kernels, for each recurrent matrix that there is."""
    model, _ = network(cell=cell, **options)
    sums = gradient_sums(model, SOURCE, TARGET)
    matrices = [name for name, _ in model.named_parameters() if "weight_hh" in name]
    assert sorted(one.parameter for one in sums) == sorted(matrices)
    for one in sums:
        assert one.relative_error < 1e-6
        if one.parameter.startswith("encoder"):  # the hand-over is a step
            assert one.by_distance[0] == 0 and one.by_distance[1] > 0
            assert len(one.by_distance) <= 6 + 5
        else:
            assert one.by_distance[0] > 0 and len(one.by_distance) == 5


def test_shares_by_distance_with_a_matrix_for_each_step() -> None:
    """One tanh layer, one sentence: give each step a copy of the matrix, as the lecture does."""
    model, _ = network(cell="tanh", layers=1, **PLAIN)
    source, target = SOURCES[0], TARGETS[1]
    found = gradient_sums(model, pad([source]), pad([target]))[1].by_distance
    stack, decoder = model.decoder.stack, model.decoder
    copies = [stack.weight_hh_l0.detach().clone().requires_grad_() for _ in target[1:]]
    state = model.encoder(pad([source])).state.hidden[0]
    losses = []
    for word, following, copied in zip(target[:-1], target[1:], copies, strict=True):
        read = decoder.embedding(torch.tensor([word])) @ stack.weight_ih_l0.T + stack.bias_ih_l0
        state = torch.tanh(read + state @ copied.T + stack.bias_hh_l0)
        losses.append(F.cross_entropy(decoder.projection(state), torch.tensor([following])))
    shares = [torch.zeros_like(copies[0]) for _ in losses]
    for time, loss in enumerate(losses):
        slopes = torch.autograd.grad(loss, copies[: time + 1], retain_graph=True)
        for step, slope in enumerate(slopes):
            shares[time - step] += slope
    assert found == pytest.approx([float(share.norm()) for share in shares], rel=1e-9)


def test_decay_is_fitted_to_logarithms() -> None:
    assert kept_per_step([8.0, 4.0, 2.0], [1, 1, 1]) == pytest.approx(0.5)
    assert kept_per_step([1.0, 1.5], [3, 1]) == pytest.approx(1.5)
    # log2: 0, -1, -4 with weights 1, 1, 0: the last has no say
    assert kept_per_step([1.0, 0.5, 1 / 16], [10**9, 10**9, 1]) == pytest.approx(0.5, rel=1e-6)
    # equal weights: slope of 0, -1, -4 is -2
    assert kept_per_step([1.0, 0.5, 1 / 16], [1, 1, 1]) == pytest.approx(0.25)
    assert kept_per_step([1.0, 0.5, 0.0], [1, 1, 1]) == pytest.approx(0.5)
    assert kept_per_step([1.0, 0.0], [1, 1]) == 0.0
    assert kept_per_step([1.0], [5]) is None
    assert kept_per_step([1.0, math.nan], [5, 0]) is None


def test_curves_average_over_losses_and_sentences() -> None:
    model, _ = network(cell="gru", layers=1, **PLAIN)
    encoder, decoder = state_norms(unroll(model, SOURCE, TARGET))
    for distance, norm in enumerate(state_flow(decoder).by_distance):
        losses = range(distance, 5)
        values = torch.cat([decoder.values[loss, loss - distance] for loss in losses])
        assert norm == pytest.approx(float(values.nanmean()), rel=1e-3)
    for distance, norm in enumerate(state_flow(encoder).by_distance):
        assert norm == pytest.approx(float(encoder.values[:, distance].nanmean()), rel=1e-3)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("reverse_source", [False, True])
def test_reach_looks_at_the_state_that_reads_the_first_word(
    bidirectional: bool, reverse_source: bool
) -> None:
    model, _ = network(bidirectional=bidirectional, reverse_source=reverse_source)
    far = near = 0.0
    for source, target in zip(SOURCES, TARGETS, strict=True):
        norms = state_norms(unroll(model, pad([source]), pad([target])))
        ends = {"encoder": len(source) - 1, "encoder, backwards": 0, "decoder": -1}
        if reverse_source:
            ends |= {"encoder": 0, "encoder, backwards": len(source) - 1}
        squares = [(one.network, float(one.values[-1, ends[one.network], 0]) ** 2) for one in norms]
        far += math.sqrt(sum(square for network, square in squares if network != "decoder"))
        near += math.sqrt(sum(square for network, square in squares if network == "decoder"))
    unrolled = unroll(model, SOURCE, TARGET)
    found = reach(unrolled, state_norms(unrolled), reverse_source)
    assert found == pytest.approx(far / near, rel=1e-9)


@pytest.mark.parametrize("encoder", ["bag", "window"])
def test_an_encoder_without_recurrence_has_a_decoders_flow_alone(encoder: str) -> None:
    model, config = network(encoder=encoder)
    flow = gradient_flow(model, config, SOURCE, TARGET, "start")
    assert flow.reach is None
    assert {one.network for one in flow.states} == {"decoder"}
    assert not any("first source word" in verdict.text for verdict in flow.verdicts)
    losses = torch.stack(unroll(model, SOURCE, TARGET).losses).sum()
    assert losses.item() == pytest.approx(model.loss(SOURCE, TARGET).item(), rel=1e-6)


def test_damaged_weights_are_refused() -> None:
    model, config = network()
    model.decoder.stack.weight_hh_l0.data[0, 0] = math.nan
    with pytest.raises(NmtError, match="not finite"):
        gradient_flow(model, config, SOURCE, TARGET, "start")


def test_a_model_in_single_precision_stays_as_it_is() -> None:
    model, config = network()
    model.float()
    flow = gradient_flow(model, config, SOURCE, TARGET, "start")
    assert all(one.relative_error < 1e-12 for one in flow.sums)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_curve_ends_where_hardly_a_sentence_reaches() -> None:
    # 11 sentences: all have one step back, one (9 %) has two.
    values = torch.full((1, 3, 11), float("nan"), dtype=torch.float64)
    values[0, 0], values[0, 1], values[0, 2, 0] = 4.0, 2.0, 1e-9
    curve = state_flow(Norms("encoder", 1, "hidden", values))
    assert curve.by_distance == [4.0, 2.0] and curve.kept_per_step == pytest.approx(0.5)
    # Of 10 sentences it is a tenth.
    curve = state_flow(Norms("encoder", 1, "hidden", values[:, :, :10]))
    assert curve.by_distance == [4.0, 2.0, 1e-9]
