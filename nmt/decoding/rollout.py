"""Writes one continuation for each row, token by token, for greedy search and sampling."""

from collections.abc import Callable

import torch
from torch import Tensor

from nmt.decoding.stepper import DecoderState, Hypothesis, Limits, Stepper

Choose = Callable[[Tensor, Tensor, int], Tensor]


def roll_out(
    stepper: Stepper, state: DecoderState, max_lengths: Tensor, limits: Limits, choose: Choose
) -> list[Hypothesis]:
    """Write until every row has ended; ended rows leave the batch.

    Args:
        stepper: the model.
        state: from `stepper.start`, repeated if a sentence has several rows.
        max_lengths: bound on the tokens of each row, the end token included, `(rows,)`. At the
            bound the end token is forced, and its log-probability counts.
        limits: start and end tokens.
        choose: maps log-probabilities, `(live, vocabulary)`, their rows, `(live,)`, and the
            position to the next tokens, `(live,)`.

    Returns:
        One hypothesis for each row.
    """
    device, rows = max_lengths.device, len(max_lengths)
    outputs = torch.full((rows, int(max_lengths.max())), limits.eos_id, device=device)
    scores = torch.zeros(rows, device=device)
    lengths = torch.zeros(rows, dtype=torch.int64, device=device)
    cut = torch.zeros(rows, dtype=torch.bool, device=device)

    live = torch.arange(rows, device=device)
    tokens = torch.full((rows,), limits.bos_id, device=device)
    for position in range(outputs.shape[1]):
        log_probs, state = stepper.step(tokens, state)
        wanted = choose(log_probs, live, position)
        must_end = max_lengths[live] == position + 1
        tokens = wanted.masked_fill(must_end, limits.eos_id)
        scores[live] += log_probs.gather(1, tokens[:, None]).squeeze(1)
        outputs[live, position] = tokens
        cut[live] = must_end & (wanted != limits.eos_id)
        running = tokens != limits.eos_id
        if not bool(running.all()):
            lengths[live[~running]] = position
            alive = running.nonzero().squeeze(1)
            live, tokens, state = live[alive], tokens[alive], state.select(alive)
            if len(live) == 0:
                break
    columns = (outputs.tolist(), lengths.tolist(), scores.tolist(), cut.tolist())
    return [
        Hypothesis(row[:length], score, was_cut, score)
        for row, length, score, was_cut in zip(*columns, strict=True)
    ]
