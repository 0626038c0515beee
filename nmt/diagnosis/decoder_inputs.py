"""The decoder's inputs for many sentences, initial states and fed contexts, as one matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.bundle import Bundle
from nmt.config import ModelConfig
from nmt.decoding.stepper import Stepper
from nmt.errors import NmtError
from nmt.inference.translator import Translator
from nmt.models.batch import pad
from nmt.models.bridge import DecoderInit
from nmt.models.cells import CELLS
from nmt.models.stacks import RecurrentState

_BATCH = 64


@dataclass(frozen=True)
class DecoderInputs:
    """The decoder's initial states and fed contexts, concatenated for each sentence.

    Attributes:
        vectors: `(sentences, width)`; one row for each distinct sentence.
        parts: names of the parts of a row, in order; each is `hidden_size` wide.
        rows: row of each sentence, by its token ids, the end token last.
        order: row of each given sentence; equal sentences share one.
    """

    vectors: Tensor
    parts: list[str]
    rows: dict[tuple[int, ...], int]
    order: list[int]


def decoder_inputs(bundle: Bundle, sources: Sequence[str]) -> DecoderInputs:
    """Read sentences, and return the bridge's output for each.

    A row holds every layer's hidden state, every layer's cell state if the cell has one, and the
    context if it is fed; the memory of attention is not included.

    Raises:
        NmtError: the encoder's states are not finite.
    """
    vocabulary, limit = bundle.tokenizer.source, bundle.config.decoding.max_source_length
    encoded = [tuple(vocabulary.input_ids(ids, limit)) for ids in vocabulary.encode(sources)]
    ordered = sorted(set(encoded), key=lambda ids: (len(ids), ids))
    model, config = bundle.model, bundle.config.model
    batches = []
    with torch.no_grad():
        for start in range(0, len(ordered), _BATCH):
            source = pad(ordered[start : start + _BATCH])
            batches.append(_side_by_side(model.bridge(model.encoder(source)), config))
    vectors = torch.cat(batches)
    require_finite("the encoder's final states", vectors)
    rows = {ids: row for row, ids in enumerate(ordered)}
    return DecoderInputs(vectors, _parts(config), rows, [rows[ids] for ids in encoded])


def require_finite(what: str, values: Tensor) -> None:
    """Refuse values of a damaged model.

    Raises:
        NmtError: one of them is not finite.
    """
    if not bool(values.isfinite().all()):
        cause = "the model's weights are damaged, or its training diverged"
        raise NmtError(f"{what} are not finite: {cause}")


def translator_of(bundle: Bundle, stepper: Stepper | None = None) -> Translator:
    """Return a translator with a bundle's model, or with another stepper in its place."""
    return Translator(stepper or bundle.model, bundle.tokenizer, bundle.config)


def to_init(vectors: Tensor, config: ModelConfig) -> DecoderInit:
    """Split rows, `(batch, width)`, into the decoder's initial state and context.

    The context has no columns if it is not fed.
    """
    states = config.layers * CELLS[config.cell].states
    flat, context = vectors.tensor_split([states * config.hidden_size], dim=1)
    return DecoderInit(RecurrentState.split(flat, config.layers, config.hidden_size), context)


def _side_by_side(init: DecoderInit, config: ModelConfig) -> Tensor:
    """Concatenate initial states and fed context into rows, `(batch, width)`."""
    states = [state for states in init.state.tensors for state in states]
    return torch.cat([*states, *([init.context] if config.feed_context else [])], dim=1)


def _parts(config: ModelConfig) -> list[str]:
    """Name the parts of a row, each `hidden_size` wide."""
    kinds = ["hidden state", "cell"][: CELLS[config.cell].states]
    parts = [f"layer {layer}'s {kind}" for kind in kinds for layer in range(1, config.layers + 1)]
    if config.feed_context:
        parts.append("the fed final state")
        if config.pool != "none":
            parts.append(f"the fed {config.pool}")
    return parts
