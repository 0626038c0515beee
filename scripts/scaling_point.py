"""One point of scripts/scaling.py, in a process of its own: POINT as JSON in, figures as JSON out.

The weights are random and the words are numbers, so that the work is known: no translation ends
before its last step, and each has as many tokens as its source.
"""

import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import nmt  # noqa: F401  # sets how OpenMP threads wait, before torch is loaded

# isort: split
import torch

from nmt.bundle import build_model
from nmt.config import Config, DecodingConfig, ModelConfig
from nmt.decoding.stepper import Limits
from nmt.inference.engine import fast_engine
from nmt.inference.translator import Translator
from nmt.memory import tune_memory
from nmt.models.batch import pad
from nmt.models.seq2seq import Seq2Seq
from nmt.text.tokenizer import Tokenizer, Vocabulary

_SPECIAL = 4
_NEVER_ENDS = -1e4
_TINY = {"sentences": 1, "source length": 12, "vocabulary": 50, "hidden size": 16}
_TINY |= {"batch tokens": 12}
_TRAINING = {"label_smoothing": 0.1, "clip_norm": 1.0, "learning_rate": 1e-4}


class Numbers(Vocabulary):
    """A vocabulary whose words are token ids in digits."""

    bos_id, eos_id, unk_id = 2, 3, 1

    def __init__(self, size: int):
        self.size = size

    def __len__(self) -> int:
        return self.size

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text."""
        return [[int(word) for word in text.split()] for text in texts]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each list of token ids."""
        return [" ".join(map(str, row)) for row in ids]

    def is_unknown(self, ids: Sequence[int]) -> bool:
        """Tell that every number is known."""
        return False


def main() -> None:
    """Do the work several times, and print what it took."""
    point = json.loads(sys.argv[1])
    tune_memory()
    torch.manual_seed(1)
    if point["threads"]:
        torch.set_num_threads(point["threads"])
    build(point | _TINY)()  # loads what torch loads late
    before = memory_now()
    work = build(point)
    work()  # the kernels choose their plans
    seconds = median(timed(work) for _ in range(point["repeats"]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sentences = point["sentences"] if point["work"] == "translating" else rows(point)
    tokens = sentences * point["source length"]
    speed = {"seconds": seconds, "tokens": tokens, "tokens_per_second": tokens / seconds}
    print(json.dumps(speed | {"mib": (peak - before) / 2**20}))


def build(point: dict[str, Any]) -> Callable[[], None]:
    """Make the model, and return the work that is to be timed."""
    numbers: Any = Numbers(point["vocabulary"])
    tokenizer = Tokenizer(numbers, numbers)
    model_config = ModelConfig(embedding_size=256, hidden_size=point["hidden size"])
    config = Config(model=model_config, decoding=DecodingConfig(max_source_length=100_000))
    model = build_model(config, tokenizer)
    if point["work"] == "training":
        return training(point, model.train())
    model.decoder.projection.bias.data[Numbers.eos_id] = _NEVER_ENDS
    engine = fast_engine(model.eval(), "fp32")
    return translating(point, Translator(engine, tokenizer, config))


def memory_now() -> int:
    """Return the bytes that this process holds, the libraries' among them."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def timed(work: Callable[[], None]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def translating(point: dict[str, Any], translator: Translator) -> Callable[[], None]:
    """Return what translates the point's sentences, each in as many steps as it has tokens."""
    length = point["source length"]
    draw = random.Random(1)
    words = range(_SPECIAL, point["vocabulary"])
    lines = [
        " ".join(str(draw.choice(words)) for _ in range(length)) for _ in range(point["sentences"])
    ]
    # The limit is ceil(ratio × (length and the end token)) + extra: make it the length itself.
    ratio = (length - Limits.extra_length - 0.5) / (length + 1)
    options = {"max_length_ratio": ratio, "batch_size": point["batch size"]}

    def work() -> None:
        found = translator.translate(lines, beam_size=point["beam size"], **options)
        # The last step writes the end token.
        assert all(len(one.text.split()) == length - 1 for one in found)

    return work


def rows(point: dict[str, Any]) -> int:
    """Return the sentences of one update."""
    return max(1, int(point["batch tokens"]) // int(point["source length"]))


def training(point: dict[str, Any], model: Seq2Seq) -> Callable[[], None]:
    """Return what makes one update of random sentences, all of the point's length."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=_TRAINING["learning_rate"], fused=True)
    length = point["source length"]
    ids = torch.randint(_SPECIAL, point["vocabulary"], (2, rows(point), length)).tolist()
    source = pad(ids[0])
    target = pad([[Numbers.bos_id, *row] for row in ids[1]])

    def work() -> None:
        loss = model.loss(source, target, _TRAINING["label_smoothing"])
        (loss / (len(ids[0]) * length)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _TRAINING["clip_norm"])
        optimizer.step()
        optimizer.zero_grad()

    return work


if __name__ == "__main__":
    main()
