"""Forced decoding: the log-probabilities of given translations."""

import torch
from torch import Tensor

from nmt.decoding.stepper import Stepper
from nmt.models.batch import Padded


def forced_log_probs(stepper: Stepper, source: Padded, target: Padded) -> Tensor:
    """Score every token of given targets.

    Args:
        stepper: the model.
        source: source sentences.
        target: one target each, start token first, end token last.

    Returns:
        Log-probabilities in nats of the tokens after the start, `(batch, time - 1)`; 0 past a
        sentence's end.
    """
    state = stepper.start(source)
    columns = []
    for position in range(target.tokens.shape[1] - 1):
        log_probs, state = stepper.step(target.tokens[:, position], state)
        following = target.tokens[:, position + 1]
        columns.append(log_probs.gather(1, following[:, None]).squeeze(1))
    return torch.stack(columns, dim=1).masked_fill(~target.mask[:, 1:], 0.0)
