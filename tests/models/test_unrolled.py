"""The unrolled twin against the network itself, and against torch's own stacks and cells."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.batch import pad
from nmt.models.seq2seq import Seq2Seq
from nmt.models.unrolled import unroll

SOURCE = pad([[4, 5, 6, 3], [7, 3], [8, 9, 3]])
TARGET = pad([[2, 4, 3], [2, 5, 6, 7, 3], [2, 3]])
CELLS = ["lstm", "gru", "tanh", "relu"]
OPTIONS: list[dict[str, object]] = [
    {"bridge": "copy", "feed_context": False, "tie_embeddings": False},
    {"bridge": "wide"},
    {"bridge": "wide", "pool": "mean"},
    {"bridge": "copy", "pool": "max", "attention": "dot"},
    {"attention": "general"},
    {"attention": "additive", "tie_embeddings": False},
    {"input_feeding": True},
    {"input_feeding": True, "attention": "dot", "feed_context": False},
    {"tie_embeddings": "target"},
    {"encoder": "bag", "attention": "dot"},
    {"encoder": "window", "window": 2, "bridge": "copy"},
]


def network(**settings: object) -> Seq2Seq:
    torch.manual_seed(0)
    config = ModelConfig(**{"embedding_size": 6, "hidden_size": 8, **settings})  # type: ignore[arg-type]
    return Seq2Seq(config, source_size=10, target_size=10, shared=True).double().eval()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_losses_are_the_networks(cell: str, options: dict[str, object]) -> None:
    for layers, bidirectional, reverse_source in itertools.product(
        [1, 2], [False, True], [False, True]
    ):
        model = network(
            cell=cell,
            layers=layers,
            bidirectional=bidirectional,
            reverse_source=reverse_source,
            **options,
        )
        losses = torch.stack(unroll(model, SOURCE, TARGET).losses, dim=1)
        real = TARGET.mask[:, 1:]
        expected = nn.functional.cross_entropy(
            model(SOURCE, TARGET), TARGET.tokens[:, 1:][real], reduction="none"
        )
        assert torch.allclose(losses[real], expected, atol=1e-12)
        assert (losses[~real] == 0).all()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("reverse_source", [False, True])
def test_states_are_those_of_torchs_stacks(cell: str, reverse_source: bool) -> None:
    """Each sentence alone, layer by layer, in either direction."""
    model = network(cell=cell, bidirectional=True, reverse_source=reverse_source)
    layers = unroll(model, SOURCE, TARGET).layers
    assert [(one.network, one.layer) for one in layers] == [
        ("encoder", 1),
        ("encoder, backwards", 1),
        ("encoder", 2),
        ("encoder, backwards", 2),
        ("decoder", 1),
        ("decoder", 2),
    ]
    stack = model.encoder.stack
    for row, length in enumerate(SOURCE.lengths.tolist()):
        tokens = SOURCE.tokens[row, :length]
        tokens = tokens.flip(0) if reverse_source else tokens
        outputs, last = stack(model.encoder.embedding(tokens))
        forwards, backwards = outputs.split(4, dim=1)
        found = [one.aligned(one.hidden)[:length, row] for one in layers[:4]]
        assert torch.allclose(found[2], forwards) and torch.allclose(found[3].flip(0), backwards)
        ends = [last] if isinstance(last, Tensor) else last
        for number, layer in enumerate(layers[:4]):
            for states, end in zip([layer.hidden, layer.cell], ends, strict=False):
                assert torch.allclose(layer.aligned(states)[length - 1, row], end[number])
    init = model.bridge(model.encoder(SOURCE))
    start = init.state.hidden
    read = torch.cat(
        [
            model.decoder.embedding(TARGET.tokens[:, :-1]),
            init.context[:, None].expand(-1, TARGET.tokens.shape[1] - 1, -1),
        ],
        dim=2,
    )
    state = start if init.state.cell is None else (start, init.state.cell)
    outputs, _ = model.decoder.stack(read, state)
    assert torch.allclose(torch.stack(layers[5].hidden, dim=1), outputs)
    assert all(torch.allclose(one.before[0], start[one.layer - 1]) for one in layers[4:])


@pytest.mark.parametrize(
    ("cell", "biases", "logits"),
    [
        ("lstm", [1.0, 2.0, 0.5, -1.0], {"input": 1.0, "forget": 2.0, "output": -1.0}),
        ("gru", [3.0, -2.0, 0.5], {"reset": 3.0, "update": -2.0}),
    ],
)
def test_gates_by_hand(cell: str, biases: list[float], logits: dict[str, float]) -> None:
    """One unit whose every weight is 0: only biases decide."""
    model = network(cell=cell, layers=1, bidirectional=False, hidden_size=1)
    for parameter in model.encoder.stack.parameters():
        nn.init.zeros_(parameter)
    model.encoder.stack.bias_ih_l0.data[:] = torch.tensor(biases)
    layer = unroll(model, SOURCE, TARGET).layers[0]
    assert {
        name: layer.aligned(steps)[1, 0].item() for name, steps in layer.gates.items()
    } == pytest.approx({name: 1 / (1 + math.exp(-logit)) for name, logit in logits.items()})


@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_no_real_state_and_no_gradient(cell: str) -> None:
    model = network(cell=cell, bidirectional=True, attention="dot", pool="mean")
    together = unroll(model, SOURCE, TARGET)
    for row in range(3):
        source = pad([SOURCE.tokens[row, : SOURCE.lengths[row]].tolist()])
        target = pad([TARGET.tokens[row, : TARGET.lengths[row]].tolist()])
        alone = unroll(model, source, target)
        for ours, own in zip(together.layers, alone.layers, strict=True):
            length = int(own.lengths)
            assert length == ours.lengths[row] == len(own.hidden)
            for states, expected in [(ours.hidden, own.hidden), (ours.cell, own.cell)]:
                if states:
                    one, other = ours.aligned(states), own.aligned(expected)
                    assert torch.allclose(one[:length, row], other[:, 0])
            gradients = [
                layer.aligned(
                    list(
                        torch.autograd.grad(
                            torch.stack(run.losses).sum(), layer.hidden, retain_graph=True
                        )
                    )
                )
                for run, layer in ((together, ours), (alone, own))
            ]
            assert torch.allclose(gradients[0][:length, row], gradients[1][:, 0])
            assert not gradients[0][length:, row].any()
