"""Whole targets' scores, for comparison with what searches find."""

import torch
from torch import Tensor

from nmt.decoding.forced import forced_log_probs
from nmt.decoding.stepper import Stepper
from nmt.models.batch import Padded
from nmt.models.seq2seq import Seq2Seq


def forced_scores(stepper: Stepper, source: Padded, target: Padded) -> Tensor:
    """Return the log-probability of each target, the end token included, `(batch,)`, in nats."""
    scores = torch.zeros(len(target.lengths))
    # Step after step, as search does: other orders would round otherwise, by the batch's width.
    for column in forced_log_probs(stepper, source, target).unbind(dim=1):
        scores += column
    return scores


def whole_attention(model: Seq2Seq, source: Padded, target: Padded) -> Tensor:
    """Attention weights while the network reads whole targets, `(batch, time - 1, source)`."""
    weights: list[Tensor] = []
    assert model.decoder.attention is not None
    hook = model.decoder.attention.register_forward_hook(
        lambda module, arguments, outputs: weights.append(outputs[1])
    )
    model(source, target)
    hook.remove()
    return torch.cat(weights, dim=1)
