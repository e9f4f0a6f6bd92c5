from functools import partial

import pytest

from pumice.backends import run


@pytest.fixture(params=["reference", "fast"])
def on_reference_and_fast(request, monkeypatch):
    """The module's `run` takes each: what is worked out by hand is the definition's, and the fast backend's, too."""
    monkeypatch.setattr(request.module, "run", partial(run, backend=request.param))
