"""What another cell would do in a network's place: at its start, and after a short training."""

import dataclasses
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nmt.config import Config
from nmt.data.columns import Pair
from nmt.diagnosis.diagnose import SENTENCES, at_start, flow_of, without_teachers
from nmt.diagnosis.records import GradientFlow
from nmt.text.tokenizer import Tokenizer
from nmt.training.fit import fit_briefly

UPDATES = 100
_log = logging.getLogger("nmt")


def compare_cells(
    config: Config,
    tokenizer: Tokenizer,
    cells: Sequence[str],
    pairs: Sequence[Pair],
    *,
    updates: int = UPDATES,
    sentences: int = SENTENCES,
) -> list[GradientFlow]:
    """Train the same network with each cell from fresh weights, and look before and after.

    Args:
        config: of the run; all but the cell and the length of training stays.
        tokenizer: used by all.
        cells: to compare.
        pairs: to look at the gradients of.
        updates: of each training.
        sentences: see `flow_of`.

    Returns:
        Two records for each cell.

    Raises:
        ConfigError: the config does not go with a cell.
        StoppedError: a signal came.
    """
    flows = []
    with tempfile.TemporaryDirectory(prefix="nmt-diagnose-") as folder:
        ready = Path(folder, "tokenizer")
        ready.mkdir()
        tokenizer.save(ready)
        variants = [_variant(config, cell, updates, ready) for cell in cells]
        for variant in variants:
            start = at_start(variant, tokenizer)
            flows.append(flow_of(start, pairs, "start", sentences))
            _log.info("training %s cells for %d updates", variant.model.cell, updates)
            end = fit_briefly(variant, updates)
            flows.append(flow_of(end, pairs, f"after {updates} updates", sentences))
    return flows


def _variant(config: Config, cell: str, updates: int, tokenizer: Path) -> Config:
    """Return the config of one short training."""
    training = dataclasses.replace(config.training.shortened(updates), init_from=None)
    return dataclasses.replace(
        config,
        data=without_teachers(config.data),
        tokenizer=dataclasses.replace(config.tokenizer, path=str(tokenizer)),
        model=dataclasses.replace(config.model, cell=cell),
        training=training,
    )
