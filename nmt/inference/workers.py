"""Translates with several processes, each with a model of its own."""

import functools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nmt.bundle import FILES, find_bundle
from nmt.config import SearchOptions
from nmt.inference.search import Translation
from nmt.inference.threads import by_row
from nmt.inference.translator import Translator
from nmt.memory import tune_memory
from nmt.processes import WorkerPool


@dataclass(frozen=True)
class ModelCopy:
    """A model or an ensemble, for other processes; all get the same, even if training replaces it.

    Attributes:
        bundles: the files of each bundle, by name.
        device: auto, cpu or cuda.
        precision: auto, fp32, bf16 or int8.
        threads: CPU threads of a process.
    """

    bundles: Sequence[Mapping[str, bytes]]
    device: str
    precision: str
    threads: int

    @classmethod
    def of(cls, models: Sequence[str], device: str, precision: str, threads: int) -> "ModelCopy":
        """Read the files of bundles.

        Raises:
            BundleError: a bundle is missing.
        """
        bundles = [_files(find_bundle(model)) for model in models]
        return cls(bundles, device, precision, threads)

    @functools.cached_property
    def translator(self) -> Translator:
        """The loaded copy; loading sets this process's threads and memory for it."""
        tune_memory(search=True)
        torch.set_num_threads(self.threads)
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, str(number)) for number in range(len(self.bundles))]
            for path, files in zip(paths, self.bundles, strict=True):
                path.mkdir()
                for name, data in files.items():
                    (path / name).write_bytes(data)
            return Translator.load(
                paths[0], ensemble=paths[1:], device=self.device, precision=self.precision
            )


def _files(folder: Path) -> dict[str, bytes]:
    """Read the files of one bundle, again if training replaces it meanwhile."""
    while True:
        files = {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}
        if (folder / FILES[0]).read_bytes() == files[FILES[0]]:
            return files


Share = tuple[list[str], list[str], SearchOptions]
"""Sentences, their prefixes, and the options of the search."""


class TranslatorPool(WorkerPool[Share, list[Translation]]):
    """Translates as `Translator.translate` does, with several processes.

    Args:
        model: what each process loads, when it translates for the first time.
        workers: number of processes.
    """

    def __init__(self, model: ModelCopy, workers: int):
        super().__init__(functools.partial(_translate, model), workers)

    def translate(
        self, sentences: Sequence[str], options: SearchOptions, *, prefixes: Sequence[str]
    ) -> list[Translation]:
        """Translate sentences; see `Translator.translate`.

        Raises:
            NmtError: a worker died.
        """
        ordered = sorted(range(len(sentences)), key=lambda row: -len(sentences[row]))
        fair = -(-len(ordered) // self.workers)
        size = max(1, min(4 * options.batch_size, fair))
        shares = [ordered[start : start + size] for start in range(0, len(ordered), size)]
        work = (
            ([sentences[row] for row in rows], [prefixes[row] for row in rows], options)
            for rows in shares
        )
        translations = dict(by_row(shares, self.map(work)))
        return [translations[row] for row in range(len(sentences))]


def _translate(model: ModelCopy, share: Share) -> list[Translation]:
    """Translate a share of the sentences in a worker."""
    sentences, prefixes, options = share
    return model.translator.translate(sentences, options, prefixes=prefixes)
