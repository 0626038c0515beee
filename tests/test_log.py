"""Where progress is drawn as a bar."""

import importlib.util
import sys
import types

import pytest

from nmt.log import shows_bars


@pytest.mark.parametrize("widgets", [True, False])
def test_a_notebook_shows_bars_where_it_has_widgets(
    monkeypatch: pytest.MonkeyPatch, widgets: bool
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert not shows_bars()
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    spec = importlib.util.spec_from_loader("ipywidgets", None) if widgets else None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    assert shows_bars() is widgets
