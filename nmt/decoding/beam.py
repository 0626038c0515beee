"""Beam search over a whole batch, in tensor operations."""

import torch
from torch import Tensor

from nmt.config import SearchOptions
from nmt.decoding.best import grouped
from nmt.decoding.stepper import NEVER, Hypothesis, Limits, NBest, Stepper
from nmt.models.batch import Padded


class _Finished:
    """The best finished hypotheses of every sentence, best first, on axes `(batch, beam)`.

    Attributes:
        rank: log-probability ÷ length ** length_penalty, minus the coverage penalty; -inf if empty.
        score: sum of log-probabilities in nats; -inf if empty.
        tokens: `(batch, beam, time)`.
        length: tokens, the end token included.
        cut: whether the maximum length ended the hypothesis.
    """

    def __init__(self, batch: int, beam_size: int, longest: int, eos_id: int, device: torch.device):
        self.rank = torch.full((batch, beam_size), NEVER, device=device)
        self.score = torch.full((batch, beam_size), NEVER, device=device)
        self.tokens = torch.full((batch, beam_size, longest), eos_id, device=device)
        self.length = torch.zeros(batch, beam_size, dtype=torch.int64, device=device)
        self.cut = torch.zeros(batch, beam_size, dtype=torch.bool, device=device)

    def add(
        self, live: Tensor, rank: Tensor, score: Tensor, tokens: Tensor, length: int, cut: Tensor
    ) -> None:
        """Merge newly finished hypotheses of the sentences `live` with the earlier ones."""
        beam_size = self.rank.shape[1]
        ranks = torch.cat([self.rank[live], rank], dim=1)  # (live, beam + new)
        self.rank[live], best = ranks.topk(beam_size, dim=1)
        lengths = torch.full_like(best[:, : rank.shape[1]], length)
        for stored, new in [(self.score, score), (self.length, lengths), (self.cut, cut)]:
            stored[live] = torch.cat([stored[live], new], dim=1).gather(1, best)
        every = torch.cat([self.tokens[live], tokens], dim=1)
        self.tokens[live] = every.gather(1, best[:, :, None].expand(-1, -1, every.shape[2]))

    def hypotheses(self, n_best: int) -> NBest:
        """Return the best hypotheses of each sentence."""
        columns = (self.rank, self.score, self.tokens, self.length, self.cut)
        return [
            [
                Hypothesis(row[: length - 1], score, was_cut, rank)
                for rank, score, row, length, was_cut in zip(*sentence, strict=True)
                if rank > NEVER
            ][:n_best]
            for sentence in zip(*(column.tolist() for column in columns), strict=True)
        ]


def beam_search(stepper: Stepper, source: Padded, limits: Limits, options: SearchOptions) -> NBest:
    """Find the best translations of each sentence.

    Every step extends each sentence's alive hypotheses by every token. Of the best beam_size
    continuations, those with the end token are finished; of the best 2 × beam_size, the best
    beam_size others stay alive. A sentence leaves the batch once no alive hypothesis can enter its
    n_best finished ones, even with probability 1 at every further step up to the maximum length.

    Args:
        stepper: the model.
        source: source sentences.
        limits: start and end tokens, and the maximum length.
        options: beam_size, length_penalty, n_best, prune and, if the stepper attends,
            coverage_penalty.

    Returns:
        For each sentence its n_best hypotheses, best rank first; fewer if the search space has
        fewer.

    Source: Sutskever et al. 2014, section 3.2; the bound: Huang et al. 2017 (optimal stopping);
    pruning: Freitag and Al-Onaizan 2017; coverage: Wu et al. 2016, section 7.
    """
    device = source.tokens.device
    batch, k, n_best = len(source.lengths), options.beam_size, options.n_best
    max_lengths = limits.max_lengths(source.lengths).to(device)
    longest = int(max_lengths.max())
    finished = _Finished(batch, k, longest, limits.eos_id, device)
    live = torch.arange(batch, device=device)  # sentences in the batch
    scores = torch.full((batch, k), NEVER, device=device)
    scores[:, 0] = 0.0
    prefix_tokens = finished.tokens.clone()
    # Only alive hypotheses have a row in the model's state, in the order of `scores`.
    rows = live * k  # of each in the flattened `scores`
    tokens = torch.full((batch,), limits.bos_id, device=device)
    state = stepper.start(source)

    for position in range(longest):
        length = position + 1
        log_probs, state = stepper.step(tokens, state)
        must_end = max_lengths[live] == length
        cut, log_probs = _end_now(log_probs, must_end, rows // k, limits.eos_id)
        candidates, beam, row, token = _continuations(log_probs, scores, rows)

        ended = token == limits.eos_id
        ends = ended[:, :k] & (candidates[:, :k] > NEVER)
        if bool(ends.any()):
            ending = candidates[:, :k].masked_fill(~ends, NEVER)
            rank = ending / length**options.length_penalty
            if options.coverage_penalty > 0:
                missed = _missed(state.coverage, source.mask[live[rows // k]])
                rank = rank - options.coverage_penalty * missed[row[:, :k]]
            ended_tokens = _rows(prefix_tokens, beam[:, :k])  # with end tokens from `position` on
            finished.add(live, rank, ending, ended_tokens, length, cut[row[:, :k]])
        scores, order = candidates.masked_fill(ended, NEVER).topk(k, dim=1)
        beam, row, token = (part.gather(1, order) for part in (beam, row, token))
        bound = scores[:, 0] / max_lengths[live] ** options.length_penalty
        if options.prune is not None and n_best == 1:
            best = torch.maximum(scores[:, 0], finished.score[live, 0])
            scores = scores.masked_fill(scores < best[:, None] - options.prune, NEVER)
        can_improve = (finished.rank[live, n_best - 1] < bound) & (scores[:, 0] > NEVER)
        alive = can_improve.nonzero().squeeze(1)
        if len(alive) == 0:
            break
        prefix_tokens = _rows(prefix_tokens[alive], beam[alive])
        prefix_tokens[:, :, position] = token[alive]
        live, scores = live[alive], scores[alive]
        rows = (scores.flatten() > NEVER).nonzero().squeeze(1)
        tokens = token[alive].flatten()[rows]
        state = state.select(row[alive].flatten()[rows])
    return finished.hypotheses(n_best)


def _end_now(
    log_probs: Tensor, must_end: Tensor, owners: Tensor, eos_id: int
) -> tuple[Tensor, Tensor]:
    """Mask all tokens but the end token in rows of sentences at their maximum length.

    The end token keeps its log-probability, so the score is that of the whole hypothesis.

    Args:
        log_probs: `(rows, vocabulary)`.
        must_end: `(sentences,)`, True at the last possible step.
        owners: the sentence of each row, `(rows,)`.
        eos_id: the end token.

    Returns:
        The mask of rows that were cut, whose best token is another, and the new log-probabilities.
    """
    ending = must_end[owners]
    if not bool(ending.any()):
        return ending, log_probs
    cut = ending & (log_probs.argmax(dim=1) != eos_id)
    others = torch.ones(log_probs.shape[1], dtype=torch.bool, device=log_probs.device)
    others[eos_id] = False
    return cut, log_probs.masked_fill(ending[:, None] & others, NEVER)


def _continuations(
    log_probs: Tensor, scores: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Extend the alive hypotheses, and return the best continuations of each sentence.

    Args:
        log_probs: `(rows, vocabulary)`.
        scores: of the hypotheses, `(sentences, beam)`, -inf for dead ones.
        rows: index into the flattened `scores` of each row of `log_probs`, `(rows,)`.

    Returns:
        The best `2 × beam` scores of each sentence, the beams and the rows that they extend, and
        their tokens, each `(sentences, 2 × beam)`.
    """
    sentences, k = scores.shape
    groups = grouped(log_probs)  # (rows, groups, size)
    number, size = groups.shape[1:]
    # Select groups of tokens by their maxima first; dead hypotheses have -inf.
    board = scores.new_full((sentences * k, number), NEVER)
    board[rows] = groups.amax(dim=2).add_(scores.flatten()[rows, None])
    chosen = board.view(sentences, -1).topk(min(2 * k, k * number), dim=1).indices
    beam, group = chosen // number, chosen % number
    row = torch.zeros(sentences * k, dtype=torch.int64, device=rows.device)
    row[rows] = torch.arange(len(rows), device=rows.device)
    row = row.view(sentences, k).gather(1, beam)
    totals = groups[row, group] + scores.gather(1, beam)[:, :, None]
    best, index = totals.flatten(1).topk(min(2 * k, totals[0].numel()), dim=1)
    slot, within = index // size, index % size
    beam, row, group = (part.gather(1, slot) for part in (beam, row, group))
    return best, beam, row, group * size + within


def _missed(coverage: Tensor, mask: Tensor) -> Tensor:
    """Return the coverage penalty of each row for source tokens left unread, in nats, `(rows,)`.

    Args:
        coverage: sum of attention on each source token, `(rows, source)`.
        mask: True on real source tokens, `(rows, source)`.
    """
    tiny = torch.finfo(coverage.dtype).tiny
    return -(coverage.clamp(tiny, 1.0).log() * mask).sum(dim=1)


def _rows(prefix_tokens: Tensor, beam: Tensor) -> Tensor:
    """Return the prefixes of the given beams of each sentence, `(live, chosen, time)`."""
    return prefix_tokens.gather(1, beam[:, :, None].expand(-1, -1, prefix_tokens.shape[2]))
