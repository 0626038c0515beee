"""Gradient flow: the norm of each loss's gradient with respect to each earlier state, ∂L_t/∂h_k.

Each target step takes one backward pass over all sentences together: a sentence's loss depends on
its own states alone.
"""

import copy
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nmt.config import ModelConfig
from nmt.diagnosis.decoder_inputs import require_finite
from nmt.diagnosis.flow_verdicts import Decay, flow_verdicts
from nmt.diagnosis.gates import gate_statistics
from nmt.diagnosis.gradient_sums import gradient_sums, gradients_of, steps_ahead
from nmt.diagnosis.records import GradientFlow, StateFlow
from nmt.models.batch import Padded
from nmt.models.seq2seq import Seq2Seq
from nmt.models.unrolled import Unrolled, UnrolledLayer, unroll

SELDOM = 0.1
"""A curve ends at the distance that fewer than this share of the sentences reach."""
SUMMED = 4
"""Sentences whose gradient is summed from its shares. Few suffice to check the arithmetic, which
holds the share of every loss and step in memory."""


@dataclass(frozen=True)
class Norms:
    """Norms of the gradients with respect to the states of a layer, or of a whole network.

    Attributes:
        network: as in the records.
        layer: from 1.
        state: hidden or cell.
        values: `(losses, steps, batch)`; NaN if a sentence lacks the loss or the step, or if the
            step comes after the loss. Steps are those of a `StateFlow`.
    """

    network: str
    layer: int
    state: Literal["hidden", "cell"]
    values: Tensor

    @property
    def distances(self) -> Tensor:
        """Distance from each loss to each step, as in a `StateFlow`, `(losses, steps)`."""
        losses, steps, _ = self.values.shape
        back = torch.arange(steps).expand(losses, steps)
        return torch.arange(losses)[:, None] - back if self.network == "decoder" else back


def gradient_flow(
    model: Seq2Seq, config: ModelConfig, source: Padded, target: Padded, moment: str
) -> GradientFlow:
    """Measure the gradients that reach every state.

    Computes in double precision on the CPU, against underflow.

    Args:
        model: in evaluation mode.
        config: its `model` section.
        source: source sentences, the end token last.
        target: target sentences, start token first, end token last.
        moment: see `GradientFlow`.

    Raises:
        NmtError: a gradient is not finite.

    Source: Bengio et al. 1994; Pascanu et al. 2013.
    """
    model = copy.deepcopy(model).cpu().double()
    unrolled = unroll(model, source, target)
    norms = state_norms(unrolled)
    left = reach(unrolled, norms, config.reverse_source)
    few = torch.arange(min(SUMMED, len(source.lengths)))
    sums = gradient_sums(model, source.select(few), target.select(few))
    gates = gate_statistics(unrolled.layers)
    networks = dict.fromkeys(layer.network for layer in unrolled.layers)
    decays = [_decay(unrolled, network, norms) for network in networks]
    return GradientFlow(
        cell=config.cell,
        moment=moment,
        sentences=len(source.lengths),
        states=[state_flow(each) for each in norms],
        reach=left,
        gates=gates,
        sums=sums,
        verdicts=flow_verdicts(config, decays, left, gates, sums),
    )


def state_norms(unrolled: Unrolled) -> list[Norms]:
    """Return the norms of every loss's gradient by every state, by layer, hidden before cell."""
    layers, target_lengths = unrolled.layers, unrolled.layers[-1].lengths
    parts = [(layer, states) for layer in layers for states in (layer.hidden, layer.cell) if states]
    by_loss = [[g.norm(dim=2) for g in gradients_of(loss.sum(), parts)] for loss in unrolled.losses]
    norms = []
    for (layer, states), by_step in zip(parts, zip(*by_loss, strict=True), strict=True):
        values = torch.stack(by_step)
        require_finite("the gradients", values)
        kind: Literal["hidden", "cell"] = "hidden" if states is layer.hidden else "cell"
        values = _only_real(layer, values, target_lengths)
        norms.append(Norms(layer.network, layer.layer, kind, values))
    return norms


def reach(unrolled: Unrolled, norms: list[Norms], reverse_source: bool) -> float | None:
    """Return the share of the last loss's gradient that reaches the first source word.

    The share is its norm at the states that read the word ÷ its norm at the decoder's states of the
    last step. None for an encoder without recurrence.

    Args:
        unrolled: the network and its sentences.
        norms: from `state_norms`.
        reverse_source: whether the encoder reads from the last word to the first.
    """
    last = unrolled.layers[-1].lengths - 1
    near, far = [], []  # of all layers and states, `(batch,)`
    for each in norms:
        if each.network == "decoder":
            near.append(each.values[last, last, torch.arange(len(last))])
        else:  # steps count from the encoder's end
            backwards = (each.network == "encoder, backwards") != reverse_source
            step = 0 * last if backwards else unrolled.layers[0].lengths - 1
            far.append(each.values[last, step, torch.arange(len(last))])
    if not far:
        return None
    own, reached = (torch.stack(part).norm(dim=0).mean().item() for part in (near, far))
    return reached / own if own else 0.0


def state_flow(norms: Norms) -> StateFlow:
    """Average the norms over the sentences, then over the losses, and fit the decay."""
    rows = norms.values.nanmean(dim=2).tolist()
    if norms.network == "decoder":
        rows = [row[: number + 1] for number, row in enumerate(rows)]
    means, counts = [], []
    for distance in range(int(norms.distances.max()) + 1):
        values = norms.values[norms.distances == distance]  # (pairs, batch)
        real = ~values.isnan()
        if float(real.any(dim=0).double().mean()) < SELDOM:
            break
        means.append(float(values.nanmean()))
        counts.append(int(real.sum()))
    return StateFlow(
        network=norms.network,
        layer=norms.layer,
        state=norms.state,
        norms=[[_rounded(mean) for mean in row] for row in rows],
        by_distance=[_rounded(mean) for mean in means],
        kept_per_step=kept_per_step(means, counts),
    )


def kept_per_step(means: list[float], counts: list[int]) -> float | None:
    """Fit a straight line to the logarithms of norms by distance.

    Args:
        means: mean norm at each distance.
        counts: number of norms in each mean: its weight.

    Returns:
        Factor from one distance to the next. Zeros have no logarithm and are left out: 0 if all
        norms but one are zero, None if there is only one distance.
    """
    known = [number for number, count in enumerate(counts) if count]
    points = [
        (number, math.log(means[number]), counts[number]) for number in known if means[number]
    ]
    if len(known) < 2:
        return None
    if len(points) < 2:
        return 0.0
    distances, heights, weights = zip(*points, strict=True)
    slope, _ = np.polyfit(distances, heights, 1, w=np.sqrt(weights))
    return float(np.exp(slope))


def _only_real(layer: UnrolledLayer, values: Tensor, target_lengths: Tensor) -> Tensor:
    """Set missing losses and steps to NaN, and count an encoder's steps from its end."""
    real = steps_ahead(layer, values, target_lengths) >= 0
    if layer.network != "decoder":
        order = (layer.lengths - 1 - torch.arange(values.shape[1])[:, None]).clamp(min=0)
        values = values.gather(1, order.expand_as(values))
    return values.where(real, math.nan)


def _decay(unrolled: Unrolled, network: str, norms: list[Norms]) -> Decay:
    """Fit the decay of a network, all its layers' states together."""
    own = [each.values.square() for each in norms if each.network == network]
    total = torch.stack(own).sum(dim=0).sqrt()
    factor = state_flow(Norms(network, 0, "hidden", total)).kept_per_step
    lengths = next(layer.lengths for layer in unrolled.layers if layer.network == network)
    return Decay(network, factor, float(lengths.double().mean()))


def _rounded(value: float) -> float | None:
    """Round to the precision of a plot; NaN becomes None."""
    return None if math.isnan(value) else float(f"{value:.4g}")
