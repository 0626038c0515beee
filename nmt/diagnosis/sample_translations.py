"""Chosen sentences with their likeliest translations and attention weights."""

from collections.abc import Sequence

import torch

from nmt.bundle import Bundle
from nmt.decoding.alignment import forced_attention
from nmt.diagnosis.decoder_inputs import translator_of
from nmt.diagnosis.records import Sample, ScoredText
from nmt.models.batch import pad


def samples(bundle: Bundle, pairs: Sequence[tuple[str, str]], *, n_best: int = 5) -> list[Sample]:
    """Translate chosen sentences.

    Args:
        bundle: the model.
        pairs: raw (source, reference).
        n_best: candidates of each; the beam is at least as large.

    Raises:
        UsageError: `n_best` is below 1.
        NmtError: the search fails.
    """
    translator = translator_of(bundle)
    sources = [source for source, _ in pairs]
    beam_size = max(n_best, translator.defaults.beam_size)
    translations = translator.translate(sources, n_best=n_best, beam_size=beam_size)
    read, write = bundle.tokenizer.source, bundle.tokenizer.target
    limit = bundle.config.decoding.max_source_length
    chosen = []
    encoded = read.encode(sources)
    for (source, reference), ids, translation in zip(pairs, encoded, translations, strict=True):
        source_ids = read.input_ids(ids, limit)
        target_ids = write.input_ids(translation.n_best[0].tokens)
        candidates = [ScoredText(each.text, each.score) for each in translation.n_best]
        pieces = read.pieces(source_ids), write.pieces(target_ids)
        alignment = _alignment(bundle, source_ids, [write.bos_id, *target_ids])
        chosen.append(Sample(source, reference, candidates, *pieces, alignment))
    return chosen


@torch.inference_mode()
def _alignment(bundle: Bundle, source: list[int], target: list[int]) -> list[list[float]] | None:
    """Return the weights of attention, `[target piece][source piece]`; None without attention."""
    model = bundle.model
    if model.decoder.attention is None:
        return None
    weights = forced_attention(model, pad([source]), pad([target]))
    rows: list[list[float]] = weights[0].tolist()
    return rows
