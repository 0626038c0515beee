"""Train a recipe, which scores it on test, and compare with its figure.

A recipe is a config with a line such as `# figure: de-en test BLEU 24.3 ± 0.4` for each language
pair: BLEU with the config's search, the mean over seeds and their standard deviation, or for one
seed the bootstrap's. A run meets the figure if it lies at most two standard deviations below.
Where the recipe learns from a teacher `runs/NAME`, `configs/NAME.yaml` is trained first, for the
same pair and with the seed of that recipe: students of several seeds have one teacher.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from nmt.config import load_config


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
    for number, teacher in enumerate(named):
        recipe = config.parent / f"{Path(teacher).name}.yaml"
        # A bundle, here or on the hub, is there already.
        made = teacher.startswith("hf://") or (Path(teacher) / "bundle.json").exists()
        if recipe.exists() and recipe != config and not made:
            teachers[number] = f"{teacher}-{pair_of(config, keys)}"
            train(recipe, Path(teachers[number]), _without_students(keys))
    if teachers != named:
        keys = [*keys, "--data.distill.teacher", json.dumps(teachers)]
    nmt("train", str(config), "--run", str(run), "--resume", *keys)


def pair_of(config: Path, keys: list[str]) -> str:
    """Return the languages of a recipe, such as de-en."""
    data = load_config(config, keys).data
    return f"{data.source_language}-{data.target_language}"


def _without_students(keys: list[str]) -> list[str]:
    """Leave out the keys that only a student knows and its seed, with their values."""
    kept: list[str] = []
    students = False
    for word in keys:
        if word.startswith("--"):
            students = word.startswith("--data.distill") or word.partition("=")[0] == "--seed"
        if not students:
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
    pair = pair_of(config, keys)
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
