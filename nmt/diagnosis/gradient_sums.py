"""The gradient of a recurrent matrix as a sum over time, compared with autograd's own.

The matrix W is used at every step k, and every loss L_t depends on each use before it:
∂L/∂W = Σ_t Σ_k ∂L_t/∂W_k, where W_k is the copy of W that step k uses.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nmt.diagnosis.records import GradientSum
from nmt.models.batch import Padded
from nmt.models.seq2seq import Seq2Seq
from nmt.models.unrolled import UnrolledLayer, unroll


def gradient_sums(model: Seq2Seq, source: Padded, target: Padded) -> list[GradientSum]:
    """Sum the gradient of every recurrent matrix from its shares.

    Time and memory grow with source and target length × gates × sentences: pass a few sentences.

    Args:
        model: in evaluation mode, on the CPU; in double precision the sums are exact to about
            1e-14.
        source: source sentences, the end token last.
        target: target sentences, start token first, end token last.

    Returns:
        One record for each recurrent matrix, in the order of `unroll`. The bridge counts as one
        step between decoder and encoder.

    Source: Werbos 1990; Bengio et al. 1994.
    """
    unrolled = unroll(model, source, target)
    layers = unrolled.layers
    parts = [(layer, layer.recurrent) for layer in layers]
    # ∂L_t/∂W_k is the outer product of the gradient by step k's W·h with that h.
    by_loss = [gradients_of(loss.sum(), parts) for loss in unrolled.losses]
    own = _own_gradients(model, source, target, [layer.parameter for layer in layers])
    return [
        _sum(layer, torch.stack(slopes), layers[-1].lengths, whole)
        for layer, slopes, whole in zip(layers, zip(*by_loss, strict=True), own, strict=True)
    ]


def gradients_of(loss: Tensor, parts: Sequence[tuple[UnrolledLayer, list[Tensor]]]) -> list[Tensor]:
    """Return the gradients of a loss, zeros for states that it does not depend on.

    Args:
        loss: a number.
        parts: layers, each with one of its lists of states.

    Returns:
        For each part, `(steps, batch, size)`.
    """
    every = [state for _, states in parts for state in states]
    gradients = iter(torch.autograd.grad(loss, every, retain_graph=True, materialize_grads=True))
    return [layer.aligned([next(gradients) for _ in states]) for layer, states in parts]


def _own_gradients(
    model: Seq2Seq, source: Padded, target: Padded, names: list[str]
) -> tuple[Tensor, ...]:
    """Return autograd's gradients of the summed loss, through the network's fused kernels."""
    # `model.loss` computes in single precision.
    true = target.tokens[:, 1:][target.mask[:, 1:]]
    loss = F.cross_entropy(model(source, target), true, reduction="sum")
    parameters = dict(model.named_parameters())
    return torch.autograd.grad(loss, [parameters[name] for name in names])


def _sum(
    layer: UnrolledLayer, slopes: Tensor, target_lengths: Tensor, whole: Tensor
) -> GradientSum:
    """Add up the shares by distance.

    Args:
        layer: the layer of the matrix.
        slopes: gradient of each loss by each step's W·h, `(losses, steps, batch, gates × size)`.
        target_lengths: number of losses of each sentence, `(batch,)`.
        whole: autograd's gradient of the matrix.
    """
    before = layer.aligned(layer.before).detach().expand(len(slopes), -1, -1, -1)
    ahead = steps_ahead(layer, slopes, target_lengths)
    total = torch.zeros_like(whole)
    norms = []
    for distance in range(int(ahead.max()) + 1):
        pairs = ahead == distance  # (losses, steps, batch)
        share = slopes[pairs].t() @ before[pairs]
        total += share
        norms.append(float(share.norm()))
    size = float(whole.norm())
    difference = float((total - whole).norm())
    return GradientSum(layer.parameter, norms, difference / size if size else difference)


def steps_ahead(layer: UnrolledLayer, values: Tensor, target_lengths: Tensor) -> Tensor:
    """Return the distance from each step to each loss, negative where either is missing or earlier.

    Args:
        layer: the layer of the steps; the bridge counts as one step after an encoder.
        values: `(losses, steps, …)`.
        target_lengths: number of losses of each sentence, `(batch,)`.

    Returns:
        `(losses, steps, batch)`.
    """
    loss = torch.arange(values.shape[0])[:, None, None]
    step = torch.arange(values.shape[1])[:, None]
    ahead = loss - step if layer.network == "decoder" else loss + layer.lengths - step
    return ahead.where((step < layer.lengths) & (loss < target_lengths), -1)
