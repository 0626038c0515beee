"""Compares recurrent cells: gradient flow of a network before and after a short training run."""

import dataclasses
from collections.abc import Sequence

from nmt.config import Config
from nmt.data.columns import Pair
from nmt.data.distilled import references_alone
from nmt.diagnosis.collect import SENTENCES, at_start, flow_of
from nmt.diagnosis.records import GradientFlow
from nmt.log import log
from nmt.text.tokenizer import Tokenizer
from nmt.training.data_module import TranslationData
from nmt.training.fit import fit_briefly

UPDATES = 100


def compare_cells(
    config: Config,
    tokenizer: Tokenizer,
    cells: Sequence[str],
    pairs: Sequence[Pair],
    *,
    updates: int = UPDATES,
    sentences: int = SENTENCES,
) -> list[GradientFlow]:
    """Train a network with each cell from fresh weights, and measure gradients before and after.

    Args:
        config: of the run; only the cell and the number of updates are replaced.
        tokenizer: of all networks.
        cells: to compare.
        pairs: sentences whose gradients are measured.
        updates: of each training run.
        sentences: see `flow_of`.

    Returns:
        Two records for each cell.

    Raises:
        ConfigError: the config contradicts a cell.
        StoppedError: a signal stopped a training run.
    """
    flows = []
    variants = [_variant(config, cell, updates) for cell in cells]
    for data in [TranslationData(variant, tokenizer=tokenizer) for variant in variants]:
        flows.append(flow_of(at_start(data.config, tokenizer), pairs, "start", sentences))
        log.info("training %s cells for %d updates", data.config.model.cell, updates)
        end = fit_briefly(data, updates)
        flows.append(flow_of(end, pairs, f"after {updates} updates", sentences))
    return flows


def _variant(config: Config, cell: str, updates: int) -> Config:
    """Return the config of one short training run."""
    return dataclasses.replace(
        references_alone(config),
        model=dataclasses.replace(config.model, cell=cell),
        training=dataclasses.replace(config.training.shortened(updates), init_from=None),
    )
