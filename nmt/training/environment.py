"""The conditions of a run: seed, data, versions and machine, needed to reproduce its model."""

import dataclasses
import os
import platform
from importlib.metadata import version
from typing import Any

import torch

import nmt
from nmt.data.scan import text_fingerprint
from nmt.training.data_module import TranslationData
from nmt.training.distributed import world_size

_PACKAGES = ("torch", "lightning", "datasets", "sentencepiece", "sacrebleu", "numpy")


def environment(data: TranslationData) -> dict[str, Any]:
    """Return seed, fingerprints of the data, versions and machine, as plain values."""
    distill = data.config.data.distill
    taught = vars(distill) | {"teacher": data.teachers} if data.teachers else None
    return {
        "seed": data.config.seed,
        "data": dataclasses.asdict(data.pairs.facts)
        | {
            "train": data.fingerprint,
            "validation": text_fingerprint(data.held_out["validation"]),
            "tokenizer": data.tokenizer.fingerprint,
            "weights": [weight for _, weight in data.pairs.weights or ()],
            "distill": taught,
        },
        "versions": {"python": platform.python_version(), "nmt": nmt.__version__}
        | {name: version(name) for name in _PACKAGES},
        "machine": {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "processes": world_size(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }
