"""A map of sentences: what is handed over of each, on a plane."""

from collections.abc import Sequence

from nmt.bundle import Bundle
from nmt.diagnosis.components import principal_components
from nmt.diagnosis.handed_over import handed_over
from nmt.diagnosis.records import StateMap, StatePoint
from nmt.errors import DataError


def state_map(bundle: Bundle, sentences: Sequence[str]) -> StateMap:
    """Project what is handed over of sentences on its first two principal components.

    Args:
        bundle: the model.
        sentences: raw source text; at least three that differ to the model.

    Raises:
        DataError: fewer.
        NmtError: the model gives no numbers.

    Source: Sutskever et al. 2014, figure 2.
    """
    handed = handed_over(bundle, sentences)
    if len(handed.vectors) < 3:
        raise DataError(
            f"a map needs at least 3 different sentences, and there are {len(handed.vectors)}"
        )
    components = principal_components(handed.vectors)
    places = components.coordinates(handed.vectors, 2).tolist()
    return StateMap(
        [StatePoint(text, *places[row]) for text, row in zip(sentences, handed.order, strict=True)],
        components.explained[:2].tolist(),
    )
