"""What a run tells while it trains: a progress bar or plain lines, CSV and TensorBoard."""

import csv
import io
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch

from nmt.data.loader import Update
from nmt.errors import NmtError
from nmt.log import PROGRESS, ProgressBar
from nmt.storage import atomic_write
from nmt.training.ranks import Ranks

_log = logging.getLogger("nmt")
_COLUMNS = [
    "update",
    "epoch",
    "train_loss",
    "learning_rate",
    "gradient_norm",
    "tokens_per_second",
    "validation_loss",
    "validation_perplexity",
    "validation_bleu",
    "validation_chrf",
]


def diverged(loss: float) -> str:
    """Say that training has lost its way, and what to do."""
    remedy = "lower training.learning_rate, or training.clip_norm"
    return f"training diverged: the loss is {loss}; {remedy}"


def _at(row: dict[str, Any]) -> float:
    """Return a row's update; a row that was broken off counts as after all others."""
    update = str(row["update"])
    return int(update) if update.isdecimal() else math.inf


class Recorder(lightning.Callback):
    """Writes the training's numbers every so many updates.

    Args:
        run: the run folder; `metrics.csv` and `tensorboard/` are written there.
        every: updates between two records.
        total_updates: where training ends by itself.
        ranks: whose losses are added up; the first alone writes.
    """

    def __init__(self, run: Path, every: int, total_updates: int, ranks: Ranks):
        self.run = run
        self.ranks = ranks
        self.every = every
        self.total_updates = total_updates
        self._bar: ProgressBar | None = None
        self._losses: list[torch.Tensor] = []
        self._tokens = 0
        self._since = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the losses since the last record."""
        return {"losses": self._summed_losses().tolist()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        # The sum is over all ranks; one of them carries it.
        share = 1.0 if self.ranks.first else 0.0
        self._losses = [torch.tensor(loss * share) for loss in state_dict["losses"]]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Open the logs, without what a stopped run wrote after its last checkpoint."""
        self._since = time.perf_counter()
        if not self.ranks.first:
            return
        from torch.utils.tensorboard import SummaryWriter

        update = trainer.global_step
        path = self.run / "metrics.csv"
        rows: list[dict[str, Any]] = []
        if path.exists():
            with open(path, newline="", encoding="utf-8") as stream:
                rows = [row for row in csv.DictReader(stream) if _at(row) <= update]
        with atomic_write(path) as binary:
            text = io.TextIOWrapper(binary, encoding="utf-8", newline="", write_through=True)
            writer = csv.DictWriter(text, _COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
            text.detach()
        self._csv = open(path, "a", newline="", encoding="utf-8")  # noqa: SIM115
        self._rows = csv.DictWriter(self._csv, _COLUMNS)
        self._board = SummaryWriter(str(self.run / "tensorboard"), purge_step=update + 1)
        self._bar = ProgressBar("update", self.total_updates, update)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: Any,
        outputs: Any,
        batch: Update,
        batch_idx: int,
    ) -> None:
        """Count the update, and record where that is due."""
        self._losses.append(outputs["loss"])
        self._tokens += outputs["target_tokens"]
        if self._bar is not None:
            self._bar.advance()
        if trainer.global_step % self.every == 0:
            self._record(trainer, pl_module, float(outputs["gradient_norm"]))

    def _record(self, trainer: lightning.Trainer, module: Any, gradient_norm: float) -> None:
        loss = float(self._summed_losses().mean())
        if not math.isfinite(loss):
            raise NmtError(diverged(loss))
        now = time.perf_counter()
        speed = self._tokens / (now - self._since)
        self._losses, self._tokens, self._since = [], 0, now
        if self._bar is None:
            return
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self._write(
            trainer.global_step,
            epoch=module.place[0] + 1,
            train_loss=loss,
            learning_rate=rate,
            gradient_norm=gradient_norm,
            tokens_per_second=speed,
        )
        self._bar.show(f"loss {loss:.3f}  {speed:,.0f} tokens/s")
        _log.log(
            PROGRESS,
            "update %d/%d  epoch %d  loss %.3f  learning rate %.2e  %s tokens/s  %s left",
            trainer.global_step,
            self.total_updates,
            module.place[0] + 1,
            loss,
            rate,
            f"{speed:,.0f}",
            self._bar.time_left(),
        )

    def _summed_losses(self) -> torch.Tensor:
        """Return the losses since the last record, `(updates,)`, over all ranks."""
        losses = [loss.cpu() for loss in self._losses]
        return self.ranks.sum(torch.stack(losses) if losses else torch.zeros(0))

    def validation(self, update: int, scores: dict[str, float], *, best: bool) -> None:
        """Record the scores of a validation."""
        if not self.ranks.first:
            return
        self._write(update, **{f"validation_{name}": value for name, value in scores.items()})
        _log.info(
            "update %d: validation loss %.3f, perplexity %.2f, %schrF %.2f%s",
            update,
            scores["loss"],
            scores["perplexity"],
            f"BLEU {scores['bleu']:.2f}, " if "bleu" in scores else "",
            scores["chrf"],
            " (the best so far)" if best else "",
        )

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave the time of a block out of the speed."""
        start = time.perf_counter()
        yield
        self._since += time.perf_counter() - start

    def _write(self, update: int, **values: float) -> None:
        self._rows.writerow({"update": update, **{k: f"{v:.6g}" for k, v in values.items()}})
        self._csv.flush()
        for name, value in values.items():
            self._board.add_scalar(name.replace("_", "/", 1), value, update)

    def teardown(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str
    ) -> None:
        """Close the logs, however training ended."""
        if self._bar is not None:
            self._bar.stop()
            self._csv.close()
            self._board.close()
