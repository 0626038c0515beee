"""The gradient of a recurrent matrix as the sum over time that it is, against autograd's own.

The matrix W is used at every step k, and every loss L_t depends on each use before it:
∂L/∂W = Σ_t Σ_k ∂L_t/∂W_k, where W_k is the copy of W that step k uses.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from nmt.diagnosis.records import GradientSum
from nmt.models.batch import Padded
from nmt.models.seq2seq import Seq2Seq
from nmt.models.unrolled import UnrolledLayer, unroll


def gradient_sums(model: Seq2Seq, source: Padded, target: Padded) -> list[GradientSum]:
    """Put the gradient of every recurrent matrix together from its shares.

    Time and memory grow with source and target length × gates × sentences: give a few.

    Args:
        model: in evaluation mode, on the CPU; in double precision the sums are exact to about
            1e-14.
        source: source sentences, the end token last.
        target: target sentences, start token first, end token last.

    Returns:
        One for each recurrent matrix, in the order of `unroll`. From a loss to the encoder, the
        hand-over counts as one step.

    Source: Werbos 1990; Bengio et al. 1994.
    """
    unrolled = unroll(model, source, target)
    layers = unrolled.layers
    steps = [product for layer in layers for product in layer.recurrent]
    # ∂L_t/∂W_k is a product of what arrives at step k's W·h with that h.
    arrived: list[list[Tensor]] = [[] for _ in layers]
    for loss in unrolled.losses:
        found = iter(
            torch.autograd.grad(
                loss.sum(), steps, retain_graph=True, allow_unused=True, materialize_grads=True
            )
        )
        for slopes, layer in zip(arrived, layers, strict=True):
            slopes.append(layer.aligned([next(found) for _ in layer.recurrent]))
    own = _own_gradients(model, source, target, [layer.parameter for layer in layers])
    return [
        _sum(layer, torch.stack(slopes), layers[-1].lengths, whole)
        for layer, slopes, whole in zip(layers, arrived, own, strict=True)
    ]


def _own_gradients(
    model: Seq2Seq, source: Padded, target: Padded, names: list[str]
) -> tuple[Tensor, ...]:
    """Let autograd derive the summed loss through the network proper, by its fused kernels."""
    true = target.tokens[:, 1:][target.mask[:, 1:]]
    loss = F.cross_entropy(model(source, target), true, reduction="sum")
    parameters = dict(model.named_parameters())
    return torch.autograd.grad(loss, [parameters[name] for name in names])


def _sum(layer: UnrolledLayer, slopes: Tensor, written: Tensor, whole: Tensor) -> GradientSum:
    """Add the shares up by distance.

    Args:
        layer: whose matrix it is.
        slopes: gradient of each loss by each step's W·h, `(losses, steps, batch, gates × size)`.
        written: losses of each sentence, `(batch,)`.
        whole: autograd's gradient of the matrix.
    """
    before = layer.aligned(layer.before).detach().expand(len(slopes), -1, -1, -1)
    ahead = _steps_ahead(layer, slopes, written)
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


def _steps_ahead(layer: UnrolledLayer, slopes: Tensor, written: Tensor) -> Tensor:
    """How far ahead of each step each loss lies, `(losses, steps, batch)`; −1 for no real pair."""
    loss = torch.arange(slopes.shape[0])[:, None, None]
    step = torch.arange(slopes.shape[1])[:, None]
    ahead = loss - step if layer.network == "decoder" else loss + layer.lengths - step
    real = (step < layer.lengths) & (loss < written)
    return ahead.clamp(min=-1).where(real, -1)
