"""One measurement of scripts/benchmark.py in a process of its own: our engine or a peer's.

Each peer runs with the Python of an environment that has it, and from pieces to pieces; ours goes
from raw text to raw text. One thread. Translations are written to OUT, and the last line printed is
JSON: `cpu` and `wall`, seconds without loading and warming up, and `peak_mib`.

Usage: benchmark_engines.py nmt | marian | ctranslate2 | opennmt MODEL SOURCE OUT SETTINGS
SETTINGS is JSON. nmt: `precision` and fields of `SearchOptions`. The peers: `beam_size`, and
`batch_size`. MODEL is a bundle; a folder with `model.npz` (or `model.bin`, converted to int8) and
`vocab.yml`; a folder of CTranslate2's; a checkpoint of OpenNMT-py.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Translate = Callable[[list[str]], list[str]]
_WARM_UP = 64
"""Lines translated before the clock starts."""


def nmt(model: str, settings: dict[str, Any]) -> Translate:
    """Load one of our models."""
    from nmt.memory import tune_memory

    tune_memory(search=True)  # as the command does
    import torch

    import nmt

    torch.set_num_threads(1)
    translator = nmt.load(model, precision=settings.pop("precision"), device="cpu")
    return lambda lines: [one.text for one in translator.translate(lines, **settings)]


def marian(model: str, settings: dict[str, Any]) -> Translate:
    """Load a model of Marian's."""
    from pymarian import Translator

    files = [Path(model) / name for name in ("model.bin", "model.npz")]
    file = next(path for path in files if path.exists())
    vocabulary = str(Path(model) / "vocab.yml")
    options = {"mini_batch": settings["batch_size"], "maxi_batch": 100, "maxi_batch_sort": "src"}
    translator = Translator(
        models=[str(file)],
        vocabs=[vocabulary] * 2,
        beam_size=settings["beam_size"],
        normalize=1,
        max_length_factor=2,
        cpu_threads=1,
        quiet=True,
        **options,
    )
    return lambda lines: list(translator.translate(lines))


def ctranslate2(model: str, settings: dict[str, Any]) -> Translate:
    """Load a model of CTranslate2's, in int8."""
    from ctranslate2 import Translator

    translator = Translator(model, compute_type="int8", inter_threads=1, intra_threads=1)
    options = {"beam_size": settings["beam_size"], "max_batch_size": settings["batch_size"]}

    def translate(lines: list[str]) -> list[str]:
        results = translator.translate_batch([line.split(" ") for line in lines], **options)
        return [" ".join(result.hypotheses[0]) for result in results]

    return translate


def opennmt(model: str, settings: dict[str, Any]) -> Translate:
    """Load a checkpoint of OpenNMT-py's."""
    from benchmark_peer import load_engine

    engine = load_engine(model, settings["beam_size"], settings["batch_size"], "cpu")
    return lambda lines: [best[0] for best in engine.infer_list(lines)[1]]


def main() -> None:
    """Load, warm up, translate, and print the figures."""
    engine, model, source, out, settings = sys.argv[1:]
    translate = globals()[engine](model, json.loads(settings))
    with open(source, encoding="utf-8", newline="\n") as stream:
        lines = stream.read().split("\n")[:-1]
    translate(lines[:_WARM_UP])
    cpu, wall = time.process_time(), time.perf_counter()
    found = translate(lines)
    seconds = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    with open(out, "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{text}\n" for text in found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(seconds | {"peak_mib": peak}))


if __name__ == "__main__":
    main()
