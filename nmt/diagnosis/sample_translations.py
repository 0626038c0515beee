"""Chosen sentences with their likeliest translations and attention weights."""

from collections.abc import Sequence

import torch

from nmt.bundle import Bundle
from nmt.decoding.alignment import forced_attention
from nmt.diagnosis.decoder_inputs import translator_of
from nmt.diagnosis.records import Sample, ScoredText
from nmt.models.batch import pad


@torch.inference_mode()
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
        alignment: list[list[float]] | None = None
        if bundle.model.attends:
            target = pad([[write.bos_id, *target_ids]])
            alignment = forced_attention(bundle.model, pad([source_ids]), target)[0].tolist()
        chosen.append(Sample(source, reference, candidates, *pieces, alignment))
    return chosen
