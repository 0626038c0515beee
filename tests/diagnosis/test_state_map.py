"""The map against numpy's singular values."""

from typing import Any

import numpy as np
import pytest
import torch

from nmt.diagnosis.state_map import principal_components, state_map
from nmt.errors import NmtError
from nmt.models.batch import pad
from tests.diagnosis.made import OPTIONS, PAIRS, TOKENIZER, made

SENTENCES = [source for source, _ in PAIRS]


@torch.no_grad()
def handed_alone(bundle: Any, source: str) -> np.ndarray:
    """What the decoder is given of a sentence, read by itself."""
    ids = [*TOKENIZER.source.encode([source])[0], TOKENIZER.source.eos_id]
    handed = bundle.model.bridge(bundle.model.encoder(pad([ids])))
    parts = [handed.state.hidden[:, 0].flatten()]
    if handed.state.cell is not None:
        parts.append(handed.state.cell[:, 0].flatten())
    if bundle.config.model.feed_context:
        parts.append(handed.context[0])
    return torch.cat(parts).double().numpy()


@pytest.mark.parametrize("settings", OPTIONS, ids=str)
def test_the_map_is_numpys(settings: dict[str, Any]) -> None:
    bundle = made(**settings)
    found = state_map(bundle, [*SENTENCES, SENTENCES[0]])  # one of them twice
    vectors = np.stack([handed_alone(bundle, source) for source in SENTENCES])
    centred = vectors - vectors.mean(axis=0)
    _, spread, directions = np.linalg.svd(centred, full_matrices=False)
    for axis in range(2):
        largest = np.abs(directions[axis]).argmax()
        expected = centred @ directions[axis] * np.sign(directions[axis, largest])
        places = [(point.x, point.y)[axis] for point in found.points]
        np.testing.assert_allclose(places[:-1], expected, atol=2e-3 * spread[0])
        assert places[-1] == places[0]
        share = spread[axis] ** 2 / (spread**2).sum()
        assert found.explained[axis] == pytest.approx(share, abs=1e-4)
    assert [point.text for point in found.points[:-1]] == SENTENCES


def test_all_components_together_are_the_vectors_and_none_is_their_mean() -> None:
    vectors = torch.randn(6, 9, generator=torch.Generator().manual_seed(1))
    found = principal_components(vectors)
    torch.testing.assert_close(found.cut(vectors, 6), vectors)
    torch.testing.assert_close(found.cut(vectors, 0), vectors.mean(dim=0).expand(6, -1))
    lost = [(found.cut(vectors, number) - vectors).norm().item() for number in range(6)]
    assert lost == sorted(lost, reverse=True)
    assert principal_components(torch.ones(4, 3)).explained.tolist() == [0, 0, 0]


def test_two_different_sentences_have_no_map_and_a_damaged_model_is_refused() -> None:
    bundle = made()
    assert state_map(bundle, ["Ein Hund.", "Eine Katze.", "Ein  Hund."]) is None
    bundle.model.encoder.embedding.weight.data.fill_(float("nan"))
    with pytest.raises(NmtError, match="not finite"):
        state_map(bundle, SENTENCES)
