"""What the gates of gated cells do: how open they stand, and how long what they keep lasts."""

from typing import cast

import torch
from torch import Tensor

from nmt.diagnosis.records import GateName, GateStatistics
from nmt.models.unrolled import UnrolledLayer

CLOSED, OPEN = 0.1, 0.9
"""Below and above, a gate hardly learns: its sigmoid's slope is under 0.09, of 0.25 at most."""
LONGEST = 1e6
"""Time constants end here, in steps: rounding lets a gate be 1, which would keep for ever."""
KEEPING = ("forget", "update")
"""Gates by which the old state is multiplied: c = f·c + i·g in an LSTM, h = (1 − z)·n + z·h in a
GRU as torch computes it (Cho et al. 2014 have z the other way round)."""
_PERCENTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def gate_statistics(layers: list[UnrolledLayer]) -> list[GateStatistics]:
    """Describe every gate of every layer, over the real steps of all sentences."""
    return [_statistics(layer, gate) for layer in layers for gate in layer.gates]


def time_constants(kept: Tensor) -> Tensor:
    """Return how many steps it takes until a unit's state has faded to 1/e.

    Args:
        kept: the share that each step keeps, `(steps, units)`.

    Returns:
        −1 ÷ the mean logarithm of each unit's shares, `(units,)`: what is left after several steps
        is the product of their shares.
    """
    return -1 / kept.log().mean(dim=0).clamp(max=-1 / LONGEST)


def _statistics(layer: UnrolledLayer, gate: str) -> GateStatistics:
    values = layer.aligned(layer.gates[gate]).detach()  # (steps, batch, units)
    values = values[torch.arange(len(values))[:, None] < layer.lengths]
    faded = None
    if gate in KEEPING:
        constants = time_constants(values)
        faded = constants.quantile(torch.tensor(_PERCENTILES, dtype=constants.dtype)).tolist()
    return GateStatistics(
        network=layer.network,
        layer=layer.layer,
        gate=cast(GateName, gate),
        mean=float(values.mean()),
        closed=float((values < CLOSED).double().mean()),
        open=float((values > OPEN).double().mean()),
        time_constants=faded,
    )
