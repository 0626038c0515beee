"""Machine translation with two recurrent networks.

import nmt
translator = nmt.load("runs/quickstart")
translator.translate(["Heute liest der Mann ein Buch."], beam_size=5)[0].text
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from nmt.inference.translator import Translator

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(
    path: "str | Path",
    *,
    ensemble: "str | Path | Iterable[str | Path]" = (),
    device: str = "auto",
    precision: str = "auto",
) -> "Translator":
    """Load a model and make a translator of it.

    Args:
        path: a run folder, a bundle folder, or `hf://owner/name`.
        ensemble: another model or several, which predict together with the first, whose defaults
            of the search hold. All must have the same tokenizers.
        device: auto, cpu or cuda.
        precision: auto, fp32, bf16 or int8; auto is int8 where the weights of all models are, else
            fp32.

    Raises:
        BundleError: nothing there, or damaged.
        UsageError: a device that this machine does not have, or models of different tokenizers.
    """
    from nmt.inference.translator import Translator  # torch takes seconds to import

    return Translator.load(path, ensemble=ensemble, device=device, precision=precision)
