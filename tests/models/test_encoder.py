import pytest
import torch
from torch import nn

from nmt.config import ModelConfig
from nmt.models.batch import pad, reversed_positions
from nmt.models.encoder import Encoder

SENTENCES = [[4, 5, 6, 7, 3], [8, 3], [9, 4, 3], [3]]


def encoder(**settings: object) -> Encoder:
    torch.manual_seed(0)
    config = ModelConfig(embedding_size=6, hidden_size=8, **settings)  # type: ignore[arg-type]
    return Encoder(config, nn.Embedding(10, 6)).eval()


@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh", "relu"])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("reverse_source", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_padding_never_reaches_the_final_state(
    cell: str, bidirectional: bool, reverse_source: bool, layers: int
) -> None:
    network = encoder(
        cell=cell, bidirectional=bidirectional, reverse_source=reverse_source, layers=layers
    )
    together = network(pad(SENTENCES))
    for row, sentence in enumerate(SENTENCES):
        alone = network(pad([sentence]))
        torch.testing.assert_close(together.state.hidden[:, row], alone.state.hidden[:, 0])
        if cell == "lstm":
            torch.testing.assert_close(together.state.cell[:, row], alone.state.cell[:, 0])
        torch.testing.assert_close(together.memory[row, : len(sentence)], alone.memory[0])


def test_the_final_state_is_torchs_own_at_the_true_length() -> None:
    network = encoder(bidirectional=False)
    encoded = network(pad(SENTENCES))
    for row, sentence in enumerate(SENTENCES):
        inputs = network.embedding(torch.tensor([sentence]))
        outputs, (hidden, cell) = network.stack(inputs)
        torch.testing.assert_close(encoded.state.hidden[:, row], hidden[:, 0])
        torch.testing.assert_close(encoded.state.cell[:, row], cell[:, 0])
        torch.testing.assert_close(encoded.memory[row, : len(sentence)], outputs[0])


def test_directions_stand_side_by_side() -> None:
    network = encoder(bidirectional=True, layers=2)
    sentence = SENTENCES[0]
    _, (hidden, _) = network.stack(network.embedding(torch.tensor([sentence])))
    state = network(pad([sentence])).state.hidden  # (layers, batch, forward + backward)
    torch.testing.assert_close(state[1, 0], torch.cat([hidden[2, 0], hidden[3, 0]]))


def test_a_reversed_source_is_the_sentence_backwards() -> None:
    backwards = encoder(reverse_source=True, bidirectional=False)
    forwards = encoder(reverse_source=False, bidirectional=False)
    forwards.load_state_dict(backwards.state_dict())
    sentence = SENTENCES[0]
    turned = backwards(pad([sentence, [8, 3]]))
    plain = forwards(pad([sentence[::-1]]))
    torch.testing.assert_close(turned.state.hidden[:, 0], plain.state.hidden[:, 0])
    # The memory stands beside the tokens as they were given.
    torch.testing.assert_close(turned.memory[0], plain.memory[0].flip(0))


def test_reversing_keeps_padding_in_place() -> None:
    padded = pad([[1, 2, 3], [4], [5, 6]])
    order = reversed_positions(padded)
    assert padded.tokens.gather(1, order).tolist() == [[3, 2, 1], [4, 0, 0], [6, 5, 0]]
    assert order.gather(1, order).tolist() == [[0, 1, 2]] * 3


def test_masks_and_selection_follow_lengths() -> None:
    padded = pad([[1, 2, 3], [4], [5, 6]])
    assert padded.mask.tolist() == [[True] * 3, [True, False, False], [True, True, False]]
    picked = padded.select(torch.tensor([2, 1]))
    assert picked.tokens.tolist() == [[5, 6], [4, 0]]
    assert picked.lengths.tolist() == [2, 1]
