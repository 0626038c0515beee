"""A map of sentences: the decoder's inputs of each, projected onto a plane."""

from collections.abc import Sequence

from nmt.bundle import Bundle
from nmt.diagnosis.components import principal_components
from nmt.diagnosis.decoder_inputs import decoder_inputs
from nmt.diagnosis.records import StateMap, StatePoint
from nmt.errors import DataError


def state_map(bundle: Bundle, sentences: Sequence[str]) -> StateMap:
    """Project the decoder's inputs of sentences onto their first two principal components.

    Args:
        bundle: the model.
        sentences: raw source text; at least three of different token ids.

    Raises:
        DataError: fewer sentences.
        NmtError: the encoder's states are not finite.

    Source: Sutskever et al. 2014, figure 2.
    """
    inputs = decoder_inputs(bundle, sentences)
    if len(inputs.vectors) < 3:
        raise DataError(
            f"the split has {len(inputs.vectors)} different sentences; a map needs at least 3"
        )
    components = principal_components(inputs.vectors)
    coordinates = components.coordinates(inputs.vectors, 2).tolist()
    return StateMap(
        [
            StatePoint(text, *coordinates[row])
            for text, row in zip(sentences, inputs.order, strict=True)
        ],
        components.explained[:2].tolist(),
    )
