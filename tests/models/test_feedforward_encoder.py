"""Encoders without recurrence, against numpy and against what they must not see."""

import itertools

import numpy
import pytest
import torch
from torch import nn

from nmt.config import ModelConfig
from nmt.models.batch import last_positions, pad
from nmt.models.encoder import Encoded, Encoder
from nmt.models.feedforward_encoder import FeedforwardEncoder
from nmt.models.seq2seq import Seq2Seq

SENTENCES = [[4, 5, 6, 7, 8, 3], [8, 3], [9, 4, 5, 3], [3]]
CELLS = ["lstm", "gru", "tanh", "relu"]


def encoder(**settings: object) -> FeedforwardEncoder:
    torch.manual_seed(0)
    config = ModelConfig(**{"embedding_size": 6, "hidden_size": 8, **settings})  # type: ignore[arg-type]
    made = FeedforwardEncoder(config, nn.Embedding(10, 6)).eval()
    nn.init.uniform_(made.states.bias)
    return made


def everything(encoded: Encoded, row: int) -> torch.Tensor:
    """All states of a sentence, hidden and cell."""
    parts = [encoded.state.hidden, *([] if encoded.state.cell is None else [encoded.state.cell])]
    return torch.cat([part[:, row].flatten() for part in parts])


def squashed(values: numpy.ndarray, cell: str) -> numpy.ndarray:
    return numpy.maximum(values, 0) if cell == "relu" else numpy.tanh(values)


def test_the_default_is_recurrent() -> None:
    assert (
        type(Seq2Seq(ModelConfig(), source_size=9, target_size=9, shared=True).encoder) is Encoder
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_a_bag_is_a_map_of_the_mean(cell: str, layers: int) -> None:
    network = encoder(encoder="bag", cell=cell, layers=layers, attention="dot")
    weight, bias = (one.detach().numpy() for one in (network.states.weight, network.states.bias))
    table = network.embedding.weight.detach().numpy()
    found = network(pad(SENTENCES))
    assert found.state.hidden.shape == (layers, 4, 8)
    assert (found.state.cell is not None) == (cell == "lstm")
    for row, sentence in enumerate(SENTENCES):
        mapped = (table[sentence].mean(axis=0) @ weight.T + bias).reshape(-1, 8)
        hidden = squashed(mapped[:layers], cell)
        assert found.state.hidden[:, row].detach().numpy() == pytest.approx(hidden, abs=1e-6)
        if cell == "lstm":
            cells = found.state.cell[:, row].detach().numpy()
            assert cells == pytest.approx(mapped[layers:], abs=1e-6)
        for place, token in enumerate(sentence):  # what a bag of the token alone would be
            alone = squashed((table[token] @ weight.T + bias).reshape(-1, 8)[layers - 1], cell)
            memory = found.memory[row, place].detach().numpy()
            assert memory == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_a_window_maps_its_places_side_by_side(cell: str, layers: int) -> None:
    network = encoder(encoder="window", window=3, cell=cell, layers=layers)
    weight, bias = (one.detach().numpy() for one in (network.states.weight, network.states.bias))
    table = network.embedding.weight.detach().numpy()
    found = network(pad(SENTENCES))
    nothing = numpy.zeros(6)
    for row, window in enumerate([[6, 7, 8], [None, None, 8], [9, 4, 5], [None] * 3]):
        read = numpy.concatenate([nothing if one is None else table[one] for one in window])
        mapped = (read @ weight.T + bias).reshape(-1, 8)
        expected = [squashed(mapped[:layers], cell), mapped[layers:]]
        expected = numpy.concatenate([part.flatten() for part in expected])
        assert everything(found, row).detach().numpy() == pytest.approx(expected, abs=1e-6)


def test_a_bag_knows_words_and_no_order() -> None:
    network = encoder(encoder="bag")
    orders = [[*order, 3] for order in itertools.permutations([4, 5, 6, 6])]
    found = network(pad([*orders, [4, 5, 6, 7, 3], [4, 5, 6, 3]]))
    for row in range(1, len(orders)):
        torch.testing.assert_close(everything(found, row), everything(found, 0))
    for row in (len(orders), len(orders) + 1):
        assert (everything(found, row) - everything(found, 0)).abs().max() > 0.01


def test_a_window_knows_order_and_nothing_before_it() -> None:
    network = encoder(encoder="window", window=2)
    found = network(pad([[4, 5, 6, 3], [9, 9, 9, 5, 6, 3], [5, 6, 3], [6, 5, 3], [7, 6, 3]]))
    for row in (1, 2):
        assert torch.equal(everything(found, row), everything(found, 0))
    for row in (3, 4):
        assert (everything(found, row) - everything(found, 0)).abs().max() > 0.01


@pytest.mark.parametrize("settings", [{"encoder": "bag"}, {"encoder": "window", "window": 4}])
def test_padding_never_matters(settings: dict[str, object]) -> None:
    network = encoder(**settings)
    together = pad([*SENTENCES, [5] * 20])
    together.tokens.masked_fill_(~together.mask, 7)
    found = network(together)
    for row, sentence in enumerate(SENTENCES):
        alone = network(pad([sentence]))
        torch.testing.assert_close(everything(found, row), everything(alone, 0))
        torch.testing.assert_close(found.memory[row, : len(sentence)], alone.memory[0])


def test_last_positions_stand_before_the_end_token() -> None:
    positions, there = last_positions(pad(SENTENCES), 2)
    assert positions.tolist() == [[3, 4], [0, 0], [1, 2], [0, 0]]
    assert there.tolist() == [[True, True], [False, True], [True, True], [False, False]]


@pytest.mark.parametrize("settings", [{"encoder": "bag"}, {"encoder": "window", "window": 3}])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_a_network_of_each_learns_what_its_encoder_can_see(
    settings: dict[str, object], cell: str, layers: int
) -> None:
    """One word of the source is to be written; a bag and a window both see it."""
    torch.manual_seed(0)
    config = ModelConfig(
        cell=cell,  # type: ignore[arg-type]
        layers=layers,
        embedding_size=8,
        hidden_size=16,
        dropout=0.0,
        feed_context=False,
        **settings,  # type: ignore[arg-type]
    )
    model = Seq2Seq(config, source_size=10, target_size=10, shared=False)
    source = pad([[5, 6, word, 3] for word in range(4, 10)])
    target = pad([[2, word, word, 3] for word in range(4, 10)])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(120):
        loss = model.loss(source, target) / 18
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3  # without a look at the source it is log(6) / 3 = 0.6 at best


@pytest.mark.parametrize("settings", [{"encoder": "bag"}, {"encoder": "window"}])
def test_noise_reaches_the_state_in_training_alone(settings: dict[str, object]) -> None:
    network = encoder(dropout=0.5, source_word_dropout=0.2, locked_dropout=True, **settings).train()
    first, second = (everything(network(pad(SENTENCES)), 0) for _ in range(2))
    assert (first != second).any()
    network.eval()
    first, second = (everything(network(pad(SENTENCES)), 0) for _ in range(2))
    assert torch.equal(first, second)


def test_half_precision_is_near() -> None:
    for settings in ({"encoder": "bag"}, {"encoder": "window"}):
        network = encoder(**settings)
        whole = everything(network(pad(SENTENCES)), 0)
        with torch.autocast("cpu", torch.bfloat16):
            half = everything(network(pad(SENTENCES)), 0)
        torch.testing.assert_close(half.float(), whole, atol=0.05, rtol=0.05)
