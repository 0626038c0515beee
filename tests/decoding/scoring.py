"""Whole targets' scores, for comparison with what searches find."""

import torch
from torch import Tensor

from nmt.decoding.forced import forced_log_probs
from nmt.decoding.stepper import Stepper
from nmt.models.batch import Padded


def forced_scores(stepper: Stepper, source: Padded, target: Padded) -> Tensor:
    """Return the log-probability of each target, the end token included, `(batch,)`, in nats."""
    scores = torch.zeros(len(target.lengths))
    # Step after step, as search does: other orders would round otherwise, by the batch's width.
    for column in forced_log_probs(stepper, source, target).unbind(dim=1):
        scores += column
    return scores
