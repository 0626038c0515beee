"""The loss over a wide vocabulary, without ever holding all of its logits."""

from typing import Any

import torch
from torch import Tensor

from nmt.models.products import prepared_product

_ROWS = 512
"""Tokens whose logits are held at a time: enough for a fast product, few enough for the cache."""


def projected_cross_entropy(
    readouts: Tensor, projection: torch.nn.Linear, targets: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """Return the cross-entropy of projected readouts in nats, summed over tokens.

    Equal to `F.cross_entropy(projection(readouts), targets, reduction="sum", …)`. Logits, softmax
    and gradients are computed together, a block of tokens at a time, so the memory does not grow
    with tokens × vocabulary and every pass over the logits finds them in the cache.

    Args:
        readouts: `(tokens, width)`.
        projection: onto the vocabulary.
        targets: true token ids, `(tokens,)`.
        label_smoothing: probability mass spread evenly over the vocabulary.

    Source: Szegedy et al. 2016 (label smoothing); Wijmans et al. 2025 (loss in blocks).
    """
    loss: Tensor = _ProjectedCrossEntropy.apply(
        readouts, projection.weight, projection.bias, targets, label_smoothing
    )
    return loss


class _ProjectedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, readouts: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
    ) -> Tensor:
        kind = readouts.device.type
        # Products run in the precision of the surroundings, everything else in fp32.
        precision = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        with torch.autocast(kind, enabled=False):
            total, *gradients = _loss_and_gradients(
                readouts.to(precision or readouts.dtype),
                weight.to(precision or weight.dtype),
                bias.to(precision or bias.dtype),
                targets,
                smoothing,
            )
        given = (readouts, weight, bias)
        ctx.save_for_backward(
            *(slope.to(part.dtype) for slope, part in zip(gradients, given, strict=True))
        )
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        return *(outer[0] * gradient for gradient in ctx.saved_tensors), None, None


def _loss_and_gradients(
    readouts: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the summed loss and its gradients by readouts, weight and bias."""
    spread = smoothing / len(weight)
    total = torch.zeros((), device=readouts.device)
    by_readouts = torch.empty_like(readouts)
    by_weight = torch.zeros_like(weight, dtype=torch.float32)
    by_bias = torch.zeros_like(bias, dtype=torch.float32)
    project, project_back = prepared_product(weight, bias), prepared_product(weight.t())
    for start in range(0, len(readouts), _ROWS):
        block = readouts[start : start + _ROWS]
        true = targets[start : start + _ROWS, None]
        logits = project(block).float()  # (rows, vocabulary)
        logits -= logits.amax(dim=1, keepdim=True)
        wanted = (1 - smoothing) * logits.gather(1, true) + spread * logits.sum(1, keepdim=True)
        exponentials = logits.exp_()
        sums = exponentials.sum(dim=1, keepdim=True)
        total += (sums.log() - wanted).sum()
        # Softmax minus what was wanted is the gradient by the logits.
        slopes = exponentials.div_(sums)
        slopes.scatter_(1, true, slopes.gather(1, true) - (1 - smoothing))
        if spread:
            slopes -= spread
        by_bias += slopes.sum(dim=0)
        slopes = slopes.to(weight.dtype)
        by_readouts[start : start + _ROWS] = project_back(slopes)
        if by_weight.dtype == slopes.dtype:
            by_weight.addmm_(slopes.t(), block)
        else:
            by_weight += slopes.t() @ block
    return total, by_readouts, by_weight, by_bias
