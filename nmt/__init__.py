"""Machine translation with two recurrent networks.

import nmt
translator = nmt.load("runs/quickstart")
translator.translate(["Heute liest der Mann ein Buch."], beam_size=5)[0].text
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmt.inference.translator import Translator

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(path: str, *, device: str = "auto", precision: str = "auto") -> "Translator":
    """Load a model and make a translator of it.

    Args:
        path: a run folder, a bundle folder, or `hf://owner/name`.
        device: auto, cpu or cuda.
        precision: auto, fp32 or bf16.

    Raises:
        BundleError: nothing there, or damaged.
        UsageError: a device that this machine does not have.
    """
    from nmt.inference.translator import Translator  # torch takes seconds to import

    return Translator.load(path, device=device, precision=precision)
