"""Sampling: draws translations from the model's distribution."""

import hashlib

import torch
from torch import Tensor

from nmt.config import SearchOptions
from nmt.decoding.rollout import roll_out
from nmt.decoding.stepper import NEVER, Limits, NBest, Stepper
from nmt.models.batch import Padded

_COLDEST = 1e-6
"""Temperature that already draws the likeliest token; far lower ones overflow fp32."""


def sample(stepper: Stepper, source: Padded, limits: Limits, options: SearchOptions) -> NBest:
    """Draw translations of each sentence.

    A sentence's random numbers are keyed by the seed and its own tokens; they do not depend on the
    batch.

    Args:
        stepper: the model.
        source: source sentences.
        limits: start and end tokens, and the maximum length.
        options: n_best (draws for each sentence), seed, temperature, top_k and top_p.

    Returns:
        For each sentence its draws, the likeliest first. Scores are the model's own, before
        temperature, top-k and top-p.
    """
    device, samples = source.tokens.device, options.n_best
    temperature = max(options.temperature, _COLDEST)
    max_lengths = limits.max_lengths(source.lengths)
    draws = _uniform(source, max_lengths, samples, options.seed).to(device)  # (rows, time)

    def choose(log_probs: Tensor, rows: Tensor, position: int) -> Tensor:
        logits = _truncate(log_probs / temperature, options.top_k, options.top_p)
        return _draw(logits.softmax(dim=-1), draws[rows, position])

    rows = torch.arange(len(max_lengths), device=device).repeat_interleave(samples)
    state = stepper.start(source).select(rows)
    bounds = max_lengths.repeat_interleave(samples).to(device)
    drawn = roll_out(stepper, state, bounds, limits, choose)
    groups = [drawn[first : first + samples] for first in range(0, len(drawn), samples)]
    return [sorted(group, key=lambda hypothesis: -hypothesis.score) for group in groups]


def _uniform(source: Padded, max_lengths: Tensor, samples: int, seed: int) -> Tensor:
    """Return random numbers in [0, 1) for every draw, `(batch × samples, longest)`."""
    longest = int(max_lengths.max())
    numbers = torch.zeros(len(max_lengths), samples, longest, dtype=torch.float64)
    sentences = source.tokens.tolist()
    for row, (length, steps) in enumerate(
        zip(source.lengths.tolist(), max_lengths.tolist(), strict=True)
    ):
        key = f"{seed}:{sentences[row][:length]}".encode()
        digest = hashlib.blake2b(key, digest_size=7).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "big"))
        drawn = torch.rand(samples, steps, generator=generator, dtype=torch.float64)
        numbers[row, :, :steps] = drawn
    return numbers.flatten(0, 1)


def _truncate(logits: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Mask all but the most likely tokens of each row."""
    if top_k is not None and top_k < logits.shape[1]:
        weakest = logits.topk(top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < weakest, NEVER)
    if top_p is not None and top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True)
        before = ordered.softmax(dim=-1).cumsum(dim=-1) - ordered.softmax(dim=-1)
        beyond = torch.zeros_like(logits, dtype=torch.bool).scatter(1, order, before >= top_p)
        logits = logits.masked_fill(beyond, NEVER)
    return logits


def _draw(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Invert each row's distribution function at a number in [0, 1); `(rows,)` token ids."""
    cumulative = probabilities.double().cumsum(dim=-1)
    goal = uniform.to(cumulative.dtype) * cumulative[:, -1]
    drawn = torch.searchsorted(cumulative, goal[:, None], right=True).squeeze(1)
    return drawn.clamp(max=probabilities.shape[1] - 1)  # rounding may pass the last token
