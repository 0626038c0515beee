"""Forced decoding: how likely a model finds given translations."""

import torch
from torch import Tensor

from nmt.decoding.stepper import Stepper
from nmt.models.batch import Padded


def forced_scores(stepper: Stepper, source: Padded, target: Padded) -> Tensor:
    """Score given targets.

    Args:
        stepper: the model.
        source: source sentences.
        target: one target each, start token first, end token last.

    Returns:
        The sum of log-probabilities in nats of each target, the end token included, `(batch,)`.
    """
    state = stepper.start(source)
    mask = target.mask
    scores = torch.zeros(len(target.lengths), device=target.tokens.device)
    for position in range(target.tokens.shape[1] - 1):
        log_probs, state = stepper.step(target.tokens[:, position], state)
        following = target.tokens[:, position + 1]
        taken = log_probs.gather(1, following[:, None]).squeeze(1)
        scores += torch.where(mask[:, position + 1], taken, 0.0)
    return scores
