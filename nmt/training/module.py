"""One update of the weights, as Lightning runs it."""

import contextlib
import functools
import math
from typing import Any

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader

from nmt.config import TrainingConfig
from nmt.data.loader import Batch, Place, Update, Updates, update_loader
from nmt.models.seq2seq import Seq2Seq
from nmt.training.ranks import Ranks
from nmt.training.schedule import learning_rate_factor


class TranslationModule(lightning.LightningModule):
    """Learns from whole updates: to Lightning, one batch is one update of several micro-batches.

    An update's gradient is the sum of the token losses over its micro-batches and ranks ÷ the sum
    of their target tokens. All epochs are one to Lightning, so that the place in the update plan is
    the only position there is to keep.

    Args:
        model: the network.
        config: the `training` section.
        updates: what to learn from, this rank's share.
        ranks: the processes that share every update.
        max_epochs: passes over it at most.
        total_updates: where training ends by itself, at the latest.
    """

    def __init__(
        self,
        model: Seq2Seq,
        config: TrainingConfig,
        updates: Updates,
        ranks: Ranks,
        *,
        max_epochs: int | None,
        total_updates: int,
    ):
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.config = config
        self.updates = updates
        self.ranks = ranks
        self.max_epochs = max_epochs
        self.total_updates = total_updates
        self.place: Place = (0, 0)
        """Epoch and number of the next update."""
        self.finished = False
        """Whether training has come to its end."""

    def configure_optimizers(self) -> Any:
        """Make Adam with decoupled weight decay, and its learning rate's schedule."""
        optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            fused=True,
        )
        factor = functools.partial(
            learning_rate_factor,
            schedule=self.config.schedule,
            warmup_updates=self.config.warmup_updates,
            total_updates=self.total_updates,
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def train_dataloader(self) -> DataLoader[Update]:
        """Give the updates that are left; called after a checkpoint has been read."""
        return update_loader(
            self.updates,
            start=self.place,
            max_epochs=self.max_epochs,
            workers=self.config.workers,
        )

    def transfer_batch_to_device(
        self, batch: Update, device: torch.device, dataloader_idx: int
    ) -> Update:
        """Move the micro-batches' tokens; their lengths stay on the CPU."""
        batches: list[Batch] = [micro.to(device) for micro in batch.batches]
        return Update(batch.epoch, batch.number, batches, batch.target_tokens)

    def training_step(self, batch: Update, batch_idx: int) -> dict[str, Any]:
        """Make one update.

        Returns:
            `loss`: training loss in nats a target token, this rank's part of the sum;
            `gradient_norm`: before clipping; `target_tokens`: of the update, over all ranks.
        """
        optimizer = self.optimizers()
        target_tokens = self._target_tokens(batch)
        total = torch.zeros((), device=self.device)
        for number, micro in enumerate(batch.batches, start=1):
            loss = self.loss(micro) / target_tokens
            # The ranks' gradients are averaged, and once an update is enough.
            with self._alone() if number < len(batch.batches) else contextlib.nullcontext():
                self.manual_backward(loss * self.ranks.size)
            total += loss.detach()
        norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), self.config.clip_norm or math.inf
        )
        optimizer.step()  # type: ignore[union-attr]
        optimizer.zero_grad()  # type: ignore[union-attr]
        self.lr_schedulers().step()  # type: ignore[union-attr]
        self.place = (batch.epoch, batch.number + 1)
        return {"loss": total, "gradient_norm": norm, "target_tokens": target_tokens}

    def _target_tokens(self, update: Update) -> int:
        """Count the target tokens of an update, which are not those planned where sampled anew."""
        if self.config.subword_sampling is None:
            return update.target_tokens
        mine = sum(int((micro.target.lengths - 1).sum()) for micro in update.batches)
        return int(self.ranks.sum(torch.tensor(mine)))

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the summed loss; of an empty batch 0, with gradients, which ranks wait for."""
        if len(batch.target.lengths) == 0:
            return sum((weight.sum() for weight in self.model.parameters()), torch.tensor(0)) * 0.0
        return self.model.loss(
            batch.source, batch.target, self.config.label_smoothing, self.config.r_drop
        )

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which gradients stay in this process."""
        strategy = self.trainer.strategy
        return (
            strategy.block_backward_sync()
            if isinstance(strategy, DDPStrategy)
            else contextlib.nullcontext()
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the place in the update plan."""
        checkpoint["place"] = list(self.place)
        checkpoint["finished"] = self.finished
        checkpoint["limits"] = limits(self.config)
        checkpoint["micro_batches"] = self.ranks.size * self.config.accumulate

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from the place in the update plan."""
        # An earlier version had not counted yet.
        counts = self.model.decoder.token_counts
        checkpoint["state_dict"].setdefault("model.decoder.token_counts", counts)
        epoch, number = checkpoint["place"]
        self.place = (epoch, number)
        # To Lightning the one epoch is not over, also where a finished run is extended.
        checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"] |= {
            "processed": 0,
            "completed": 0,
        }


def limits(config: TrainingConfig) -> list[int | None]:
    """Return what ends a training: a run that was finished under others may go on."""
    return [config.max_updates, config.max_epochs, config.patience]
