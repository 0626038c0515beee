"""The models of a server: found by name or by pair, and reloaded when their runs improve."""

import os
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nmt.bundle import find_bundle
from nmt.config import SearchOptions
from nmt.errors import UsageError, shorten
from nmt.inference.next_words import Prediction, predict
from nmt.inference.search import Translation
from nmt.inference.translator import Translator
from nmt.log import log
from nmt.model_hub import PREFIX
from nmt.serving.detection import language_name

Line = tuple[str, str]
"""A line of raw text, and the whole words with which its translation begins."""


@dataclass(frozen=True)
class Translate:
    """Work for a `Batcher`: equal instances share model and search settings."""

    translator: Translator
    options: SearchOptions

    def __call__(self, lines: Sequence[Line]) -> list[Translation]:
        """Translate lines as `nmt translate` does."""
        texts, prefixes = zip(*lines, strict=True)
        return self.translator.translate(texts, self.options, prefixes=prefixes)


@dataclass(frozen=True)
class NextWords:
    """Work for a `Batcher`: the likeliest next words; see `nmt.inference.next_words`."""

    translator: Translator
    top: int

    def __call__(self, lines: Sequence[Line]) -> list[Prediction]:
        """Predict the next words after each prefix."""
        return [predict(self.translator, text, prefix, top=self.top) for text, prefix in lines]


class ServedModel:
    """One model, with a translator of its newest version.

    Args:
        path: run folder, bundle folder, or `hf://owner/name`.
        device: auto, cpu or cuda.
        precision: auto, fp32, bf16 or int8.

    Attributes:
        name: the last part of the path.
        reloads: number of times a newer model was loaded.
    """

    def __init__(self, path: str, device: str = "auto", precision: str = "auto"):
        self.path, self.device, self.precision = path, device, precision
        self.reloads, self._fault = 0, ""
        remote = path.startswith(PREFIX)
        self.name = Path(path if remote else os.path.abspath(path)).name
        self._stamp = None if remote else self._stamp_now()
        self.translator = self._load()

    @property
    def pair(self) -> tuple[str, str]:
        """The tags of source and target language."""
        return self.translator.config.data.languages

    def translate(self, settings: dict[str, Any]) -> Translate:
        """Return the work of translating with the newest model; see `Translator.options`."""
        translator = self.translator
        return Translate(translator, translator.options(**settings))

    def describe(self) -> dict[str, Any]:
        """Return the model's public description."""
        source, target = self.pair
        return {
            "name": self.name,
            "source": source,
            "target": target,
            "source_name": language_name(source),
            "target_name": language_name(target),
            "attention": self.translator.stepper.attends,
            "settings": asdict(self.translator.defaults),
        }

    def reload(self) -> None:
        """Load the model again if its folder holds a newer one.

        Requests accepted earlier keep the model they started with. A model that cannot be loaded,
        or that translates another pair, is logged and ignored.
        """
        if self._stamp is None:
            return
        try:
            newer = self._stamp_now()
            if newer == self._stamp:
                return
            self._stamp = newer
            translator = self._load()
            if translator.config.data.languages != self.pair:
                raise UsageError(f"{self.path} now translates another pair; restart the server")
        except Exception as error:  # the thread must go on checking
            known, self._fault = self._fault, shorten(str(error))
            if self._fault != known:
                log.warning("%s stays as it was loaded: %s", self.name, self._fault)
            return
        self.translator, self._fault = translator, ""
        self.reloads += 1
        log.info("%s: loaded the newer model", self.name)

    def _load(self) -> Translator:
        return Translator.load(self.path, device=self.device, precision=self.precision)

    def _stamp_now(self) -> list[tuple[str, int, int]]:
        """Return what changes with any file: a copied bundle arrives file by file."""
        files = [(path, path.stat()) for path in sorted(find_bundle(self.path).iterdir())]
        return [(path.name, status.st_ino, status.st_mtime_ns) for path, status in files]


class Models:
    """The models of a server.

    Args:
        models: at least one; the first model of a language pair is its default.

    Attributes:
        languages: the targets of every language that is source or target, sorted.

    Raises:
        UsageError: two models have the same name.
    """

    def __init__(self, models: Sequence[ServedModel]):
        self.models = list(models)
        names = [model.name for model in models]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise UsageError(f"MODEL: two models are called {twice[0]}; rename one folder")
        self.by_name = {model.name: model for model in models}
        self.by_pair = {model.pair: model for model in reversed(models)}  # the first one counts
        tags = sorted({tag for pair in self.by_pair for tag in pair})
        self.languages = {tag: sorted(t for s, t in self.by_pair if s == tag) for tag in tags}
        self._stop = threading.Event()

    def watch(self, seconds: float) -> None:
        """Reload models whose folders change, in a separate thread, until `stop`."""

        def watch() -> None:
            while not self._stop.wait(seconds):
                for model in self.models:
                    model.reload()

        threading.Thread(target=watch, name="nmt-reload", daemon=True).start()

    def stop(self) -> None:
        """End `watch`."""
        self._stop.set()
