"""The numbers of a run, for contract 3 (resume): `metrics.csv`, log lines, the progress bar.

Lightning's `CSVLogger` deletes `metrics.csv` on resume. Like any logger, it also writes a row after
the checkpoint of the same update, so that a kill between the two loses the row. With it
`test_a_run_killed_and_resumed_gives_the_same_weights_bit_for_bit` fails in its history.
"""

import csv
import io
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from nmt.data.loader import Update
from nmt.log import ProgressBar, log
from nmt.reading import read_rows
from nmt.storage import atomic_write
from nmt.text.lines import writing_to
from nmt.training.distributed import rank

_COLUMNS = {
    "train/loss": "train_loss",
    "train/learning_rate": "learning_rate",
    "train/gradient_norm": "gradient_norm",
    "train/tokens_per_second": "tokens_per_second",
    "validation/loss": "validation_loss",
    "validation/perplexity": "validation_perplexity",
    "validation/bleu": "validation_bleu",
    "validation/chrf": "validation_chrf",
}
"""Names at Lightning's loggers, and in `metrics.csv`."""
_NAMES = ["update", "epoch", *_COLUMNS.values()]
_SHOWN = {
    "validation/loss": "loss %.3f",
    "validation/perplexity": "perplexity %.2f",
    "validation/bleu": "BLEU %.2f",
    "validation/chrf": "chrF %.2f",
}


class RunLog(Callback):
    """Writes the metrics that the module logs, in the first process alone.

    Args:
        path: of `metrics.csv`; None for no such file.
        every: updates between two rows of training.
        total_updates: bound on the updates of the run.
    """

    def __init__(self, path: Path | None, every: int, total_updates: int):
        self.path = path
        self.every = every
        self.total_updates = total_updates
        self._bar: ProgressBar | None = None
        self._file: io.TextIOBase | None = None

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Open the file, without the rows that a killed run wrote after its last checkpoint."""
        if rank() > 0:
            return
        self._bar = ProgressBar("update", self.total_updates, trainer.global_step)
        if self.path is None:
            return
        rows, damaged = read_rows(self.path) if self.path.exists() else ([], 0)
        if damaged:
            log.warning("%s: %d damaged rows are left out", self.path, damaged)
        rows = [row for row in rows if int(row["update"]) <= trainer.global_step]
        with writing_to(self.path), atomic_write(self.path) as binary:
            text = io.TextIOWrapper(binary, encoding="utf-8", newline="", write_through=True)
            writer = csv.DictWriter(text, _NAMES, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
            text.detach()
        self._file = open(self.path, "a", newline="", encoding="utf-8")  # noqa: SIM115

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Update, batch_idx: int
    ) -> None:
        """Count the update, and write its metrics."""
        if self._bar is None:
            return
        self._bar.advance()
        if trainer.global_step % self.every:
            return
        metrics = logged(trainer, "train/")
        self._write(trainer.global_step, metrics, epoch=batch.epoch + 1)
        loss, speed = metrics["train/loss"], f"{metrics['train/tokens_per_second']:,.0f} tokens/s"
        update = f"update {trainer.global_step}/{self.total_updates}  epoch {batch.epoch + 1}"
        rate = f"learning rate {metrics['train/learning_rate']:.2e}"
        self._bar.log(f"{update}  loss {loss:.3f}  {rate}  {speed}", f"loss {loss:.3f}  {speed}")

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Write the scores of a validation."""
        if rank() > 0:
            return
        metrics = logged(trainer, "validation/")
        self._write(trainer.global_step, metrics)
        scores = ", ".join(_SHOWN[name] % value for name, value in metrics.items())
        best = " (the best so far)" if pl_module.is_best else ""
        log.info("update %d: validation %s%s", trainer.global_step, scores, best)

    def _write(self, update: int, metrics: dict[str, float], **others: int) -> None:
        if self._file is not None and self.path is not None:
            values = {_COLUMNS[name]: f"{value:.6g}" for name, value in metrics.items()}
            with writing_to(self.path):
                csv.DictWriter(self._file, _NAMES).writerow({"update": update, **others, **values})
                self._file.flush()

    def close(self) -> None:
        """Remove the bar and close the file, however training ended."""
        if self._bar is not None:
            self._bar.stop()
        if self._file is not None:
            self._file.close()


def logged(trainer: Trainer, prefix: str) -> dict[str, float]:
    """Return the last metrics under a prefix, in the order of the columns.

    BLEU is missing if its tokenizer is not installed.
    """
    metrics = trainer.callback_metrics
    names = [name for name in _COLUMNS if name.startswith(prefix) and name in metrics]
    return {name: float(metrics[name]) for name in names}
