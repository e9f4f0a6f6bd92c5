import pytest

pytest.importorskip("optuna")

from pumice.sweep.picture import save_picture
from tests.unit.sweep.test_study import sweep


def test_a_sweep_without_trials_has_empty_panels(tmp_path):
    save_picture(sweep(tmp_path / "study"), tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert "neuron.threshold" in text
    assert "1.0" in text
