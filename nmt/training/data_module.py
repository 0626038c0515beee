"""The corpus of a run as a LightningDataModule: read, tokenized, encoded and batched."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import lightning
from lightning.pytorch.trainer.states import TrainerFn

from nmt.bundle import Bundle, load_bundle
from nmt.config import Config, check_config
from nmt.data.cache import encode_pairs, learn_tokenizer
from nmt.data.columns import Pair
from nmt.data.corpus import Corpus, open_corpus
from nmt.data.encoded import EncodedPairs
from nmt.data.loader import UpdateLoader, Updates
from nmt.data.scan import scan_corpus
from nmt.errors import ConfigError, UsageError, naming_key
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import bleu_metric
from nmt.log import log
from nmt.text.tokenizer import Tokenizer
from nmt.training.distill import distilled, teachers_of
from nmt.training.fine_tuning import follow_base

_DEFAULT_EPOCHS = 20
_VALIDATED_TOGETHER = 4000
ValidationBatch = list[tuple[int, Pair]]
"""Raw sentence pairs, each with its position in the validation split."""


class ValidationLoader:
    """Yields one rank's share of the validation split, in equally many batches on every rank.

    It is not a `DataLoader`: Lightning would replace its sampler by one that repeats sentences to
    fill up ranks.
    """

    def __init__(self, pairs: Sequence[Pair], rank: int, world_size: int):
        size = _VALIDATED_TOGETHER * world_size
        rows, starts = list(enumerate(pairs)), range(0, len(pairs), size)
        self._batches = [rows[start : start + size][rank::world_size] for start in starts]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[ValidationBatch]:
        return iter(self._batches)


class TranslationData(lightning.LightningDataModule):
    """The training updates and the validation split of a config's corpus.

    `prepare_data` fills the cache in one process, `setup` opens it in each. Both may be called
    repeatedly, and outside a Trainer.

    Args:
        config: of the run; keys fixed by `training.init_from` are filled in.
        tokenizer: replaces the config's, such as the tokenizer of a resumed run.
        teachers: hashes of the teacher's models, if known; see `teachers_of`.

    Attributes:
        config: the completed config.
        tokenizer: of both languages.
        pairs: the encoded training split, filtered.
        held_out: the raw pairs of every other split.
        fingerprint: of the raw training split.
        teachers: hashes of the models in `data.distill.teacher`.

    Example:
        >>> data = TranslationData(nmt.load_config("my.yaml"))
        >>> data.setup()
        >>> next(iter(data.train_dataloader())).target_tokens
        1187
    """

    tokenizer: Tokenizer
    pairs: EncodedPairs
    held_out: dict[str, list[Pair]]
    fingerprint: str

    def __init__(
        self,
        config: Config,
        *,
        tokenizer: Tokenizer | None = None,
        teachers: list[str] | None = None,
    ):
        super().__init__()
        check_config(config, "config")
        self.config = follow_base(config)
        self.teachers = teachers or []
        self._known_tokenizer = tokenizer
        self._corpus: Corpus | None = None
        self._loader: UpdateLoader | None = None
        self._loader_state: dict[str, Any] = {}
        self._is_open = False

    def prepare_data(self) -> None:
        """Train the tokenizer, translate with a teacher if there is one, and encode the pairs.

        Raises:
            ConfigError, DataError, BundleError: corpus, tokenizer or model do not fit the config.
        """
        self.setup()

    def setup(self, stage: str | None = None) -> None:
        """Open the tokenizer and the encoded pairs; make missing ones. See `prepare_data`."""
        if self._is_open:
            return
        self.read()
        corpus, scan = self._corpus, self._scan
        assert corpus is not None
        if self._known_tokenizer is not None:
            self.tokenizer = self._known_tokenizer
        elif self.base is not None:
            self.tokenizer = self.base.tokenizer
        else:
            self.tokenizer, warnings = learn_tokenizer(self.config, corpus, scan)
            for warning in warnings:
                log.warning(warning)
        if self.teachers:
            corpus = distilled(self.config, corpus, scan, self.teachers)
            scan = scan_corpus(corpus)
        self.pairs = encode_pairs(self.config, corpus, scan, self.tokenizer)
        log.info("%s", self.pairs.table())
        for name, pairs in self.held_out.items():
            log.info("%s: %s pairs", name, f"{len(pairs):,}")
        self._is_open = True

    def read(self) -> None:
        """Open the corpus and read it once: held-out splits, size and fingerprint of train.

        Raises:
            ConfigError, DataError, BundleError: corpus or teacher do not fit the config.
        """
        if self._corpus is not None:
            return
        corpus = open_corpus(self.config.data)
        if "validation" not in corpus.splits:
            raise ConfigError(
                "data.splits: there is no validation split to choose the best model on; "
                "name one, or cut one out of train with data.splits.validation: {cut: 2000}"
            )
        if self.config.training.monitor == "bleu":  # raises now, not after the first validation
            bleu_metric(TargetLanguage.of(self.config.data))
        self.teachers = self.teachers or teachers_of(self.config.data)
        self._scan = scan_corpus(corpus)
        self.fingerprint, self.held_out = self._scan.fingerprint, self._scan.held_out
        self._corpus = corpus

    @functools.cached_property
    def base(self) -> Bundle | None:
        """The model in `training.init_from`."""
        base = self.config.training.init_from
        with naming_key("training.init_from"):
            return None if base is None else load_bundle(base)

    def updates(self, rank: int = 0, world_size: int = 1) -> Updates:
        """Return one rank's share of every update."""
        training = self.config.training
        return Updates(
            self.pairs,
            self.tokenizer,
            batch_tokens=training.batch_tokens,
            accumulate=training.accumulate,
            seed=self.config.seed,
            rank=rank,
            world_size=world_size,
        )

    def total_updates(self, world_size: int = 1) -> int:
        """Return the update at which training ends by the config's limits, patience aside.

        Without `max_updates` and `max_epochs` it ends after 20 epochs.

        Args:
            world_size: ranks that share every update.
        """
        limits = self.config.training
        ends = [] if limits.max_updates is None else [limits.max_updates]
        if limits.max_epochs is not None or not ends:
            epochs = limits.max_epochs or _DEFAULT_EPOCHS
            updates = self.updates(world_size=world_size)
            if all(weight == int(weight) for _, weight in self.pairs.weights or ()):
                ends.append(epochs * len(updates.plan(0)))
            else:  # each epoch draws another number of pairs
                ends.append(sum(len(updates.plan(epoch)) for epoch in range(epochs)))
        return min(ends)

    def _require_open(self) -> None:
        if not self._is_open:
            raise UsageError("TranslationData: call setup() before asking for updates or batches")

    def train_dataloader(self) -> UpdateLoader:
        """Return the updates of this rank."""
        self._require_open()
        self.teardown()
        self._loader = UpdateLoader(self.updates(*self._rank()), self.config.training.workers)
        if self._loader_state:
            self._loader.load_state_dict(self._loader_state)
            self._loader_state = {}
        return self._loader

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the updates, for checkpoints.

        Lightning stores the loader's state, too, but not in a checkpoint that is written after
        `Trainer.validate`.
        """
        return {} if self._loader is None else self._loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue training from a checkpoint; a validation leaves no position behind."""
        fitting = self.trainer is None or self.trainer.state.fn == TrainerFn.FITTING
        self._loader_state = state_dict if fitting else {}

    def teardown(self, stage: str | None = None) -> None:
        """End the loader's processes."""
        if self._loader is not None:
            self._loader.close()

    def on_exception(self, exception: BaseException) -> None:
        """End the loader's processes, which would hold the run folder's lock."""
        self.teardown()

    def val_dataloader(self) -> ValidationLoader:
        """Return this rank's share of the validation split."""
        self._require_open()
        return ValidationLoader(self.held_out["validation"], *self._rank())

    def _rank(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def __getstate__(self) -> dict[str, Any]:
        # The copy reads both again when it needs them.
        state = {name: value for name, value in self.__dict__.items() if name != "base"}
        return state | {"_corpus": None}
