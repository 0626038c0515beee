"""The learning-rate schedule, as a factor of the peak rate."""

import math


def learning_rate_factor(
    update: int, *, schedule: str, warmup_updates: int, total_updates: int
) -> float:
    """Return the learning rate of an update ÷ the peak learning rate.

    It rises linearly over the warm-up. Then `cosine` falls to zero at `total_updates`,
    `inverse_sqrt` falls with the square root of the update's number, and `constant` stays.
    `plateau` stays too: validation lowers the peak itself.

    Args:
        update: counted from 0.
        schedule: see `training.schedule`.
        warmup_updates: length of the warm-up.
        total_updates: the update at which the cosine ends.

    Source: Goyal et al. 2017 (warm-up), Loshchilov and Hutter 2017 (cosine), Vaswani et al. 2017
    (inverse square root).
    """
    if update < warmup_updates:
        return (update + 1) / warmup_updates
    if schedule == "cosine":
        done = (update - warmup_updates) / max(1, total_updates - warmup_updates)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    if schedule == "inverse_sqrt":
        return math.sqrt(warmup_updates / (update + 1))
    return 1.0
