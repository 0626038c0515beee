"""The reading half of engines whose encoder has no recurrence."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nmt.config import ModelConfig
from nmt.inference.cells import Carried
from nmt.inference.products import Arithmetic, InputTable, Matrix
from nmt.models.batch import Padded, last_positions
from nmt.models.bridge import pooled
from nmt.models.seq2seq import embedding_scale


class EngineWordEncoder:
    """Computes what a `WordEncoder` does; see `EngineEncoder` for what it returns.

    What the map makes of a mean of embeddings is the mean of what it makes of each: a bag looks
    that up in a table.
    """

    def __init__(self, weights: Mapping[str, Tensor], config: ModelConfig, arithmetic: Arithmetic):
        embedding = Matrix.named(weights, "encoder.embedding.weight")
        self._embedding = embedding.times(embedding_scale(config))
        self._window = config.window if config.encoder == "window" else None
        matrix, bias = (
            Matrix.named(weights, "encoder.states.weight"),
            weights["encoder.states.bias"],
        )
        if self._window is None:
            self._table = InputTable(self._embedding, matrix, bias)
        else:
            self._product = arithmetic.wide_product(matrix, bias)
        self._layers, self._size = config.layers, config.hidden_size
        self._squash = torch.relu if config.cell == "relu" else torch.tanh
        self._keeps_memory = config.attention != "none" or config.pool != "none"
        self._arithmetic = arithmetic

    def __call__(self, source: Padded) -> tuple[list[Carried], Tensor | None]:
        """Return every layer's state and, of a bag where it is looked at, the memory."""
        memory = None
        if self._window is None:
            rows = self._table(source.tokens.flatten()).view(*source.tokens.shape, -1)
            mapped = pooled(rows, source.mask, "mean")
            if self._keeps_memory:
                top = rows.split(self._size, dim=2)[self._layers - 1]
                memory = self._arithmetic.unpack(self._arithmetic.pack(self._squash(top)))
        else:
            mapped = self._product(self._last(source, self._window))
        states = mapped.split(self._size, dim=1)
        hidden, cells = states[: self._layers], states[self._layers :]
        squashed = [self._squash(one) for one in hidden]
        finals: list[Carried] = [(self._arithmetic.pack(one), one) for one in squashed]
        if cells:
            finals = [(*one, cell) for one, cell in zip(finals, cells, strict=True)]
        return finals, memory

    def _last(self, source: Padded, window: int) -> Tensor:
        """Return the embeddings in the window side by side, `(sentences, window × embedding)`."""
        positions, there = last_positions(source, window)
        tokens = source.tokens.gather(1, positions).flatten()
        rows = self._embedding.arranged(tokens, there.flatten().float()).floats
        return rows.view(len(positions), -1)
