"""What the decoder is given of each of many sentences, as one matrix."""

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
class HandedOver:
    """The decoder's first states and fed contexts, those of each sentence side by side.

    Attributes:
        vectors: `(sentences, width)`; each different sentence has one row.
        parts: what a row consists of, in order; each part is `hidden_size` wide.
        rows: row of each sentence, by its token ids, the end token last.
        order: row of each sentence, as they were given; sentences may share one.
    """

    vectors: Tensor
    parts: list[str]
    rows: dict[tuple[int, ...], int]
    order: list[int]


def handed_over(bundle: Bundle, sources: Sequence[str]) -> HandedOver:
    """Read sentences, and keep what the bridge makes of each.

    That is every layer's hidden state, every layer's cell where there are cells, and the context
    where it is fed. What attention looks at does not belong to it.

    Raises:
        NmtError: the model gives no numbers.
    """
    vocabulary, limit = bundle.tokenizer.source, bundle.config.decoding.max_source_length
    encoded = [tuple(vocabulary.input_ids(ids, limit)) for ids in vocabulary.encode(sources)]
    ordered = sorted(set(encoded), key=lambda ids: (len(ids), ids))
    model, config, device = bundle.model, bundle.config.model, _device(bundle)
    batches = []
    with torch.no_grad():
        for start in range(0, len(ordered), _BATCH):
            source = pad(ordered[start : start + _BATCH], device)
            batches.append(_side_by_side(model.bridge(model.encoder(source)), config))
    vectors = torch.cat(batches)
    if not bool(vectors.isfinite().all()):
        raise NmtError(
            "the encoder's final states are no finite numbers: the model's weights are damaged, or "
            "its training diverged"
        )
    rows = {ids: row for row, ids in enumerate(ordered)}
    return HandedOver(vectors, _parts(config), rows, [rows[ids] for ids in encoded])


def translator_of(bundle: Bundle, stepper: Stepper | None = None) -> Translator:
    """Return what translates and scores with a bundle's model, or with another in its place."""
    return Translator(
        stepper or bundle.model, bundle.tokenizer, bundle.config, device=_device(bundle)
    )


def taken_apart(vectors: Tensor, config: ModelConfig) -> DecoderInit:
    """Turn rows, `(batch, width)`, back into what is handed over.

    The context has no columns where it is not fed.
    """
    states = config.layers * CELLS[config.cell].states
    flat, context = vectors.split(
        [states * config.hidden_size, vectors.shape[1] - states * config.hidden_size], dim=1
    )
    parts = flat.unflatten(1, (states, -1)).transpose(0, 1)  # (states, batch, hidden)
    state = RecurrentState(*(part.contiguous() for part in parts.split(config.layers)))
    return DecoderInit(state, context)


def _side_by_side(init: DecoderInit, config: ModelConfig) -> Tensor:
    """Put what is handed over into rows, `(batch, width)`."""
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


def _device(bundle: Bundle) -> torch.device:
    return bundle.model.decoder.embedding.weight.device
