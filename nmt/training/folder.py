"""The run folder: detects a run, makes the folder, and writes its files."""

import hashlib
import json
from pathlib import Path

from nmt.config import Config, dump_config, load_stored_config
from nmt.data.corpus import corpus_places
from nmt.errors import UsageError
from nmt.storage import atomic_folder
from nmt.text.lines import open_output, writing_to
from nmt.training.data_module import TranslationData
from nmt.training.environment import environment


def is_run(run: Path, resume: bool) -> bool:
    """Return whether the folder holds a run to resume.

    Raises:
        UsageError: the folder holds something else, or a run although `resume` is False.
    """
    for path in (run, *run.parents):
        if path.exists() and not path.is_dir():
            raise UsageError(f"--run {run}: {path} is a file; choose another folder")
    left = run.iterdir() if run.exists() else iter(())
    if all(path.suffix == ".tmp" for path in left):  # of a start that was killed at once
        return False
    if not (run / "config.yaml").exists() or (run / "bundle.json").exists():  # a bundle has both
        raise UsageError(f"--run {run}: the folder is not a run; choose another folder")
    if not resume:
        raise UsageError(
            f"{run} exists; continue with --resume, or choose another folder with --run"
        )
    return True


def unscored_tests(run: Path, config: Config) -> list[str]:
    """Return the test splits without scores, or with scores of another place than the config's."""
    before = corpus_places(load_stored_config(run / "config.yaml").data)
    return [
        name
        for name, place in corpus_places(config.data).items()
        if name not in ("train", "validation")
        and not ((run / f"scores.{name}.json").exists() and before.get(name) == place)
    ]


def make_folder(run: Path, config: Config, data: TranslationData) -> None:
    """Make the run folder, or its missing files."""
    with writing_to(run):
        path, text = run / "config.yaml", dump_config(config)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)  # first: config.yaml makes the folder a run
        if not (run / "tokenizer").exists():
            with atomic_folder(run / "tokenizer") as folder:
                data.tokenizer.save(folder)
        if not (run / "environment.json").exists():
            begun = environment(data) | {"config": hashlib.sha256(text.encode()).hexdigest()}
            write_text(run / "environment.json", json.dumps(begun, indent=2))


def write_text(path: Path, text: str) -> None:
    """Write a file of a run atomically."""
    with open_output(path) as stream:
        stream.write(text.encode())
