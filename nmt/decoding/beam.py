"""Beam search over a whole batch, in tensor operations alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.decoding.stepper import Hypothesis, Limits, Stepper, end_now
from nmt.models.batch import Padded

_NEVER = float("-inf")


@dataclass
class _Finished:
    """The best finished hypotheses of every sentence, best first, on axes `(batch, beam)`.

    Attributes:
        rank: log-probability ÷ length ** length_penalty, by which they compete; -inf where empty.
        score: sum of log-probabilities in nats.
        tokens: `(batch, beam, time)`.
        length: tokens, the end token included.
        cut: whether the maximum length ended it.
    """

    rank: Tensor
    score: Tensor
    tokens: Tensor
    length: Tensor
    cut: Tensor

    def add(
        self, live: Tensor, rank: Tensor, score: Tensor, tokens: Tensor, length: int, cut: Tensor
    ) -> None:
        """Let newly finished hypotheses of the sentences `live` compete with those before."""
        beam_size = self.rank.shape[1]
        ranks = torch.cat([self.rank[live], rank], dim=1)  # (live, beam + new)
        self.rank[live], best = ranks.topk(beam_size, dim=1)
        lengths = torch.full_like(best[:, : rank.shape[1]], length)
        for kept, new in [(self.score, score), (self.length, lengths), (self.cut, cut)]:
            kept[live] = torch.cat([kept[live], new], dim=1).gather(1, best)
        every = torch.cat([self.tokens[live], tokens], dim=1)
        self.tokens[live] = every.gather(1, best[:, :, None].expand(-1, -1, every.shape[2]))

    def hypotheses(self, n_best: int) -> list[list[Hypothesis]]:
        """Unpack the best of each sentence."""
        columns = (self.rank, self.score, self.tokens, self.length, self.cut)
        return [
            [
                Hypothesis(row[: length - 1], score, was_cut)
                for rank, score, row, length, was_cut in zip(*sentence, strict=True)
                if rank > _NEVER
            ][:n_best]
            for sentence in zip(*(column.tolist() for column in columns), strict=True)
        ]


def beam_search(
    stepper: Stepper,
    source: Padded,
    limits: Limits,
    *,
    beam_size: int,
    length_penalty: float = 0.0,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """Find likely translations of each sentence.

    At every step the 2 × beam_size best continuations of a sentence are taken: at most beam_size
    of them end, so beam_size live ones remain. Ended ones finish if they are among the first
    beam_size, which makes a beam of one the greedy search. A sentence is done, and leaves the
    batch, once no live hypothesis can reach its n_best finished ones: log-probabilities only
    fall, so a live one ends at best with what it has, spread over the maximum length.

    Args:
        stepper: the model.
        source: source sentences.
        limits: start and end tokens, and the maximum length.
        beam_size: live hypotheses of each sentence.
        length_penalty: finished ones are ranked by log-probability ÷ length ** length_penalty;
            at least 0.
        n_best: how many to return, at most beam_size.

    Returns:
        For each sentence its n_best hypotheses (fewer where the search space holds fewer), best
        rank first.

    Source: Sutskever et al. 2014, section 3.2; the bound: Huang et al. 2017 (optimal stopping).
    """
    device = source.tokens.device
    batch, k = len(source.lengths), beam_size
    max_lengths = limits.max_lengths(source).to(device)
    longest = int(max_lengths.max())
    finished = _Finished(
        rank=torch.full((batch, k), _NEVER, device=device),
        score=torch.zeros(batch, k, device=device),
        tokens=torch.full((batch, k, longest), limits.eos_id, device=device),
        length=torch.zeros(batch, k, dtype=torch.int64, device=device),
        cut=torch.zeros(batch, k, dtype=torch.bool, device=device),
    )
    live = torch.arange(batch, device=device)  # sentences still searched
    scores = torch.full((batch, k), _NEVER, device=device)
    scores[:, 0] = 0.0  # the beams of a sentence start alike: only one of them counts
    written = finished.tokens.clone()
    state = stepper.start(source).repeat(k)
    tokens = torch.full((batch * k,), limits.bos_id, device=device)

    for position in range(longest):
        length = position + 1
        log_probs, state = stepper.step(tokens, state)
        must_end = max_lengths[live] == length
        cut = must_end[:, None] & (log_probs.argmax(dim=1) != limits.eos_id).view(-1, k)
        log_probs = end_now(log_probs, must_end.repeat_interleave(k), limits.eos_id)
        vocabulary = log_probs.shape[1]
        totals = (scores[:, :, None] + log_probs.view(-1, k, vocabulary)).flatten(1)
        candidates, index = totals.topk(min(2 * k, totals.shape[1]), dim=1)
        beam, token = index // vocabulary, index % vocabulary  # (live, 2 × beam)

        ended = token == limits.eos_id
        ends = ended[:, :k] & (candidates[:, :k] > _NEVER)
        if bool(ends.any()):
            rank = (candidates[:, :k] / length**length_penalty).masked_fill(~ends, _NEVER)
            finished.add(
                live,
                rank,
                candidates[:, :k],
                _rows(written, beam[:, :k]).index_fill(
                    2, torch.tensor([position], device=device), limits.eos_id
                ),
                length,
                cut.gather(1, beam[:, :k]),
            )
        scores, order = candidates.masked_fill(ended, _NEVER).topk(k, dim=1)
        beam, token = beam.gather(1, order), token.gather(1, order)
        bound = scores[:, 0] / max_lengths[live] ** length_penalty
        going = (finished.rank[live, n_best - 1] < bound).nonzero().squeeze(1)
        if len(going) == 0:
            break
        written = _rows(written[going], beam[going])
        written[:, :, position] = token[going]
        live, scores, tokens = live[going], scores[going], token[going].flatten()
        state = state.select((going[:, None] * k + beam[going]).flatten())
    return finished.hypotheses(n_best)


def _rows(written: Tensor, beam: Tensor) -> Tensor:
    """Pick for each sentence the histories of the given beams; `(live, chosen, time)`."""
    return written.gather(1, beam[:, :, None].expand(-1, -1, written.shape[2]))
