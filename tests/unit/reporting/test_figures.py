import pytest

from pumice.reporting.figures import draw_learning_curve
from pumice.train import EpochRecord


@pytest.mark.parametrize("n_finetune", [0, 2])
def test_curves_of_one_or_two_phases(n_finetune):
    phases = ["float", "float", *["finetune"] * n_finetune]
    history = tuple(EpochRecord(phase, i, 0.5 / i, 0.9, 0.8, {}) for i, phase in enumerate(phases, 1))
    left, right = draw_learning_curve(history).axes
    assert [len(line.get_xdata()) for line in (*left.lines, *right.lines)] == [len(phases)] * 3
    assert right.lines[1].get_ydata()[0] == pytest.approx(20)
    assert bool(left.texts) == bool(n_finetune)
