"""The loss over a wide vocabulary, without ever holding all of its logits."""

from typing import Any

import torch
from torch import Tensor

from nmt.models.products import prepared_product

_ROWS = 512
"""Tokens whose logits are held at a time: enough for a fast product, few enough for the cache."""


def projected_cross_entropy(
    readouts: Tensor,
    projection: torch.nn.Linear,
    targets: Tensor,
    label_smoothing: float = 0.0,
    r_drop: float | None = None,
) -> Tensor:
    """Return the cross-entropy of projected readouts in nats, summed over tokens.

    Equal to `F.cross_entropy(projection(readouts), targets, reduction="sum", …)`. Logits, softmax
    and gradients are computed together, a block of tokens at a time, so the memory does not grow
    with tokens × vocabulary and every pass over the logits finds them in the cache.

    Args:
        readouts: `(tokens, width)`; for R-Drop `(2, tokens, width)`, of two passes.
        projection: onto the vocabulary.
        targets: true token ids, `(tokens,)`.
        label_smoothing: probability mass spread evenly over the vocabulary.
        r_drop: of two passes, the mean of their cross-entropies is returned, plus this weight ÷ 4 ×
            (KL(one, other) + KL(other, one)): half of what the paper's α gives.

    Source: Szegedy et al. 2016 (label smoothing); Wijmans et al. 2025 (loss in blocks); Liang et
    al. 2021 (R-Drop).
    """
    passes = readouts[None] if r_drop is None else readouts
    loss: Tensor = _ProjectedCrossEntropy.apply(
        passes, projection.weight, projection.bias, targets, label_smoothing, r_drop or 0.0
    )
    return loss


class _ProjectedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        readouts: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        smoothing: float,
        r_drop: float,
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
                r_drop,
            )
        given = (readouts, weight, bias)
        ctx.save_for_backward(
            *(slope.to(part.dtype) for slope, part in zip(gradients, given, strict=True))
        )
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        return *(outer[0] * gradient for gradient in ctx.saved_tensors), None, None, None


def _loss_and_gradients(
    readouts: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    smoothing: float,
    r_drop: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the summed loss and its gradients by readouts, weight and bias."""
    total = torch.zeros((), device=readouts.device)
    by_readouts = torch.empty_like(readouts)
    by_weight = torch.zeros_like(weight, dtype=torch.float32)
    by_bias = torch.zeros_like(bias, dtype=torch.float32)
    project, project_back = prepared_product(weight, bias), prepared_product(weight.t())
    passes = len(readouts)
    for start in range(0, len(targets), _ROWS // passes):
        part = slice(start, start + _ROWS // passes)
        true = targets[part, None]
        logits = [project(one[part]).float() for one in readouts]  # (rows, vocabulary) each
        apart = _divergence(*logits) if passes > 1 else None
        for number, block in enumerate(logits):
            loss, slopes = _cross_entropy(block, true, smoothing)
            if apart is not None:
                loss, slopes = loss / 2, slopes / 2
                loss += apart[0] * (r_drop / 8)  # once in all, over two passes
                slopes += apart[1 + number] * (r_drop / 4)
            total += loss
            by_bias += slopes.sum(dim=0)
            slopes = slopes.to(weight.dtype)
            by_readouts[number, part] = project_back(slopes)
            if by_weight.dtype == slopes.dtype:
                by_weight.addmm_(slopes.t(), readouts[number, part])
            else:
                by_weight += slopes.t() @ readouts[number, part]
    return total, by_readouts, by_weight, by_bias


def _cross_entropy(logits: Tensor, true: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Return the loss of a block and its gradient by the logits, which are written over."""
    spread = smoothing / logits.shape[1]
    logits -= logits.amax(dim=1, keepdim=True)
    wanted = (1 - smoothing) * logits.gather(1, true) + spread * logits.sum(1, keepdim=True)
    exponentials = logits.exp_()
    sums = exponentials.sum(dim=1, keepdim=True)
    loss = (sums.log() - wanted).sum()
    # Softmax minus what was wanted is the gradient by the logits.
    slopes = exponentials.div_(sums)
    slopes.scatter_(1, true, slopes.gather(1, true) - (1 - smoothing))
    if spread:
        slopes -= spread
    return loss, slopes


def _divergence(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return KL(one, other) + KL(other, one) of a block of logits, and its gradients by both."""
    log_p, log_q = one.log_softmax(dim=1), other.log_softmax(dim=1)
    p, q = log_p.exp(), log_q.exp()
    gap = log_p - log_q
    forth, back = (p * gap).sum(dim=1, keepdim=True), -(q * gap).sum(dim=1, keepdim=True)
    by_one = p * (gap - forth) + p - q
    by_other = q * (-gap - back) + q - p
    return (forth + back).sum(), by_one, by_other
