"""How strongly each loss depends on each earlier state: ∂L_t/∂h_k, through the whole network.

Norms come from one backward pass for each target step, over all sentences together: a sentence's
loss depends on its own states alone.
"""

import copy
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nmt.config import ModelConfig
from nmt.diagnosis.flow_verdicts import Decay, flow_verdicts
from nmt.diagnosis.gates import gate_statistics
from nmt.diagnosis.gradient_sums import gradient_sums
from nmt.diagnosis.records import FlowCurve, FlowMap, GradientFlow
from nmt.errors import NmtError
from nmt.models.batch import Padded
from nmt.models.seq2seq import Seq2Seq
from nmt.models.unrolled import Unrolled, UnrolledLayer, unroll

SELDOM = 0.1
"""A curve ends where fewer than this share of the sentences reach."""
SUMMED = 4
"""Sentences whose gradient is put together from its shares: enough for a check of arithmetic, which
holds every loss's share of every step in memory."""


@dataclass(frozen=True)
class Norms:
    """Norms of the gradients by the states of a layer, or of a whole network.

    Attributes:
        network: as in the records.
        layer: from 1.
        state: hidden or cell.
        values: `(losses, steps, batch)`; NaN where a sentence lacks the loss or the step, or the
            step comes after the loss. Steps are those of a `FlowMap`.
    """

    network: str
    layer: int
    state: Literal["hidden", "cell"]
    values: Tensor

    @property
    def distances(self) -> Tensor:
        """From each loss to each step, as in a `FlowCurve`, `(losses, steps)`."""
        losses, steps, _ = self.values.shape
        back = torch.arange(steps).expand(losses, steps)
        return torch.arange(losses)[:, None] - back if self.network == "decoder" else back


def gradient_flow(
    model: Seq2Seq, config: ModelConfig, source: Padded, target: Padded, moment: str
) -> GradientFlow:
    """Look at the gradients that reach every state.

    It computes in double precision on the CPU, in which nothing underflows.

    Args:
        model: in evaluation mode.
        config: what it was made from.
        source: source sentences, the end token last.
        target: target sentences, start token first, end token last.
        moment: when that is, in words.

    Raises:
        NmtError: the model gives no numbers.

    Source: Bengio et al. 1994; Pascanu et al. 2013.
    """
    model = copy.deepcopy(model).cpu().double()
    unrolled = unroll(model, source, target)
    found = state_norms(unrolled)
    left = reach(unrolled, config.reverse_source)
    few = torch.arange(min(SUMMED, len(source.lengths)))
    sums = gradient_sums(model, source.select(few), target.select(few))
    gates = gate_statistics(unrolled.layers)
    networks = dict.fromkeys(layer.network for layer in unrolled.layers)
    decays = [_decay(unrolled, network, found) for network in networks]
    return GradientFlow(
        cell=config.cell,
        moment=moment,
        sentences=len(source.lengths),
        maps=[flow_map(norms) for norms in found],
        curves=[flow_curve(norms) for norms in found],
        reach=left,
        gates=gates,
        sums=sums,
        verdicts=flow_verdicts(config, decays, left, gates, sums),
    )


def state_norms(unrolled: Unrolled) -> list[Norms]:
    """Derive every loss by every state, in the order of the layers, hidden before cell."""
    layers, written = unrolled.layers, unrolled.layers[-1].lengths
    parts = [(layer, kept) for layer in layers for kept in (layer.hidden, layer.cell) if kept]
    states = [state for _, kept in parts for state in kept]
    rows: list[list[Tensor]] = [[] for _ in parts]
    for loss in unrolled.losses:
        gradients = iter(_gradients(loss.sum(), states))
        for row, (layer, kept) in zip(rows, parts, strict=True):
            row.append(layer.aligned([next(gradients).norm(dim=1) for _ in kept]))
    found = []
    for row, (layer, kept) in zip(rows, parts, strict=True):
        values = torch.stack(row)
        if not bool(values.isfinite().all()):
            raise NmtError(
                "the gradients are no finite numbers: the model's weights are damaged, or its "
                "training diverged"
            )
        state: Literal["hidden", "cell"] = "hidden" if kept is layer.hidden else "cell"
        values = _only_real(layer, values, written)
        found.append(Norms(layer.network, layer.layer, state, values))
    return found


def reach(unrolled: Unrolled, reverse_source: bool) -> float | None:
    """Return how much of the last loss's gradient reaches the first source word.

    That is its norm at the states that read the word, as a share of that at the decoder's states
    of the same step; None where the encoder has no recurrence, and so no such states.

    Args:
        unrolled: the network and its sentences.
        reverse_source: whether the encoder reads from the last word to the first.
    """
    last = unrolled.layers[-1].lengths - 1
    loss = torch.stack(unrolled.losses)[last, torch.arange(len(last))].sum()
    first: list[tuple[UnrolledLayer, list[Tensor], Tensor]] = []  # and the step, by sentence
    own: list[tuple[UnrolledLayer, list[Tensor], Tensor]] = []
    for layer in unrolled.layers:
        backwards = (layer.network == "encoder, backwards") != reverse_source
        step = layer.lengths - 1 if layer.network == "decoder" or backwards else 0 * layer.lengths
        where = own if layer.network == "decoder" else first
        where += [(layer, kept, step) for kept in (layer.hidden, layer.cell) if kept]
    if not first:
        return None
    near, far = (_mean_norm(loss, parts) for parts in (own, first))
    return far / near if near else 0.0


def flow_map(norms: Norms) -> FlowMap:
    """Average over the sentences."""
    means = norms.values.nanmean(dim=2).tolist()
    rows = [[_rounded(mean) for mean in row] for row in means]
    if norms.network == "decoder":
        rows = [row[: number + 1] for number, row in enumerate(rows)]
    return FlowMap(norms.network, norms.layer, norms.state, rows)


def flow_curve(norms: Norms) -> FlowCurve:
    """Average over sentences and losses, and fit the decay."""
    distances = norms.distances
    means, counts = [], []
    for distance in range(int(distances.max()) + 1):
        values = norms.values[distances == distance]  # (pairs, batch)
        real = ~values.isnan()
        if float(real.any(dim=0).double().mean()) < SELDOM:
            break
        means.append(float(values.nanmean()))
        counts.append(int(real.sum()))
    kept = kept_per_step(means, counts)
    return FlowCurve(
        norms.network, norms.layer, norms.state, [_rounded(mean) for mean in means], kept
    )


def kept_per_step(means: list[float], counts: list[int]) -> float | None:
    """Fit a straight line to the logarithms of norms by distance.

    Args:
        means: norm at each distance.
        counts: how many norms each is the mean of: its weight.

    Returns:
        Factor from one distance to the next. Zeros have no logarithm and are left out; 0 where
        but one distance is left because all others are zero, None where there is but one distance.
    """
    known = [number for number, count in enumerate(counts) if count]
    points = [
        (number, math.log(means[number]), counts[number]) for number in known if means[number]
    ]
    if len(known) < 2:
        return None
    if len(points) < 2:
        return 0.0
    distance, height, weight = torch.tensor(points, dtype=torch.float64).unbind(dim=1)
    distance = distance - (weight * distance).sum() / weight.sum()
    slope = (weight * distance * height).sum() / (weight * distance**2).sum()
    return float(slope.exp())


def _gradients(loss: Tensor, states: list[Tensor]) -> tuple[Tensor, ...]:
    """Derive a loss by states; zeros where it does not depend on one."""
    return torch.autograd.grad(
        loss, states, retain_graph=True, allow_unused=True, materialize_grads=True
    )


def _only_real(layer: UnrolledLayer, values: Tensor, written: Tensor) -> Tensor:
    """Put NaN where there is nothing, and let an encoder's steps count from its end."""
    loss = torch.arange(values.shape[0])[:, None, None]
    step = torch.arange(values.shape[1])[:, None]
    real = (loss < written) & (step < layer.lengths)
    if layer.network == "decoder":
        real = real & (step <= loss)
    else:
        order = (layer.lengths - 1 - step).clamp(min=0)
        values = values.gather(1, order.expand_as(values))
    return values.where(real, math.nan)


def _mean_norm(loss: Tensor, parts: list[tuple[UnrolledLayer, list[Tensor], Tensor]]) -> float:
    """Average the norm of all parts together over the sentences, each at its own step."""
    gradients = iter(_gradients(loss, [state for _, kept, _ in parts for state in kept]))
    squares = []
    for layer, kept, step in parts:
        every = layer.aligned([next(gradients) for _ in kept])  # (steps, batch, size)
        squares.append(every[step, torch.arange(len(step))].square().sum(dim=1))
    return float(torch.stack(squares).sum(dim=0).sqrt().mean())


def _decay(unrolled: Unrolled, network: str, found: list[Norms]) -> Decay:
    """Fit the decay of a network, all its layers' states together."""
    own = [norms for norms in found if norms.network == network]
    squares = torch.stack([norms.values.square() for norms in own]).sum(dim=0)
    kept = flow_curve(Norms(network, 0, "hidden", squares.sqrt())).kept_per_step
    lengths = next(layer.lengths for layer in unrolled.layers if layer.network == network)
    return Decay(network, kept, float(lengths.double().mean()))


def _rounded(value: float) -> float | None:
    """Keep what a picture can show; NaN is nothing."""
    return None if math.isnan(value) else float(f"{value:.4g}")
