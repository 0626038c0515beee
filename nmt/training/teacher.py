"""The teacher models whose translations a student learns from: their checks and their hashes."""

from nmt.bundle import find_bundle, load_bundle
from nmt.config import DataConfig, DistillConfig
from nmt.errors import ConfigError, DataError, naming_key
from nmt.inference.loading import misfit
from nmt.inference.translator import Translator
from nmt.reading import sha256


def teachers_of(config: DataConfig) -> list[str]:
    """Check every teacher by loading it, and return the SHA-256 of its `bundle.json`.

    Args:
        config: the `data` section.

    Raises:
        BundleError: a model is missing or damaged.
        ConfigError: a model translates between other languages, or its beam is too small.
    """
    distill = config.distill
    if not distill.teachers:
        return []
    with naming_key("data.distill.teacher"):
        bundles = {name: load_bundle(name) for name in distill.teachers}
    first = next(iter(bundles))
    for name, bundle in bundles.items():
        if wrong := misfit(bundles[first], bundle):
            raise ConfigError(f"data.distill.teacher: {first} and {name} {wrong}")
        theirs = bundle.config.data.languages
        if theirs != config.languages:
            raise ConfigError(
                f"data.distill.teacher: {name} translates {theirs[0]} → {theirs[1]}, not "
                f"{config.source_language} → {config.target_language}; choose another"
            )
    beam_size = bundles[first].config.decoding.beam_size
    if distill.beam_size is None and distill.n_best > beam_size:
        raise ConfigError(
            f"data.distill.n_best: {distill.n_best} exceeds the beam: that of {first} holds "
            f"{beam_size}; give data.distill.beam_size of at least {distill.n_best}"
        )
    return _hashes(distill)


def load_teacher(distill: DistillConfig, device: str, teachers: list[str]) -> Translator:
    """Load the teacher as one translator.

    Args:
        distill: names the models.
        device: auto, cpu or cuda.
        teachers: hashes from `teachers_of`.

    Raises:
        BundleError: a model is missing or damaged.
        DataError: a model has changed since its hash was taken.
    """
    first, *others = distill.teachers
    with naming_key("data.distill.teacher"):
        translator = Translator.load(first, ensemble=others, device=device)
        now = _hashes(distill)
    for name, before, after in zip(distill.teachers, teachers, now, strict=True):
        if before != after:
            raise DataError(
                f"data.distill.teacher: {name} has changed since the run began; put the old model "
                "back, or choose another folder with --run"
            )
    return translator


def _hashes(distill: DistillConfig) -> list[str]:
    return [sha256(find_bundle(name) / "bundle.json") for name in distill.teachers]
