"""Train with Lightning's own Trainer, callbacks and loggers, then translate."""

import sys

import nmt  # before lightning and torch, so that waiting threads do not spin

# isort: split
import lightning
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger

config = nmt.load_config("configs/quickstart.yaml", {"training.batch_tokens": 2048})
lightning.seed_everything(config.seed)
data, module = nmt.TranslationData(config), nmt.TranslationModule(config)
trainer = lightning.Trainer(
    max_steps=int(sys.argv[1]) if len(sys.argv) > 1 else 600,
    val_check_interval=100,
    check_val_every_n_epoch=None,
    callbacks=[EarlyStopping("validation/bleu", mode="max"), LearningRateMonitor()],
    logger=CSVLogger("runs", name="from-python"),
)
trainer.fit(module, datamodule=data)
module.save_bundle("runs/from-python/model")
print(nmt.load("runs/from-python/model").translate(["Der Hund schläft."])[0].text)
