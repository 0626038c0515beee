"""Greedy search: the likeliest token at every step."""

from nmt.decoding.best import likeliest
from nmt.decoding.rollout import roll_out
from nmt.decoding.stepper import Hypothesis, Limits, Stepper
from nmt.models.batch import Padded


def greedy_search(stepper: Stepper, source: Padded, limits: Limits) -> list[Hypothesis]:
    """Translate each sentence by the likeliest token at every step.

    Args:
        stepper: the model.
        source: source sentences.
        limits: start and end tokens, and the maximum length.

    Returns:
        One hypothesis for each sentence.
    """
    max_lengths = limits.max_lengths(source.lengths).to(source.tokens.device)
    state = stepper.start(source)
    return roll_out(stepper, state, max_lengths, limits, lambda log_probs, *_: likeliest(log_probs))
