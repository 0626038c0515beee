"""Writing one continuation per row, token by token; what greedy search and sampling share."""

from collections.abc import Callable

import torch
from torch import Tensor

from nmt.decoding.stepper import DecoderState, Hypothesis, Limits, Stepper

Choose = Callable[[Tensor, Tensor, int], Tensor]


def roll_out(
    stepper: Stepper, state: DecoderState, max_lengths: Tensor, limits: Limits, choose: Choose
) -> list[Hypothesis]:
    """Write until every row has ended; rows that have leave the batch.

    Args:
        stepper: the model.
        state: from `stepper.start`, repeated where a sentence has several rows.
        max_lengths: most tokens of each row, the end token included, `(rows,)`. The last one is
            the end token whatever the model says, and its log-probability counts.
        limits: start and end tokens.
        choose: maps log-probabilities, `(live, vocabulary)`, the rows they belong to, `(live,)`,
            and the position to the tokens to write, `(live,)`.

    Returns:
        One hypothesis for each row.
    """
    device, rows = max_lengths.device, len(max_lengths)
    written = torch.full((rows, int(max_lengths.max())), limits.eos_id, device=device)
    scores = torch.zeros(rows, device=device)
    lengths = torch.zeros(rows, dtype=torch.int64, device=device)
    cut = torch.zeros(rows, dtype=torch.bool, device=device)

    live = torch.arange(rows, device=device)
    tokens = torch.full((rows,), limits.bos_id, device=device)
    for position in range(written.shape[1]):
        log_probs, state = stepper.step(tokens, state)
        wanted = choose(log_probs, live, position)
        must_end = max_lengths[live] == position + 1
        tokens = wanted.masked_fill(must_end, limits.eos_id)
        scores[live] += log_probs.gather(1, tokens[:, None]).squeeze(1)
        written[live, position] = tokens
        cut[live] = must_end & (wanted != limits.eos_id)
        running = tokens != limits.eos_id
        if not bool(running.all()):
            lengths[live[~running]] = position
            kept = running.nonzero().squeeze(1)
            live, tokens, state = live[kept], tokens[kept], state.select(kept)
            if len(live) == 0:
                break
    columns = (written.tolist(), lengths.tolist(), scores.tolist(), cut.tolist())
    return [
        Hypothesis(row[:length], score, was_cut)
        for row, length, score, was_cut in zip(*columns, strict=True)
    ]
