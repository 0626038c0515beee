"""Runs every diagnosis of one model, and makes the models to diagnose."""

from collections.abc import Sequence

import torch

from nmt.bundle import Bundle, build_model, load_bundle
from nmt.config import Config
from nmt.data.columns import Pair
from nmt.data.distilled import references_alone
from nmt.diagnosis.gradient_flow import gradient_flow
from nmt.diagnosis.records import Diagnosis, GradientFlow, StateMap
from nmt.diagnosis.sample_translations import samples
from nmt.diagnosis.state_map import state_map
from nmt.diagnosis.state_probes import state_probes
from nmt.diagnosis.token_losses import frequency_losses, position_losses, token_losses
from nmt.evaluation.breakdowns import spread
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import find_bleu_metric
from nmt.log import log
from nmt.models.batch import Padded, pad
from nmt.text.lines import is_blank
from nmt.text.tokenizer import Tokenizer
from nmt.training.data_module import TranslationData

SENTENCES = 32
"""Sentences of gradient flow; enough for stable means at most distances."""
MOST_TOKENS = 50
"""Bound on the tokens of each side: time and memory grow with source × target length."""
PROBED = 200
"""Sentences that each of some 25 probes translates and scores."""
MAPPED = 20
"""Sentences on the map; more labels would overlap."""
SAMPLES = 5


def diagnose(
    bundle: Bundle,
    pairs: Sequence[Pair],
    *,
    split: str,
    weights: str,
    start: Bundle | None = None,
    sentences: int = SENTENCES,
) -> Diagnosis:
    """Diagnose a model: gradient flow, and, once it is trained, losses, probes, map and samples.

    Args:
        bundle: the model.
        pairs: raw sentence pairs of a split.
        split: name of the split.
        weights: SHA-256 of the weights; empty for a model before its training.
        start: the model before its training, if known.
        sentences: number of sentences whose gradients are averaged.
    """
    target = TargetLanguage.of(bundle.config.data)
    scored = find_bleu_metric(target) is not None
    if weights and not scored:
        log.warning("state probes are left out: %s is not installed", target.tokenizer)
    flows = [flow_of(bundle, pairs, "trained" if weights else "start", sentences)]
    if start is not None:
        flows.append(flow_of(start, pairs, "start", sentences))
    if not weights:
        return Diagnosis(split, weights, flows)
    log.info("losses: %d sentences", len(pairs))
    losses = token_losses(bundle, pairs)
    probed = spread(pairs, PROBED)
    log.info("probes of the final state: %d sentences", len(probed))
    return Diagnosis(
        *(split, weights, flows),
        losses=position_losses(losses),
        frequencies=frequency_losses(losses, bundle.model.decoder.token_counts),
        probes=state_probes(bundle, probed) if scored else None,
        states=_map(bundle, pairs),
        samples=samples(bundle, spread(pairs, SAMPLES)),
    )


def _map(bundle: Bundle, pairs: Sequence[Pair]) -> StateMap | None:
    """Map sentences from the shorter half of a split, whose text fits beside a point."""
    texts = {source for source, _ in pairs if not is_blank(source)}
    sources = sorted(texts, key=lambda text: (len(text), text))
    chosen = spread(sources[: -(-len(sources) // 2)], MAPPED)
    return state_map(bundle, chosen) if chosen else None


def flow_of(
    bundle: Bundle, pairs: Sequence[Pair], moment: str, sentences: int = SENTENCES
) -> GradientFlow:
    """Measure the gradient flow of a model, over evenly spread sentences of a split.

    Args:
        bundle: the model.
        pairs: raw sentence pairs.
        moment: see `GradientFlow`.
        sentences: bound on the number of sentences.
    """
    chosen, config = spread(pairs, sentences), bundle.config.model
    log.info("gradient flow, %s, %s: %d sentences", config.cell, moment, len(chosen))
    source, target = encoded(bundle.tokenizer, chosen)
    return gradient_flow(bundle.model, config, source, target, moment)


def encoded(tokenizer: Tokenizer, pairs: Sequence[Pair]) -> tuple[Padded, Padded]:
    """Encode sentence pairs; each side is cut to `MOST_TOKENS`, special tokens aside."""
    sources, targets = (list(side) for side in zip(*pairs, strict=True))
    read, write = tokenizer.source, tokenizer.target
    source = [read.input_ids(ids, MOST_TOKENS) for ids in read.encode(sources)]
    target = [[write.bos_id, *write.input_ids(ids, MOST_TOKENS)] for ids in write.encode(targets)]
    return pad(source), pad(target)


def at_start(config: Config, tokenizer: Tokenizer) -> Bundle:
    """Return the model with its initial weights."""
    if config.training.init_from is not None:
        model = load_bundle(config.training.init_from).model
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = build_model(config, tokenizer)
    return Bundle(model.eval(), tokenizer, config, {}, "fp32")


def about_to_train(config: Config) -> Bundle:
    """Make the initial model of a config's run, and train its tokenizer.

    Raises:
        ConfigError, DataError, BundleError: as `train` would.
    """
    data = TranslationData(references_alone(config))
    data.setup()
    return at_start(data.config, data.tokenizer)
