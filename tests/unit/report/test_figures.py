import base64
from dataclasses import replace

import numpy as np
import pytest

from pumice.report.figures import confusion, firing_rates, learning_curve, raster
from pumice.train import EpochRecord


def record(phase, epoch):
    return EpochRecord(phase, epoch, 0.5 / epoch, 0.9, 0.8, {})


def test_the_confusion_lists_mistakes():
    made = confusion(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), ("a", "b", "c"))
    assert made.alt == "Confusion matrix of 4 samples; mistakes: b as c 1 times."
    assert "1 of them mistaken" in made.caption
    assert base64.b64decode(made.uri.partition(",")[2]).startswith(b"<?xml")


@pytest.mark.parametrize("n_finetune", [0, 2])
def test_learning_curves_of_one_or_two_phases(n_finetune):
    history = (record("float", 1), record("float", 2), *(record("finetune", i + 1) for i in range(n_finetune)))
    made = learning_curve(history)
    assert f"over {2 + n_finetune} epochs" in made.alt
    assert f"{n_finetune} more" in made.caption


@pytest.mark.lava
def test_rates_and_raster_describe_the_run(tiny_result):
    rates = firing_rates(tiny_result)
    raster_picture = raster(tiny_result, sample=1)
    for name in tiny_result.on_test.records:
        assert name in rates.alt
        assert name in raster_picture.alt
    assert base64.b64decode(raster_picture.uri.partition(",")[2]).startswith(b"\x89PNG")
    assert f"answered “{tiny_result.predictions[1]}”" in raster_picture.caption


@pytest.mark.lava
def test_a_raster_of_numbers_is_not_called_spikes(tiny_result):
    shown = tiny_result.on_test
    last = list(shown.records)[-1]
    record = shown.records[last]
    numbers = {**shown.records, last: replace(record, s=np.where(record.s > 0, -3, -1))}
    made = raster(replace(tiny_result, on_test=replace(shown, records=numbers)), sample=1)
    assert f"{last} values -" in made.alt
