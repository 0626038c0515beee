"""Probes of the decoder's inputs: change the final states, and measure loss and BLEU."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.bundle import Bundle
from nmt.data.columns import Pair
from nmt.decoding.stepper import Wrapper
from nmt.diagnosis.decoder_inputs import DecoderInputs, decoder_inputs, to_init, translator_of
from nmt.diagnosis.probe_verdicts import probe_verdicts
from nmt.diagnosis.records import Probe, StateProbes
from nmt.diagnosis.state_map import principal_components
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import bleu_metric
from nmt.log import ProgressBar
from nmt.models.batch import Padded
from nmt.models.decoder import Seq2SeqState
from nmt.models.seq2seq import Seq2Seq

NOISES = (0.25, 0.5, 1.0, 2.0)
"""Sizes of noise, in standard deviations of each unit."""


@dataclass(frozen=True)
class _FixedInputs(Wrapper):
    """Starts a network from given vectors instead of its encoder's.

    Attributes:
        stepper: the network; not modified.
        rows: the row of each sentence's vector, by its token ids.
        vectors: see `DecoderInputs`.
    """

    stepper: Seq2Seq
    rows: dict[tuple[int, ...], int]
    vectors: Tensor

    def start(self, source: Padded) -> Seq2SeqState:
        """Start from the sentences' vectors; see `Stepper`."""
        sentences = zip(source.tokens.tolist(), source.lengths.tolist(), strict=True)
        rows = [self.rows[tuple(tokens[:length])] for tokens, length in sentences]
        init = to_init(self.vectors[rows], self.stepper.config)
        return self.stepper.decoder.start(init, self.stepper.encoder(source))

    def step(self, tokens: Tensor, state: Seq2SeqState) -> tuple[Tensor, Seq2SeqState]:
        """Read one token per row and predict the next; see `Stepper`."""
        return self.stepper.step(tokens, state)


def state_probes(bundle: Bundle, pairs: Sequence[Pair]) -> StateProbes | None:
    """Measure loss and BLEU with changed decoder inputs.

    A probe changes the decoder's initial states, after the bridge, and the fed context. Attention
    still reads the source's states. Probes: all zero; the inputs of another sentence; normal noise
    of several sizes; the projection onto the first principal components, with the mean
    (0 components: the mean alone); each layer's hidden state or cell, or the fed context, zeroed
    alone. Loss is in nats per target token, without label smoothing. BLEU is that of greedy search,
    which is fast, and a little below that of beam search.

    Args:
        bundle: the model.
        pairs: raw (source, reference); a few hundred suffice.

    Returns:
        None for fewer than two sentences of different token ids.

    Raises:
        DataError: a tokenizer of BLEU is not installed.
        NmtError: the encoder's states are not finite.
    """
    inputs = decoder_inputs(bundle, [source for source, _ in pairs])
    if len(inputs.vectors) < 2:
        return None
    changes = list(_changes(inputs))
    probes = []
    with ProgressBar("probe", len(changes)) as bar:
        for name, vectors in changes:
            stepper = _FixedInputs(bundle.model, inputs.rows, vectors)
            probes.append(_probe(name, bundle, stepper, pairs))
            bar.advance()
            bar.log(f"{name}: loss {probes[-1].loss:.3f}, BLEU {probes[-1].bleu:.2f}")
    attention = bundle.config.model.attention != "none"
    return StateProbes(len(pairs), probes, probe_verdicts(probes, attention=attention))


def _probe(name: str, bundle: Bundle, stepper: _FixedInputs, pairs: Sequence[Pair]) -> Probe:
    sources, references = (list(side) for side in zip(*pairs, strict=True))
    translator = translator_of(bundle, stepper)
    scores = translator.token_scores(sources, references)
    hypotheses = translator.translate_all(sources, greedy=True)
    metric = bleu_metric(TargetLanguage.of(bundle.config.data), [references])
    loss = -sum(map(sum, scores)) / sum(map(len, scores))
    return Probe(name, loss, float(metric.corpus_score(hypotheses, None).score))


def _changes(inputs: DecoderInputs) -> Iterator[tuple[str, Tensor]]:
    """Yield the name of each probe and its vectors, the intact ones first."""
    vectors = inputs.vectors
    yield "intact", vectors
    yield "zeroed", torch.zeros_like(vectors)
    yield "shuffled", shuffled(vectors)
    for size in NOISES:
        yield f"noise {size:g}", noised(vectors, size)
    components = principal_components(vectors)
    number, most = 0, min(len(vectors) - 1, vectors.shape[1])
    while number < most:
        yield f"{number} component{'' if number == 1 else 's'}", components.cut(vectors, number)
        number = max(1, 2 * number)
    if len(inputs.parts) > 1:
        for part, name in enumerate(inputs.parts):
            changed = vectors.clone()
            changed.chunk(len(inputs.parts), dim=1)[part].zero_()
            yield f"without {name}", changed


def shuffled(vectors: Tensor, seed: int = 1) -> Tensor:
    """Give every row the vector of another, `(rows, width)`, each vector once."""
    order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(seed))
    mixed = torch.empty_like(vectors)
    mixed[order] = vectors[order.roll(1)]
    return mixed


def noised(vectors: Tensor, size: float, seed: int = 1) -> Tensor:
    """Add normal noise of a size in standard deviations of each unit over the rows."""
    noise = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(seed))
    return vectors + size * vectors.std(dim=0) * noise
