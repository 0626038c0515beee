import itertools
import random
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from nmt.config import ModelConfig
from nmt.errors import NmtError
from nmt.models.quantization import dequantize, quantize, refuse_infinite
from nmt.models.seq2seq import Seq2Seq
from nmt.models.weights import load_weights, save_weights, shapes_only

BITS = torch.int32


def network(**settings: object) -> Seq2Seq:
    torch.manual_seed(0)
    shared = bool(settings.pop("shared", True))
    config = ModelConfig(**{"embedding_size": 6, "hidden_size": 8, **settings})  # type: ignore[arg-type]
    return Seq2Seq(config, source_size=10, target_size=10, shared=shared)


def set_weights(model: Seq2Seq, weights: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def assert_equal_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.dtype == other[name].dtype, name
        if tensor.dtype == torch.float32:
            assert torch.equal(tensor.view(BITS), other[name].view(BITS)), name
        else:
            assert torch.equal(tensor, other[name]), name


def test_a_row_worked_by_hand() -> None:
    model = network(attention="general")
    assert model.decoder.attention is not None
    weight = model.decoder.attention.key.weight
    with torch.no_grad():
        weight[0] = torch.tensor([254.0, -254.0, 2.0, 1.01, 0.99, -2.9, -3.1, 0.0])
        weight[1] = 0.0
    tensors = quantize(model)
    name = "decoder.attention.key.weight"
    assert tensors[name][0].tolist() == [127, -127, 1, 1, 0, -1, -2, 0]
    assert tensors[name][1].tolist() == [0] * 8
    assert tensors[f"{name}.scale"][:2].tolist() == [2.0, 1.0]
    assert dequantize(tensors)[name][0].tolist() == [254.0, -254.0, 2.0, 2.0, 0.0, -2.0, -4.0, 0.0]


@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh", "relu"])
def test_matrices_become_int8_and_vectors_stay(cell: str) -> None:
    model = network(cell=cell, attention="additive")
    tensors = quantize(model)
    weights: dict[str, Tensor] = dict(model.named_parameters())  # each tied tensor once
    weights |= dict(model.named_buffers())
    matrices = {name for name, weight in weights.items() if weight.dim() == 2}
    assert tensors.keys() == weights.keys() | {f"{name}.scale" for name in matrices}
    assert "decoder.attention.score.weight" in matrices  # of one row
    back = dequantize(tensors)
    assert back.keys() == weights.keys()
    for name, weight in weights.items():
        if name in matrices:
            scale = tensors[f"{name}.scale"]
            assert tensors[name].dtype == torch.int8 and tensors[name].shape == weight.shape
            assert scale.dtype == torch.float32 and scale.shape == weight.shape[:1]
            assert int(tensors[name].min()) >= -127
            assert (back[name] - weight).abs().le(0.51 * scale[:, None]).all()
        else:
            assert torch.equal(back[name], weight) and tensors[name].dtype == torch.float32
        assert back[name].dtype == torch.float32


def test_input_and_recurrent_rows_of_a_layer_and_direction_share_their_scales() -> None:
    tensors = quantize(network(layers=2, bidirectional=True))
    ends = ["l0", "l0_reverse", "l1", "l1_reverse"]
    stacks = [f"encoder.stack.weight_{{}}_{end}" for end in ends]
    stacks += [f"decoder.stack.weight_{{}}_{end}" for end in ends[::2]]
    scales = []
    for name in stacks:
        ih, hh = (tensors[name.format(kind)] for kind in ("ih", "hh"))
        scale = tensors[f"{name.format('ih')}.scale"]
        assert torch.equal(scale, tensors[f"{name.format('hh')}.scale"])
        # In each row the largest of both matrices is ±127.
        assert torch.cat([ih, hh], dim=1).abs().amax(dim=1).eq(127).all()
        scales.append(scale)
    for one, other in itertools.combinations(scales, 2):
        assert not torch.equal(one, other)


def odd_matrix(rows: int, columns: int, seed: int) -> Tensor:
    """Rows of every magnitude that float32 has, some of zeros, some of a single weight."""
    generator = torch.Generator().manual_seed(seed)
    rolls = random.Random(seed)
    matrix = torch.randn(rows, columns, generator=generator)
    for row in matrix:
        row *= 2.0 ** rolls.randint(-149, 125)
        kind = rolls.randrange(6)
        if kind == 0:
            row.zero_()
        elif kind == 1:
            row[1:] = 0.0
        elif kind == 2:
            row[0] = rolls.choice([torch.finfo(torch.float32).max, 2.0**-149, 2.0**-126, 1e-40])
    return matrix


@pytest.mark.parametrize("seed", range(20))
def test_rounding_twice_is_rounding_once_bit_for_bit(seed: int) -> None:
    model = network(layers=2, bidirectional=True, attention="additive")
    shapes = {name: weight.shape for name, weight in model.named_parameters()}
    set_weights(
        model,
        {
            name: odd_matrix(*shape, seed) if len(shape) == 2 else torch.randn(shape)
            for name, shape in shapes.items()
        },
    )
    first = quantize(model)
    weights = dequantize(first)
    assert all(bool(weight.isfinite().all()) for weight in weights.values())
    set_weights(model, weights)
    again = quantize(model)
    assert_equal_bits(first, again)
    assert_equal_bits(weights, dequantize(again))


def test_many_random_rows_round_the_same_twice() -> None:
    model = network(embedding_size=4)
    embedding = torch.nn.Embedding(200_000, 4)
    model.encoder.embedding = model.decoder.embedding = embedding
    model.decoder.projection.weight = embedding.weight
    name = "encoder.embedding.weight"
    for seed in range(3):
        with torch.no_grad():
            embedding.weight.copy_(torch.randn(200_000, 4, generator=torch.manual_seed(seed)))
            first = quantize(model)
            embedding.weight.copy_(dequantize(first)[name])
        assert_equal_bits(first, quantize(model))
        assert first[name].abs().amax(dim=1).eq(127).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["encoder.stack.weight_hh_l0", "decoder.projection.bias"])
def test_weights_that_are_not_finite_are_refused_by_name(bad: float, name: str) -> None:
    model = network()
    with torch.no_grad():
        dict(model.named_parameters())[name].view(-1)[3] = bad
    with pytest.raises(NmtError, match=f"{name} holds a weight that is not finite"):
        refuse_infinite(model)


def test_scales_that_do_not_fit_are_refused() -> None:
    tensors = quantize(network())
    name = "decoder.readout.weight"
    for wrong in ({}, {f"{name}.scale": torch.ones(3)}):
        broken = {key: value for key, value in tensors.items() if key != f"{name}.scale"} | wrong
        with pytest.raises(ValueError, match=f"{name} has no scales that fit it"):
            dequantize(broken)


TIES = [
    (False, False),
    (False, True),
    (True, False),
    (True, True),
    ("target", True),
]  # tie_embeddings, shared


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh", "relu"])
@pytest.mark.parametrize("attention", ["none", "dot", "general", "additive"])
def test_every_network_goes_into_a_file_and_back(
    cell: str, attention: str, precision: str, tmp_path: Path
) -> None:
    for (tied, shared), bidirectional, bridge, feed_context in itertools.product(
        TIES, [False, True], ["copy", "linear", "wide"], [False, True]
    ):
        settings = {
            **{"cell": cell, "attention": attention, "tie_embeddings": tied, "shared": shared},
            **{"pool": "max" if bridge == "wide" else "none", "input_feeding": bidirectional},
            **{"bidirectional": bidirectional, "bridge": bridge, "feed_context": feed_context},
        }
        model = network(**settings)
        expected = dict(model.named_parameters())
        if precision == "int8":
            expected = dequantize(quantize(model))  # type: ignore[assignment]
            del expected["decoder.token_counts"]  # no weight
        save_weights(tmp_path / "weights", model, precision)  # type: ignore[arg-type]
        with shapes_only():
            loaded = network(**settings)
        assert all(parameter.is_meta for parameter in loaded.parameters())
        load_weights(tmp_path / "weights", loaded, precision)  # type: ignore[arg-type]
        # Names come once for each tensor, so equal names are equal ties.
        assert dict(loaded.named_parameters()).keys() == expected.keys()
        for name, parameter in loaded.named_parameters():
            assert torch.equal(parameter, expected[name]) and parameter.requires_grad
        for name, parameter in loaded.state_dict().items():
            assert not parameter.is_meta, name
        for stack in (loaded.encoder.stack, loaded.decoder.stack):
            own = {id(parameter) for parameter in stack.parameters()}
            assert {id(weight) for weight in stack._flat_weights} == own


@pytest.mark.parametrize("encoder", ["bag", "window"])
def test_encoders_without_recurrence_are_rounded_and_read_back(
    encoder: str, tmp_path: Path
) -> None:
    model = network(encoder=encoder)
    for precision in ("fp32", "int8"):
        save_weights(tmp_path / precision, model, precision)  # type: ignore[arg-type]
        with shapes_only():
            loaded = network(encoder=encoder)
        load_weights(tmp_path / precision, loaded, precision)  # type: ignore[arg-type]
        states, found = model.encoder.states, loaded.encoder.states
        assert torch.equal(found.bias, states.bias)
        steps = states.weight.abs().amax(dim=1, keepdim=True) / 127
        largest = ((found.weight - states.weight).abs() / steps).max().item()
        assert largest == 0 if precision == "fp32" else 0 < largest <= 0.51


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("decoder.stack.bias_ih_l0"), r"Missing key.*decoder.stack.bias_ih_l0"),
        (lambda t: t.update(more=torch.ones(1)), r"Unexpected key.*more"),
        (lambda t: t.update({"decoder.stack.bias_ih_l0": torch.ones(3)}), r"size mismatch.*\[3\]"),
        (
            lambda t: t.update({"encoder.embedding.weight": torch.ones(10, 6)}),
            r"encoder.embedding.weight and decoder.* should be one tensor, but are two",
        ),
        (
            lambda t: t.update({"decoder.stack.bias_ih_l0": torch.ones(32, dtype=torch.int64)}),
            r"decoder.stack.bias_ih_l0 holds torch.int64",
        ),
        (
            lambda t: t.update({"decoder.stack.bias_ih_l0": torch.ones(32, dtype=torch.int8)}),
            r"the weights are not fp32",
        ),
    ],
)
def test_other_weights_than_the_networks_are_refused(
    change: object, told: str, tmp_path: Path
) -> None:
    model = network()
    save_weights(tmp_path / "weights", model, "fp32")
    tensors = safetensors.torch.load_file(tmp_path / "weights")
    tied = {"encoder.embedding.weight", "decoder.embedding.weight", "decoder.projection.weight"}
    (kept,) = tied & tensors.keys()
    tensors["decoder.projection.weight"] = tensors.pop(kept).clone()
    change(tensors)  # type: ignore[operator]
    safetensors.torch.save_file(tensors, tmp_path / "other")
    with pytest.raises((RuntimeError, ValueError), match=told):
        load_weights(tmp_path / "other", model, "fp32")
    with pytest.raises(ValueError, match="the weights are not int8"):
        load_weights(tmp_path / "weights", model, "int8")
