import itertools

import pytest
import torch
import torch.nn.functional as F

from nmt.config import ModelConfig
from nmt.decoding.beam import beam_search
from nmt.decoding.greedy import greedy_search
from nmt.decoding.stepper import Limits
from nmt.models.batch import pad
from nmt.models.seq2seq import Seq2Seq
from tests.decoding.doubles import search_options
from tests.decoding.scoring import forced_scores, whole_attention

SOURCE = pad([[4, 5, 6, 3], [7, 3], [8, 9, 3]])
TARGET = pad([[2, 4, 3], [2, 5, 6, 7, 3], [2, 3]])
LIMITS = Limits(bos_id=2, eos_id=3, extra_length=2)
CELLS, ATTENTIONS = ["lstm", "gru", "tanh", "relu"], ["none", "dot", "general", "additive"]


def network(shared: bool = False, **settings: object) -> Seq2Seq:
    torch.manual_seed(0)
    config = ModelConfig(**{"embedding_size": 6, "hidden_size": 8, **settings})  # type: ignore[arg-type]
    return Seq2Seq(config, source_size=10, target_size=10, shared=shared)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_combination_runs_and_agrees_with_itself(
    cell: str, attention: str, layers: int, bidirectional: bool
) -> None:
    """Forward, backward, greedy, beam and scoring; whole sequences against single steps."""
    for reverse_source, bridge, feed_context, (tied, shared) in itertools.product(
        [False, True],
        ["copy", "linear"],
        [False, True],
        [(False, False), (True, False), (True, True)],
    ):
        model = network(
            shared=shared,
            cell=cell,
            attention=attention,
            layers=layers,
            bidirectional=bidirectional,
            reverse_source=reverse_source,
            bridge=bridge,
            feed_context=feed_context,
            tie_embeddings=tied,
        )
        model.train()
        model.loss(SOURCE, TARGET, label_smoothing=0.1).backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        model.eval()
        with torch.inference_mode():
            scores = forced_scores(model, SOURCE, TARGET)
            assert scores.sum().item() == pytest.approx(
                -model.loss(SOURCE, TARGET).item(), abs=1e-4
            )
            greedy = greedy_search(model, SOURCE, LIMITS)
            beam = beam_search(model, SOURCE, LIMITS, search_options(beam_size=3, n_best=3))
            assert len(greedy) == len(beam) == 3


OPTIONS: list[dict[str, object]] = [
    {"bridge": "wide"},
    {"bridge": "wide", "pool": "mean"},
    {"pool": "mean"},
    {"bridge": "copy", "pool": "max", "attention": "dot"},
    {"bridge": "wide", "pool": "max", "feed_context": False},
    {"bridge": "wide", "pool": "max", "attention": "general"},
    {"input_feeding": True},
    {"input_feeding": True, "attention": "dot"},
    {"input_feeding": True, "attention": "additive", "tie_embeddings": False},
    {"tie_embeddings": "target"},
    {"recurrent_init": "identity"},
    {"recurrent_init": "uniform"},
    {"encoder": "bag"},
    {"encoder": "bag", "attention": "general", "bridge": "copy", "tie_embeddings": False},
    {"encoder": "bag", "pool": "max", "bridge": "wide"},
    {"encoder": "window", "window": 2},
    {"encoder": "window", "bridge": "copy", "feed_context": False},
]
NOISE = {
    "dropout": 0.2,
    "source_word_dropout": 0.2,
    "target_word_dropout": 0.2,
}


@pytest.mark.parametrize("settings", OPTIONS, ids=str)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("locked", [False, True])
def test_every_option_runs_and_agrees_with_itself(
    settings: dict[str, object], cell: str, layers: int, locked: bool
) -> None:
    """Forward and backward under all noise; whole sequences against single steps without."""
    for bidirectional in (False, True):
        model = network(
            shared=True,
            cell=cell,
            layers=layers,
            bidirectional=bidirectional,
            locked_dropout=locked,
            **settings,
            **NOISE,
        ).train()
        model.loss(SOURCE, TARGET, label_smoothing=0.1, r_drop=2.0).backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        model.eval()
        with torch.inference_mode():
            scores = forced_scores(model, SOURCE, TARGET)
            loss = model.loss(SOURCE, TARGET).item()
            assert scores.sum().item() == pytest.approx(-loss, abs=1e-4)


@pytest.mark.parametrize("locked", [False, True])
def test_the_passes_of_r_drop_differ_by_their_dropout_alone(locked: bool) -> None:
    model = network(dropout=0.3, locked_dropout=locked)
    torch.testing.assert_close(
        model.eval().loss(SOURCE, TARGET, 0.1, r_drop=3.0), model.loss(SOURCE, TARGET, 0.1)
    )
    losses = []
    for r_drop in (0.0, 1.0):
        torch.manual_seed(5)
        losses.append(model.train().loss(SOURCE, TARGET, r_drop=r_drop).item())
    assert losses[1] > losses[0] + 0.01, "the divergence of equal passes is 0"


def test_both_networks_start_as_the_config_says() -> None:
    model = network(recurrent_init="identity", bidirectional=False)
    for stack in (model.encoder.stack, model.decoder.stack):
        assert torch.equal(stack.weight_hh_l1, torch.eye(8).repeat(4, 1))
        assert stack.bias_ih_l1[8:16].tolist() == [1.0] * 8


def test_two_way_tying_leaves_the_source_embedding_alone() -> None:
    three, two = network(shared=True), network(shared=True, tie_embeddings="target")
    assert three.encoder.embedding.weight is three.decoder.embedding.weight
    assert two.encoder.embedding.weight is not two.decoder.embedding.weight
    for model in (three, two):
        assert model.decoder.projection.weight is model.decoder.embedding.weight


def test_input_feeding_reads_the_last_readout() -> None:
    """Written out for one sentence, from the decoder's own parts."""
    model = network(input_feeding=True, attention="dot", feed_context=False, layers=1).eval()
    decoder = model.decoder
    source, target = pad([[4, 5, 6, 3]]), pad([[2, 5, 6, 3]])
    encoded = model.encoder(source)
    state = model.bridge(encoded).state
    feed = torch.zeros(1, 6)
    hidden, cell = state.hidden[0], state.cell[0]
    own = [parameter for _, parameter in decoder.stack.named_parameters()]
    total = 0.0
    for token, following in itertools.pairwise(target.tokens[0]):
        read = torch.cat([decoder.embedding(token[None]), feed], dim=1)
        hidden, cell = torch.lstm_cell(read, (hidden, cell), *own)
        weights = (hidden @ encoded.memory[0].T).softmax(dim=1)
        feed = decoder.readout(torch.cat([hidden, weights @ encoded.memory[0]], dim=1))
        total += decoder.projection(feed).log_softmax(dim=1)[0, following].item()
    assert model.loss(source, target).item() == pytest.approx(-total, abs=1e-4)


def test_coverage_is_the_sum_of_the_alignments() -> None:
    for settings in [{"attention": "general"}, {"attention": "dot", "input_feeding": True}]:
        model = network(**settings).eval()
        alignments = whole_attention(model, SOURCE, TARGET)
        assert alignments.shape == (3, 4, 4)
        torch.testing.assert_close(alignments.sum(dim=2), torch.ones(3, 4))
        assert not alignments[1, :, 2:].any()  # nothing looks at padding
        state = model.start(SOURCE)
        for position in range(4):
            _, state = model.step(TARGET.tokens[:, position], state)
        torch.testing.assert_close(state.coverage, alignments.sum(dim=1))
        picked = state.select(torch.tensor([1, 1, 0])).coverage
        assert picked is not None and torch.equal(picked[0], state.coverage[1])


def test_the_loss_is_the_sum_of_token_cross_entropies() -> None:
    """Each sentence by itself, without padding, through plain log-softmax."""
    model = network().eval()
    total = 0.0
    for row, length in enumerate(TARGET.lengths.tolist()):
        source = SOURCE.select(torch.tensor([row]))
        target = TARGET.select(torch.tensor([row]))
        logits = model(source, target)
        assert logits.shape == (length - 1, 10)
        log_probs = logits.log_softmax(-1)
        for position in range(length - 1):
            total -= log_probs[position, target.tokens[0, position + 1]].item()
    assert model.loss(SOURCE, TARGET).item() == pytest.approx(total, abs=1e-4)


def test_label_smoothing_spreads_mass_evenly() -> None:
    model = network().eval()
    logits = model(SOURCE, TARGET)
    truth = TARGET.tokens[:, 1:][TARGET.mask[:, 1:]]
    wanted = F.one_hot(truth, 10) * 0.9 + 0.1 / 10
    by_hand = -(wanted * logits.log_softmax(-1)).sum()
    assert model.loss(SOURCE, TARGET, 0.1).item() == pytest.approx(by_hand.item(), abs=1e-4)


def test_tying_shares_one_matrix_where_vocabularies_are_shared() -> None:
    model = network(shared=True, tie_embeddings=True)
    assert model.encoder.embedding is model.decoder.embedding
    assert model.decoder.projection.weight is model.decoder.embedding.weight
    model = network(shared=False, tie_embeddings=True)
    assert model.encoder.embedding is not model.decoder.embedding
    assert model.decoder.projection.weight is model.decoder.embedding.weight
    model = network(shared=True, tie_embeddings=False)
    assert model.encoder.embedding is not model.decoder.embedding
    assert model.decoder.projection.weight is not model.decoder.embedding.weight


def test_without_attention_the_final_state_is_the_only_link() -> None:
    """Two sources that leave the same final state are the same to the decoder."""
    model = network(attention="none").eval()
    state = model.start(SOURCE)
    assert state.memory.states is None and state.memory.keys is None
    for part in (state.memory.context_inputs, state.memory.context_features):
        assert part is not None and len(part) == 3  # one row for each sentence


def test_dropout_is_for_training_only() -> None:
    model = network(dropout=0.5)
    model.train()
    assert model.loss(SOURCE, TARGET).item() != model.loss(SOURCE, TARGET).item()
    model.eval()
    assert model.loss(SOURCE, TARGET).item() == model.loss(SOURCE, TARGET).item()


def test_states_know_their_rows() -> None:
    model = network(attention="general").eval()
    first = model.start(SOURCE)
    state = first.select(torch.tensor([0, 0, 1, 1, 2, 2]))
    assert state.sentences.tolist() == [0, 0, 1, 1, 2, 2]
    assert state.memory is first.memory  # what belongs to a sentence is not copied
    picked = state.select(torch.tensor([5, 0, 0]))  # until a quarter of the sentences has left
    assert picked.sentences.tolist() == [1, 0, 0] and len(picked.memory.keys) == 2
    whole, _ = model.step(torch.tensor([4] * 6), state)
    part, _ = model.step(torch.tensor([4] * 3), picked)
    torch.testing.assert_close(part, whole[[5, 0, 0]])
