"""Train a recipe, which scores it on test, and compare with its figure.

A recipe is a config with a line such as `# figure: de-en test BLEU 24.3 ± 0.4` for each language
pair: BLEU with the config's search, the mean over seeds and their standard deviation, or for one
seed the bootstrap's. A run meets the figure if it lies at most two standard deviations below.
Where the recipe names a teacher `runs/NAME`, `configs/NAME.yaml` is trained first, as that recipe
says, on the same data and device: students of several seeds have one teacher. A teacher given by
`--data.distill.teacher` is taken as it is.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from nmt.config import load_config
from nmt.errors import NmtError

_MACHINE = ("device", "devices", "precision", "threads", "workers")
"""Keys of `training` that say where it runs."""


class Figure(NamedTuple):
    """What a recipe promises: BLEU on a test split, and its standard deviation."""

    split: str
    bleu: float
    deviation: float


def figure_of(config: Path, pair: str) -> Figure:
    """Read a language pair's figure in a recipe's comments."""
    rule = rf"^# figure: {pair} (\w+) BLEU ([\d.]+) ± ([\d.]+)"
    found = re.search(rule, config.read_text(encoding="utf-8"), re.M)
    if found is None:
        sys.exit(f"reproduce: {config} has no line such as '# figure: {pair} test BLEU 24.3 ± 0.4'")
    return Figure(found[1], float(found[2]), float(found[3]))


def train(config: Path, run: Path, keys: list[str]) -> None:
    """Train a recipe, its teachers first."""
    named = load_config(config, keys).data.distill.teachers
    teachers = list(named)
    given = any(word.startswith("--data.distill.teacher") for word in keys)
    for number, teacher in enumerate(() if given else named):
        recipe = config.parent / f"{Path(teacher).name}.yaml"
        ours = Path(teacher).parent == Path("runs") and recipe != config
        if ours and recipe.exists():
            teachers[number] = f"{teacher}-{pair_of(config, keys)}"
            train(recipe, Path(teachers[number]), _teacher_keys(keys))
    if teachers != named:
        keys = [*keys, "--data.distill.teacher", json.dumps(teachers)]
    nmt("train", str(config), "--run", str(run), "--resume", *keys)


def pair_of(config: Path, keys: list[str]) -> str:
    """Return the languages of a recipe, such as de-en."""
    data = load_config(config, keys).data
    return f"{data.source_language}-{data.target_language}"


def _teacher_keys(keys: list[str]) -> list[str]:
    """Keep the keys of the data and of the machine, with their values; others are a student's."""
    kept: list[str] = []
    keep = False
    for word in keys:
        if word.startswith("--"):
            keep = word.partition("=")[0].removeprefix("--training.") in _MACHINE or (
                word.startswith("--data.") and not word.startswith("--data.distill")
            )
        if keep:
            kept.append(word)
    return kept


def nmt(*words: str) -> None:
    """Run a command, and stop where it fails."""
    print("$ nmt", *words, flush=True)
    try:
        done = subprocess.run([sys.executable, "-m", "nmt", *words])
    except KeyboardInterrupt:  # the command has said what it has to say
        sys.exit(130)
    if done.returncode != 0:
        sys.exit(done.returncode)


def main() -> int:
    """Reproduce, and say whether the figure was met: exit code 0 if it was."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--run", type=Path, help="run folder (default: runs/STEM-PAIR)")
    arguments, keys = parser.parse_known_args()
    config: Path = arguments.config
    if not config.is_file():
        sys.exit(f"reproduce: there is no config {config}")
    try:
        pair = pair_of(config, keys)
    except NmtError as error:
        sys.exit(f"reproduce: {error}")
    run: Path = arguments.run or Path("runs") / f"{config.stem}-{pair}"
    figure = figure_of(config, pair)
    train(config, run, keys)
    scores = json.loads((run / f"scores.{figure.split}.json").read_bytes())
    score: float = scores["bleu"]["score"]
    gap = score - figure.bleu
    met = gap >= -2 * figure.deviation
    print(
        f"{'met' if met else 'NOT met'}: {figure.split} BLEU {score:.2f}; the figure is "
        f"{figure.bleu:.2f} ± {figure.deviation:.2f} ({gap:+.2f})"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
