"""Statistics of gates: how far they are open, and the time constants of the state they keep."""

import torch
from torch import Tensor

from nmt.diagnosis.records import GateStatistics
from nmt.models.unrolled import UnrolledLayer

CLOSED, OPEN = 0.1, 0.9
"""A gate beyond these values hardly learns: its sigmoid's slope is under 0.09, of at most 0.25."""
LONGEST = 1e6
"""Bound on time constants, in steps: a gate rounded to 1 would keep its state forever."""
KEEPING = ("forget", "update")
"""Gates that multiply the old state: c = f·c + i·g in an LSTM, h = (1 − z)·n + z·h in a GRU as
torch computes it (Cho et al. 2014 swap z and 1 − z)."""
_PERCENTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def gate_statistics(layers: list[UnrolledLayer]) -> list[GateStatistics]:
    """Return the statistics of every gate of every layer, over the real steps of all sentences."""
    return [_statistics(layer, gate) for layer in layers for gate in layer.gates]


def time_constants(shares: Tensor) -> Tensor:
    """Return the steps after which a unit's state has decayed to 1/e.

    Args:
        shares: share of the state that each step keeps, `(steps, units)`.

    Returns:
        −1 ÷ the mean logarithm of each unit's shares, `(units,)`, since the shares of several steps
        multiply.
    """
    return -1 / shares.log().mean(dim=0).clamp(max=-1 / LONGEST)


def _statistics(layer: UnrolledLayer, gate: str) -> GateStatistics:
    values = layer.aligned(layer.gates[gate]).detach()  # (steps, batch, units)
    values = values[torch.arange(len(values))[:, None] < layer.lengths]
    percentiles = None
    if gate in KEEPING:
        constants = time_constants(values)
        shares = torch.tensor(_PERCENTILES, dtype=constants.dtype)
        percentiles = constants.quantile(shares).tolist()
    return GateStatistics(
        network=layer.network,
        layer=layer.layer,
        gate=gate,
        mean=float(values.mean()),
        closed=float((values < CLOSED).double().mean()),
        open=float((values > OPEN).double().mean()),
        time_constants=percentiles,
    )
