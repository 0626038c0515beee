"""The engine computes what the network does: in fp32 to float error, in int8 to its rounding."""

import itertools
import random
from typing import Any

import pytest
import torch

from nmt.config import ModelConfig
from nmt.decoding.beam import beam_search
from nmt.decoding.greedy import greedy_search
from nmt.decoding.stepper import Limits
from nmt.errors import UsageError
from nmt.inference import engine_products
from nmt.inference.engine import fast_engine
from nmt.inference.engine_products import InputTable, Integers, Matrix, sigmoid_
from nmt.inference.shortlist import restrict_vocabulary
from nmt.models.batch import Padded, pad
from nmt.models.quantization import dequantize, quantize
from nmt.models.seq2seq import Seq2Seq
from nmt.models.weights import StoredPrecision
from tests.decoding.doubles import search_options
from tests.decoding.scoring import forced_scores

VOCABULARY = 70
LIMITS = Limits(bos_id=2, eos_id=3)
OPTIONS: list[dict[str, Any]] = [
    {"cell": cell, "layers": layers, "bidirectional": bidirectional}
    for cell, layers, bidirectional in itertools.product(
        ["lstm", "gru", "tanh", "relu"], [1, 2], [False, True]
    )
] + [
    {"bridge": "copy"},
    {"cell": "gru", "bridge": "copy"},
    {"feed_context": False},
    {"tie_embeddings": False},
    {"tie_embeddings": False, "feed_context": False},
    {"reverse_source": True},
    {"attention": "dot"},
    {"attention": "general", "reverse_source": True},
    {"attention": "additive", "cell": "gru"},
    {"bridge": "wide"},
    {"bridge": "wide", "feed_context": False, "cell": "tanh"},
    {"bridge": "wide", "pool": "mean", "reverse_source": True},
    {"bridge": "wide", "pool": "max", "cell": "gru", "attention": "general"},
    {"bridge": "wide", "pool": "max", "cell": "relu"},
    {"pool": "mean"},
    {"pool": "max", "bridge": "copy", "cell": "gru"},
    {"pool": "mean", "attention": "general", "input_feeding": True},
    {"input_feeding": True},
    {"input_feeding": True, "attention": "dot", "cell": "gru"},
    {"input_feeding": True, "attention": "general", "tie_embeddings": False, "layers": 1},
    {"input_feeding": True, "tie_embeddings": False, "feed_context": False},
    {"tie_embeddings": "target"},
]
for cell, (kind, layers) in itertools.product(
    ["lstm", "gru", "tanh", "relu"], [("bag", 2), ("window", 1)]
):
    OPTIONS.append({"encoder": kind, "cell": cell, "layers": layers})
OPTIONS += [
    {"encoder": "bag", "pool": "mean", "bridge": "wide", "layers": 1},
    {"encoder": "bag", "pool": "max", "cell": "gru", "bridge": "copy"},
    {"encoder": "bag", "attention": "general"},
    {"encoder": "bag", "tie_embeddings": False},
    {"encoder": "window", "window": 2, "bridge": "wide"},
    {"encoder": "window", "window": 3, "bridge": "copy", "feed_context": False},
]
INTEGER_OPTIONS = [option for option in OPTIONS if option.get("cell") != "relu"]


def network(shared: bool = True, **settings: Any) -> Seq2Seq:
    torch.manual_seed(1)
    config = ModelConfig(**{"embedding_size": 12, "hidden_size": 18, "layers": 2, **settings})
    model = Seq2Seq(config, source_size=VOCABULARY, target_size=VOCABULARY, shared=shared).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.uniform_(-0.3, 0.3)
            elif config.cell != "relu" or "weight_hh" not in name:
                parameter.mul_(1.5)  # far from uniform, so that ties are rare
    return model


def sentences(count: int, seed: int = 2) -> list[list[int]]:
    generator = random.Random(seed)
    return [
        [*(generator.randrange(4, VOCABULARY) for _ in range(generator.randrange(0, 12))), 3]
        for _ in range(count)
    ]


def targets(count: int) -> Padded:
    return pad([[2, *row] for row in sentences(count, seed=5)])


@pytest.mark.parametrize("settings", OPTIONS, ids=str)
@torch.inference_mode()
def test_fp32_equals_the_network(settings: dict[str, Any]) -> None:
    model = network(**settings)
    engine, source, target = fast_engine(model, "fp32"), pad(sentences(9)), targets(9)
    state, expected_state = engine.start(source), model.start(source)
    order = torch.tensor([3, 3, 0, 8, 5, 1])  # as a beam search may have it
    for position in range(4):
        tokens = target.tokens[:, position]
        if position == 2:
            state, expected_state = state.select(order), expected_state.select(order)
            tokens = tokens[order]
        elif position == 3:
            tokens = tokens[order]
        found, state = engine.step(tokens, state)
        expected, expected_state = model.step(tokens, expected_state)
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"attention": "general"}], ids=str)
@torch.inference_mode()
def test_searches_find_what_they_find_with_the_network(settings: dict[str, Any]) -> None:
    model = network(shared=False, **settings)
    engine, source = fast_engine(model, "fp32"), pad(sentences(20))
    for search in (
        lambda stepper: [[one] for one in greedy_search(stepper, source, LIMITS)],
        lambda stepper: beam_search(stepper, source, LIMITS, search_options(beam_size=4, n_best=4)),
    ):
        for found, expected in zip(search(engine), search(model), strict=True):
            assert [one.tokens for one in found] == [one.tokens for one in expected]
            scores = [one.score for one in expected]
            assert [one.score for one in found] == pytest.approx(scores, abs=1e-3)


@pytest.mark.parametrize("settings", INTEGER_OPTIONS, ids=str)
@torch.inference_mode()
def test_int8_is_near_the_network_of_the_rounded_weights(settings: dict[str, Any]) -> None:
    """States are rounded to 1/127: log-probabilities are about as near, and not nearer."""
    model = network(**settings)
    rounded = network(**settings)
    rounded.load_state_dict(dequantize(quantize(model)), strict=False)
    found = forced_scores(fast_engine(model, "int8"), pad(sentences(30)), targets(30))
    expected = forced_scores(rounded, pad(sentences(30)), targets(30))
    per_token = (found - expected).abs() / (targets(30).lengths - 1)
    assert 0 < per_token.max() < 0.12 and per_token.mean() < 0.03


@pytest.mark.parametrize(
    "settings", [option for option in INTEGER_OPTIONS if "attention" not in option], ids=str
)
@torch.inference_mode()
def test_int8_is_exact_in_any_batch(settings: dict[str, Any]) -> None:
    model = network(**settings)
    together = pad(sentences(40))
    engine = fast_engine(model, "int8")
    for search in (
        lambda stepper, source: [[one] for one in greedy_search(stepper, source, LIMITS)],
        lambda stepper, source: beam_search(
            stepper, source, LIMITS, search_options(beam_size=4, n_best=4)
        ),
        lambda stepper, source: beam_search(
            stepper, source, LIMITS, search_options(beam_size=4, prune=1.0)
        ),
    ):
        whole = search(engine, together)
        for row in range(0, 40, 3):
            fresh = fast_engine(model, "int8")  # its table knows no token yet
            (alone,) = search(fresh, pad([sentences(40)[row]]))
            assert alone == whole[row]


@pytest.mark.parametrize("attention", ["dot", "general", "additive"])
@torch.inference_mode()
def test_int8_with_attention_is_near_in_any_batch(attention: str) -> None:
    model = network(attention=attention)
    engine, written = fast_engine(model, "int8"), targets(40)
    together = forced_scores(engine, pad(sentences(40)), written)
    for row in range(0, 40, 3):
        length = int(written.lengths[row])
        target = Padded(written.tokens[row : row + 1, :length], written.lengths[row : row + 1])
        alone = forced_scores(engine, pad([sentences(40)[row]]), target)
        # A rounding of a state may tip: one step of 1/127.
        assert abs(float(alone) - float(together[row])) <= 0.02 * (length - 1)


def test_int8_of_a_relu_network_is_refused() -> None:
    model = network(cell="relu")
    with pytest.raises(UsageError, match=r"--precision: int8 .* model\.cell relu .* use fp32"):
        fast_engine(model, "int8")


@pytest.mark.parametrize("outputs", [1, 7, 64])
@pytest.mark.parametrize("inputs", [3, 64, 1040])
def test_integer_products_are_sums_of_integers(
    inputs: int, outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By numpy's 64-bit integers; and without the processor's integer kernels, too."""
    generator = torch.Generator().manual_seed(3)
    values = torch.randint(-127, 128, (outputs, inputs), generator=generator, dtype=torch.int8)
    scale, bias = torch.rand(outputs) + 0.1, torch.randn(outputs)
    packed = torch.randint(1, 256, (5, inputs), generator=generator, dtype=torch.uint8)
    sums = (packed.numpy().astype("int64") - 128) @ values.numpy().astype("int64").T
    expected = torch.from_numpy(sums).double() * scale.double() / 127 + bias.double()
    for kernels in (True, False):
        if not kernels:
            monkeypatch.setattr(engine_products, "has_integer_kernels", lambda: False)
        found = Integers().product(Matrix(values, scale), bias)(packed)
        torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("shape", [(64, 64), (1024, 256), (8000, 256), (2048, 512)])
def test_an_integer_product_of_a_row_does_not_depend_on_how_many_there_are(
    shape: tuple[int, int],
) -> None:
    """Bit for bit, though kernels are chosen by the number of rows; and as numpy rounds it."""
    generator = torch.Generator().manual_seed(3)
    values = torch.randint(-127, 128, shape, generator=generator, dtype=torch.int8)
    scale, bias = torch.rand(shape[0]) + 0.1, torch.randn(shape[0])
    packed = torch.randint(1, 256, (130, shape[1]), generator=generator, dtype=torch.uint8)
    product = Integers().product(Matrix(values, scale), bias)
    sums = (packed.numpy().astype("int64") - 128) @ values.numpy().astype("int64").T
    expected = sums.astype("float32") * (scale / 127).numpy() + bias.numpy()
    for rows in (1, 2, 3, 4, 5, 16, 17, 64, 130):
        assert torch.equal(product(packed[:rows]), torch.from_numpy(expected[:rows])), rows


@pytest.mark.parametrize("width", [20, 64, 1024, 40_000])
@pytest.mark.parametrize("threads", [1, 3])
def test_sigmoid_gives_the_same_wherever_a_value_stands(width: int, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        values = torch.randn(100, width) * 4
        together = sigmoid_(values.clone())
        for row, alone in zip(together, values, strict=True):
            assert torch.equal(sigmoid_(alone[None].clone())[0], row)
    finally:
        torch.set_num_threads(before)
    exact = 1 / (1 + torch.exp(-values.double()))
    assert (together - exact).abs().max() < 2e-7


def test_packing_rounds_to_the_nearest_step() -> None:
    values = torch.tensor([[-1.0, -0.5, -0.004, -0.003, 0.0, 0.003, 0.004, 1.0]])
    assert Integers().pack(values).tolist() == [[1, 65, 127, 128, 128, 128, 129, 255]]
    unpacked = Integers().unpack(Integers().pack(torch.linspace(-1, 1, 999)[None]))
    assert (unpacked - torch.linspace(-1, 1, 999)).abs().max() <= 0.5 / 127 + 1e-6


def test_the_table_computes_a_row_when_it_is_asked_for() -> None:
    embedding, weight, bias = torch.randn(150, 6), torch.randn(8, 6), torch.randn(8)
    table = InputTable(Matrix(embedding), Matrix(weight), bias)
    for tokens in ([149], [0, 64, 0], list(range(150))):
        expected = embedding[tokens] @ weight.T + bias
        torch.testing.assert_close(table(torch.tensor(tokens)), expected)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@torch.inference_mode()
def test_a_restricted_engine_gives_the_probabilities_among_the_tokens_left(
    precision: StoredPrecision,
) -> None:
    model = network()
    engine, tokens = fast_engine(model, precision), torch.tensor([2, 3, 9, 40, 69])
    narrow = restrict_vocabulary(engine, tokens)
    read = torch.tensor([2, 40, 9])
    whole, state = engine.step(read, engine.start(pad(sentences(3))))
    found, _ = narrow.step(read, narrow.start(pad(sentences(3))))
    torch.testing.assert_close(found, whole[:, tokens].log_softmax(dim=1))
    assert engine.step(read, state)[0].shape == (3, VOCABULARY)
