"""Every setting of a run, as frozen dataclasses.

A config file holds only the keys that differ from the defaults below. Sizes count units or tokens,
lengths count tokens, `*_updates` count optimizer updates.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal, Self

from nmt.config.options import BeamSize, DecodingConfig, Seed
from nmt.config.values import Matches, Range
from nmt.plugins import CELL_GROUP, Plugged

Column = Annotated[int, Range(1, 10_000)] | str
Count = Annotated[int, Range(1, 10**9)]
Share = Annotated[float, Range(0, 1, below=True)]
Threads = Annotated[int, Range(1, 1024)]


def language_code(name: str) -> str:
    """Return the code of a language's English name, or an empty string."""
    import iso639  # reads its tables for a fifth of a second

    try:
        language = iso639.Language.match(name.title())
    except iso639.LanguageNotFoundError:
        return ""
    return str(language.part1 or language.part3)


_TAG_PATTERN = r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8}){,5}"
_TAG = Matches(_TAG_PATTERN, "a language tag such as de or pt_BR", language_code)
LanguageTag = Annotated[str, _TAG]
_CORPUS = Matches("files|(builtin|hub):.+", "files, builtin:NAME or hub:OWNER/NAME")
_SPLIT = Matches(r"[\w-]{1,100}", "a split's name of up to 100 letters, digits, - and _")

Place = str | list[str | dict[str, str | float]] | dict[str, Count]
"""A name, a list of names or {place: NAME, weight: TIMES}, or {cut: PAIRS}."""
BleuTokenizer = Literal["13a", "intl", "zh", "ja-mecab", "ko-mecab", "char"]
Normalization = Literal["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"]

CellName = Literal["lstm", "gru", "tanh", "relu"]
"""Names in `nmt.models.cells.CELLS`; other packages register more."""


@dataclasses.dataclass(frozen=True)
class ColumnsConfig:
    """The columns of a table that hold the two sides."""

    source: Column
    """Column of the source sentences; `a.b` is column b nested in a. A number, counted from 1, is
    for .tsv and .csv files without a header line."""
    target: Column
    """Column of the target sentences."""

    @property
    def numbered(self) -> bool:
        """Whether the columns are given by number, for tables without a header."""
        return isinstance(self.source, int) and isinstance(self.target, int)


@dataclasses.dataclass(frozen=True)
class FiltersConfig:
    """Filters of training pairs; a pair that is left out counts for the first filter it matches.

    `data.max_length` is applied between script and length_ratio.
    """

    empty: bool = True
    """Leave out pairs with a side that is blank or has no token; if false, such a side is
    the end token alone."""
    control_characters: bool = False
    """Leave out pairs that hold control characters (Unicode category Cc) other than tabs."""
    untranslated: bool = False
    """Leave out pairs whose two sides are equal."""
    script: Annotated[float, Range(0.01, 1)] | None = None
    """Minimum share of a side's letters, rounded to 1 %, that belong to its language's scripts:
    those with at least 1 % of the letters on that side of the validation split."""
    length_ratio: Annotated[float, Range(1, 1000)] | None = None
    """Maximum of longer ÷ shorter side, in tokens with the end token."""
    overlap: bool = False
    """Leave out pairs that share a sentence with validation or a test split, white space aside."""
    duplicates: bool = False
    """Leave out pairs that repeat an earlier training pair on both sides."""


@dataclasses.dataclass(frozen=True)
class DistillConfig:
    """A teacher whose translations of the training source are added to the references.

    It translates once, before training. The tokenizer is learned from the references alone.
    """

    teacher: str | list[str] | None = None
    """A run folder, a bundle folder or hf://owner/name; a list is an ensemble, which averages
    log-probabilities. null means no teacher."""
    references: Annotated[float, Range(0, 1000)] = 1.0
    """Factor on the weight of each place's references; 0 leaves the references out. The teacher's
    translations have the weight of the place."""
    n_best: BeamSize = 1
    """Number of distinct translations of each source sentence; each gives a training pair."""
    beam_size: BeamSize | None = None
    """Hypotheses that the teacher keeps at every step; null means the teacher's own beam size."""

    @property
    def teachers(self) -> list[str]:
        """The models of the teacher; empty without a teacher."""
        return [self.teacher] if isinstance(self.teacher, str) else self.teacher or []


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The corpus and its filters."""

    source_language: LanguageTag = ""
    """Language tag to translate from, such as de; required."""
    target_language: LanguageTag = ""
    """Language tag to translate to, such as en; required."""
    corpus: Annotated[str, _CORPUS] = "files"
    """files, builtin:NAME, or hub:OWNER/NAME[@REVISION][#CONFIG]."""
    splits: dict[Annotated[str, _SPLIT], Place | None] | None = None
    """Place of each split. files: PREFIX (PREFIX.de, PREFIX.en) or one .tsv .csv .jsonl .parquet,
    each also .gz, or a list; hub, builtin: a split of the corpus. {cut: N} takes N pairs out of
    train. In train's list, {place: NAME, weight: W} repeats each pair W times in an epoch; weight
    2.5: every pair twice, a random half a third time each epoch. hub and builtin default to train,
    validation and test (builtin: and long); null leaves one out."""
    columns: ColumnsConfig | None = None
    """Columns of tables; null looks for the language tags, then translation.TAG."""
    max_length: Annotated[int, Range(1, 100_000)] | None = 100
    """Longest side of a training pair, in tokens without the end token; longer pairs are left out
    and counted. null keeps pairs that fit into training.batch_tokens."""
    filters: FiltersConfig = FiltersConfig()
    """Filters of training pairs."""
    distill: DistillConfig = DistillConfig()
    """A teacher to learn from, in addition to the references."""
    bleu_tokenizer: BleuTokenizer | None = None
    """sacreBLEU's tokenizer for BLEU; null means the target language's default."""
    cache: str | None = None
    """Folder of encoded corpora and teachers' translations; null is nmt under $XDG_CACHE_HOME or
    ~/.cache."""

    @property
    def languages(self) -> tuple[str, str]:
        """Tags of the source and the target language."""
        return self.source_language, self.target_language

    @property
    def public_corpus(self) -> str:
        """The corpus; `files` if it is a folder of this machine."""
        folder = self.corpus.removeprefix("hub:").partition("#")[0]
        return "files" if Path(folder).is_dir() else self.corpus


@dataclasses.dataclass(frozen=True)
class TokenizerConfig:
    """The tokenizer (SentencePiece)."""

    model: Literal["unigram", "bpe", "char", "word"] = "unigram"
    """Kind of pieces: subwords (unigram or bpe), characters, or words."""
    vocabulary_size: Annotated[int, Range(5, 1_000_000)] = 8000
    """Size of a vocabulary in pieces, special tokens included; smaller if the corpus has fewer."""
    shared: bool = True
    """Share one vocabulary between the languages; false: one for each."""
    byte_fallback: bool = False
    """Spell unknown characters in bytes (adds 256 pieces) instead of one unknown token."""
    normalization: Normalization = "nmt_nfkc"
    """Unicode normalization of the source; _cf also folds case."""
    target_normalization: Normalization = "identity"
    """Unicode normalization of the target. Only identity keeps every character of the references;
    the other rules rewrite some, such as full-width punctuation and m²."""
    character_coverage: Annotated[float, Range(0.98, 1)] = 1.0
    """Share of the corpus's characters that get their own piece."""
    max_pairs: Annotated[int, Range(1, 100_000_000)] = 200_000
    """Maximum pairs to train on, held in memory by SentencePiece; a larger corpus is sampled."""
    path: str | None = None
    """A model file, or a folder such as a run's tokenizer/, to use instead of training one."""


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The two recurrent networks."""

    cell: CellName | Annotated[str, Plugged(CELL_GROUP)] = "lstm"
    """Recurrent cell of encoder and decoder."""
    recurrent_init: Literal["auto", "orthogonal", "identity", "uniform"] = "auto"
    """Initial recurrent matrices. auto: the identity for relu, orthogonal for other cells; uniform:
    torch's default, between ±1 / √(the layer's width)."""
    encoder: Literal["rnn", "bag", "window"] = "rnn"
    """The encoder: a recurrent network or, for comparison, a linear map of the mean of all
    embeddings (bag) or of the last few (window). Only an rnn has directions; a window has no states
    for attention and pool."""
    window: Annotated[int, Range(1, 100)] = 7
    """Tokens that a window encoder reads, the last before the end token, with separate weights for
    each position; shorter sentences are padded with zeros."""
    layers: Annotated[int, Range(1, 64)] = 2
    """Layers of the encoder and of the decoder."""
    embedding_size: Annotated[int, Range(1, 16_384)] = 256
    """Width of the token embeddings."""
    hidden_size: Annotated[int, Range(1, 16_384)] = 512
    """Width of the decoder; each direction of a bidirectional encoder has half of it."""
    bidirectional: bool = True
    """Read the source in both directions."""
    reverse_source: bool = False
    """Read the source from its last token to its first."""
    bridge: Literal["copy", "linear", "wide"] = "linear"
    """Map from the encoder's final state to the decoder's initial state: copy, a linear map for
    each layer, or one linear map from all layers to all layers (wide)."""
    pool: Literal["none", "mean", "max"] = "none"
    """Mean or max pooling of the top layer's states, added to the fed context and to the input of a
    wide bridge."""
    feed_context: bool = True
    """Feed the encoder's final state to the decoder and the output at every step."""
    attention: Literal["none", "dot", "general", "additive"] = "none"
    """Attention over the encoder's states; with none, the decoder sees the final state and, with
    model.pool, the pooled states."""
    input_feeding: bool = False
    """Feed the last step's readout, attention included, to the decoder's next step. Training then
    runs step by step, without fused kernels, and takes several times as long."""
    dropout: Share = 0.2
    """Dropout rate of the embeddings, between layers and before the output."""
    locked_dropout: bool = False
    """Drop the same units at all steps of a sentence (variational dropout)."""
    source_word_dropout: Share = 0.0
    """Share of source tokens whose whole embedding is dropped."""
    target_word_dropout: Share = 0.0
    """Share of the decoder's input tokens whose whole embedding is dropped."""
    tie_embeddings: bool | Literal["target"] = True
    """One matrix for target embedding and output, and, with true and a shared vocabulary, for the
    source embedding; a bottleneck of embedding_size precedes the output."""


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Training. It ends at the first of max_updates, max_epochs and patience."""

    max_updates: Count | None = None
    """Stop after this many updates."""
    max_epochs: Annotated[int, Range(1, 10_000)] | None = None
    """Stop after this many passes over the training split; 20 if neither limit is given."""
    batch_tokens: Annotated[int, Range(1, 10_000_000)] = 4096
    """Bound on sentences × longest sentence (the longer side) of one micro-batch."""
    accumulate: Annotated[int, Range(1, 10_000)] = 1
    """Micro-batches accumulated into one update."""
    learning_rate: Annotated[float, Range(0, 10, above=True)] = 2e-3
    """Peak learning rate of Adam."""
    weight_decay: Annotated[float, Range(0, 10)] = 0.0
    """Decoupled weight decay (AdamW)."""
    schedule: Literal["cosine", "inverse_sqrt", "plateau", "constant"] = "cosine"
    """Learning-rate schedule after the warm-up; plateau halves the rate after each validation
    without a better score."""
    warmup_updates: Annotated[int, Range(0, 10**9)] = 200
    """Updates over which the learning rate rises from zero to its peak."""
    label_smoothing: Share = 0.1
    """Probability mass spread over the vocabulary in the training loss."""
    r_drop: Annotated[float, Range(0, 100, above=True)] | None = None
    """Weight (α) of R-Drop: every sentence is read twice with different dropout, and the divergence
    of the predictions is added to the loss. It takes twice the time and memory."""
    clip_norm: Annotated[float, Range(0, 1_000_000)] = 1.0
    """Maximum norm of the gradient; 0 turns clipping off."""
    validate_every: Count = 500
    """Updates between validations."""
    checkpoint_every: Count | None = None
    """Updates between two checkpoints; null writes one at each validation."""
    keep_checkpoints: Annotated[int, Range(1, 10_000)] = 2
    """Number of newest checkpoints to keep; `nmt export --average` needs several."""
    monitor: Literal["bleu", "chrf", "loss"] = "bleu"
    """Validation score that selects the best model."""
    patience: Count | None = None
    """Stop after this many validations without a better score."""
    log_every: Count = 50
    """Updates between lines of the training log."""
    workers: Annotated[int, Range(0, 64)] = 0
    """Processes that prepare batches; 0 prepares them in the training process."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic; auto is bf16 on a GPU that supports it, else fp32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to train on; auto uses a GPU if there is one."""
    devices: Annotated[int, Range(1, 1024)] | Literal["auto"] = 1
    """Processes on this machine, each with a GPU or a share of the cores. Each takes its own
    micro-batches: the effective batch size is multiplied by their number. auto: every GPU, or one
    process on a CPU. torchrun and srun set the number of processes and machines themselves."""
    threads: Threads | None = None
    """Threads of each process on a CPU; null divides the cores among the processes."""
    loggers: list[Literal["csv", "tensorboard", "wandb", "mlflow"]] = dataclasses.field(
        default_factory=lambda: ["csv", "tensorboard"]
    )
    """Destinations of the metrics: metrics.csv and tensorboard/ in the run folder, Weights &
    Biases, MLflow (the last two need their packages)."""
    init_from: str | None = None
    """A model folder to start from (fine-tuning), with its weights and its tokenizer."""

    def shortened(self, max_updates: int) -> Self:
        """Return the section for a trial of few updates, at most a third of them warm-up."""
        return dataclasses.replace(
            self,
            max_updates=max_updates,
            max_epochs=None,
            warmup_updates=min(self.warmup_updates, max_updates // 3),
        )


@dataclasses.dataclass(frozen=True)
class Config:
    """One run: data, tokenizer, model, training, decoding."""

    data: DataConfig = DataConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()  # noqa: RUF009 (frozen, from another module)
    seed: Seed = 1
    """Seed of all random number generators."""
