"""The engine's reading half: sentences to final states, and those to the decoder's first."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nmt.config import ModelConfig
from nmt.inference.cells import Carried, Layer, LayerWeights
from nmt.inference.products import Arithmetic, Matrix
from nmt.models.batch import Padded, reverse, reversed_positions
from nmt.models.bridge import pooled
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
        self._keeps_memory = config.attention != "none" or config.pool != "none"
        self._arithmetic = arithmetic

    def __call__(self, source: Padded) -> tuple[list[Carried], Tensor | None]:
        """Return every layer's final state, directions side by side, and the top layer's states.

        Each state is packed hidden, fp32 hidden and, of an LSTM, cell, `(sentences, hidden)` each;
        the top layer's states are fp32, `(sentences, source, hidden)`, None where nobody looks at
        them.
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
    """Makes of what the encoder returns the decoder's first states and the fed context."""

    def __init__(self, weights: Mapping[str, Tensor], config: ModelConfig, arithmetic: Arithmetic):
        self._kind, self._pool, self._arithmetic = config.bridge, config.pool, arithmetic
        self._squash = torch.relu if config.cell == "relu" else torch.tanh
        self._maps: dict[str, Product] = {}
        for name in sorted(name for name in weights if name.startswith("bridge.")):
            head, _, leaf = name.rpartition(".")
            if leaf == "weight":
                # Hidden states alone are bounded.
                narrow = head.startswith("bridge.hidden.")
                product = arithmetic.product if narrow else arithmetic.wide_product
                matrix = Matrix.named(weights, name)
                self._maps[head.removeprefix("bridge.")] = product(matrix, weights[f"{head}.bias"])

    def __call__(
        self, states: list[Carried], memory: Tensor | None, mask: Tensor
    ) -> tuple[list[tuple[Tensor, Tensor | None]], Tensor]:
        """Hand over.

        Args:
            states: of every layer, as the encoder returns them.
            memory: the top layer's states, `(sentences, source, hidden)`.
            mask: True on real source tokens, `(sentences, source)`.

        Returns:
            The fp32 hidden and cell state that starts each layer, and the packed context.
        """
        context, pools = states[-1][0], []
        if self._pool != "none":
            assert memory is not None
            pools = [pooled(memory, mask, self._pool)]
            context = torch.cat([context, self._arithmetic.pack(pools[0])], dim=1)
        if self._kind == "wide":
            return self._wide(states, pools), context
        starts: list[tuple[Tensor, Tensor | None]] = []
        for layer, (packed, hidden, *cells) in enumerate(states):
            cell = cells[0] if cells else None
            if self._kind == "linear":
                hidden = self._squash(self._maps[f"hidden.{layer}"](packed))
                cell = None if cell is None else self._maps[f"cell.{layer}"](cell)
            starts.append((hidden, cell))
        return starts, context

    def _wide(
        self, states: list[Carried], pools: list[Tensor]
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Map everything to everything."""
        layers, size = len(states), states[0][1].shape[1]
        hidden = [state[1] for state in states]
        cells = [cell for state in states for cell in state[2:]]
        mapped = self._maps["states"](torch.cat([*hidden, *cells, *pools], dim=1)).split(
            size, dim=1
        )
        starts = mapped[layers:] or [None] * layers
        return [(self._squash(one), other) for one, other in zip(mapped, starts, strict=False)]
