"""The loss over a wide vocabulary, without holding all logits in memory."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nmt.models.products import prepared_product

_ROWS = 512
"""Tokens of one block of logits: enough for a fast product, few enough for the CPU cache."""
_GPU_LOGITS = 2**25
"""Logits of one block on a GPU, 128 MiB in fp32: there few large kernels are faster."""


def projected_cross_entropy(
    readouts: Tensor,
    projection: torch.nn.Linear,
    targets: Tensor,
    label_smoothing: float = 0.0,
    r_drop: float | None = None,
) -> Tensor:
    """Return the cross-entropy of projected readouts in nats, summed over tokens.

    Equal to `F.cross_entropy(projection(readouts), targets, reduction="sum", …)`. Logits, softmax
    and gradients are computed together for one block of tokens at a time. Memory does not grow
    with tokens × vocabulary, and every pass over the logits reads them from the cache.

    Args:
        readouts: `(tokens, width)`; for R-Drop `(2, tokens, width)`, of two passes.
        projection: onto the vocabulary.
        targets: true token ids, `(tokens,)`.
        label_smoothing: probability mass spread evenly over the vocabulary.
        r_drop: weight α. The loss of two passes is the mean of their cross-entropies plus α ÷ 4 ×
            (KL(first, second) + KL(second, first)), half of the paper's.

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
        # Products run in autocast's precision, everything else in fp32.
        precision = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        inputs = (readouts, weight, bias)
        rounded = [part.to(precision or part.dtype) for part in inputs]
        with torch.autocast(kind, enabled=False):
            total, *gradients = _loss_and_gradients(rounded, targets, smoothing, r_drop)
        ctx.save_for_backward(
            *(slope.to(part.dtype) for slope, part in zip(gradients, inputs, strict=True))
        )
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        return *(outer[0] * gradient for gradient in ctx.saved_tensors), None, None, None


def _loss_and_gradients(
    inputs: Sequence[Tensor], targets: Tensor, smoothing: float, r_drop: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the summed loss and its gradients by the inputs: readouts, weight and bias."""
    readouts, weight, bias = inputs
    total = torch.zeros((), device=readouts.device)
    by_readouts = torch.empty_like(readouts)
    by_weight = torch.zeros_like(weight, dtype=torch.float32)
    by_bias = torch.zeros_like(bias, dtype=torch.float32)
    project, project_back = prepared_product(weight, bias), prepared_product(weight.t())
    passes = len(readouts)
    on_cpu = readouts.device.type == "cpu"
    size = (_ROWS if on_cpu else max(_ROWS, _GPU_LOGITS // len(weight))) // passes
    for start in range(0, len(targets), size):
        part = slice(start, start + size)
        true = targets[part, None]
        logits = [project(rows[part]).float() for rows in readouts]  # (rows, vocabulary) each
        divergence = _divergence(*logits) if passes > 1 else None
        for number, block in enumerate(logits):
            loss, slopes = _cross_entropy(block, true, smoothing)
            if divergence is not None:
                loss, slopes = loss / 2, slopes / 2
                loss += divergence[0] * (r_drop / 8)  # half in each of the two passes
                slopes += divergence[1 + number] * (r_drop / 4)
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
    """Return the loss of a block and its gradient by the logits, which are overwritten."""
    spread = smoothing / logits.shape[1]
    logits -= logits.amax(dim=1, keepdim=True)
    wanted = (1 - smoothing) * logits.gather(1, true) + spread * logits.sum(1, keepdim=True)
    exponentials = logits.exp_()
    sums = exponentials.sum(dim=1, keepdim=True)
    loss = (sums.log() - wanted).sum()
    # The gradient by the logits is the softmax minus the smoothed targets.
    slopes = exponentials.div_(sums)
    slopes.scatter_(1, true, slopes.gather(1, true) - (1 - smoothing))
    if spread:
        slopes -= spread
    return loss, slopes


def _divergence(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return KL(p, q) + KL(q, p) of a block of two passes' logits, and its gradients by both."""
    log_p, log_q = first.log_softmax(dim=1), second.log_softmax(dim=1)
    p, q = log_p.exp(), log_q.exp()
    gap = log_p - log_q
    forth, back = (p * gap).sum(dim=1, keepdim=True), -(q * gap).sum(dim=1, keepdim=True)
    by_first = p * (gap - forth) + p - q
    by_second = q * (-gap - back) + q - p
    return (forth + back).sum(), by_first, by_second
