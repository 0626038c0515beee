"""The engine's reading half: sentences to final states, and those to the decoder's first."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nmt.config import ModelConfig
from nmt.inference.cells import Carried, Layer, LayerWeights
from nmt.inference.products import Arithmetic, Matrix
from nmt.models.batch import Padded, reverse, reversed_positions
from nmt.models.products import Product


class EngineEncoder:
    """Reads sentences, the longest first, so that at each step those still going stand together."""

    def __init__(self, weights: Mapping[str, Tensor], config: ModelConfig, arithmetic: Arithmetic):
        embedding = Matrix.named(weights, "encoder.embedding.weight")
        directions = ("", "_reverse") if config.bidirectional else ("",)
        self._layers = [
            [
                Layer(
                    config.cell,
                    LayerWeights.named(weights, "encoder.stack", f"{layer}{direction}"),
                    arithmetic,
                    embedding=embedding if layer == 0 else None,
                )
                for direction in directions
            ]
            for layer in range(config.layers)
        ]
        self._cell, self._reversed = config.cell, config.reverse_source
        self._keeps_memory = config.attention != "none"
        self._arithmetic = arithmetic

    def __call__(self, source: Padded) -> tuple[list[Carried], Tensor | None]:
        """Return every layer's final state, directions side by side, and the top layer's states.

        Each state is packed hidden, fp32 hidden and, of an LSTM, cell, `(sentences, hidden)` each;
        the top layer's states are fp32, `(sentences, source, hidden)`, None without attention.
        """
        order = source.lengths.argsort(descending=True, stable=True)
        back = order.argsort()
        tokens = reverse(source) if self._reversed else source.tokens
        tokens = tokens[order].t().contiguous()  # (time, sentences)
        # Sentences still going at each step
        going = (source.lengths > torch.arange(len(tokens))[:, None]).sum(dim=1).tolist()
        finals: list[Carried] = []
        outputs = tokens  # of what lies below the first layer
        for number, directions in enumerate(self._layers):
            kept = self._keeps_memory or number + 1 < len(self._layers)
            ends, outputs = self._run(directions, outputs, going, keep=kept)
            finals.append(tuple(part[back] for part in ends))
        if not self._keeps_memory:
            return finals, None
        memory = self._arithmetic.unpack(outputs[:, back].transpose(0, 1))
        if self._reversed:
            memory = memory.gather(1, reversed_positions(source)[:, :, None].expand_as(memory))
        return finals, memory

    def _run(
        self, directions: list[Layer], inputs: Tensor, going: list[int], *, keep: bool
    ) -> tuple[Carried, Tensor]:
        """Run one layer over `(time, sentences)` tokens or `(time, sentences, size)` states."""
        time, rows = inputs.shape[:2]
        size = directions[0].size
        outputs = self._arithmetic.zeros(time * rows if keep else 0, len(directions) * size)
        outputs = outputs.view(-1, rows, len(directions) * size)
        ends = []
        for number, layer in enumerate(directions):
            state = layer.zero(rows)
            for step in range(time) if number == 0 else reversed(range(time)):
                count = going[step]
                below = inputs[step, :count]
                now = layer.step(
                    layer.look_up(below) if layer.reads_tokens else below,
                    tuple(part[:count] for part in state),
                )
                if count == rows:
                    state = now
                else:
                    for whole, part in zip(state, now, strict=True):
                        whole[:count] = part
                if keep:
                    outputs[step, :count, number * size : (number + 1) * size] = now[0]
            hidden = state[1] if self._cell == "gru" else self._arithmetic.unpack(state[0])
            ends.append((state[0], hidden, *(state[1:] if self._cell == "lstm" else ())))
        return tuple(torch.cat(parts, dim=1) for parts in zip(*ends, strict=True)), outputs


class EngineBridge:
    """Makes of the encoder's final states the fp32 hidden and cell states that start a decoder."""

    def __init__(self, weights: Mapping[str, Tensor], config: ModelConfig, arithmetic: Arithmetic):
        self._squash = torch.relu if config.cell == "relu" else torch.tanh
        self._hidden: list[Product] = []
        self._cell: list[Product] = []
        if config.bridge == "copy":
            return
        for layer in range(config.layers):
            name = f"bridge.hidden.{layer}"
            matrix = Matrix.named(weights, f"{name}.weight")
            self._hidden.append(arithmetic.product(matrix, weights[f"{name}.bias"]))
            if config.cell == "lstm":
                name = f"bridge.cell.{layer}"
                matrix = Matrix.named(weights, f"{name}.weight")
                self._cell.append(arithmetic.wide_product(matrix, weights[f"{name}.bias"]))

    def __call__(self, states: list[Carried]) -> list[tuple[Tensor, Tensor | None]]:
        """Map the states that the encoder returns."""
        starts: list[tuple[Tensor, Tensor | None]] = []
        for layer, (packed, hidden, *cell) in enumerate(states):
            mapped = self._squash(self._hidden[layer](packed)) if self._hidden else hidden
            started = [self._cell[layer](part) for part in cell] if self._cell else cell
            starts.append((mapped, started[0] if started else None))
        return starts
