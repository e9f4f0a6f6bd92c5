import pytest
import torch

from pumice import nn
from pumice.errors import InputError
from pumice.models import MODEL_NAMES, build_model, convnet
from pumice.quantization import quantize_

PARAMS = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": nn.TDBN}


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((1, 8, 8), {}),
        ((2, 5, 7), {"channels": [3, 4, 5], "strides": [2, 1, 2]}),
        ((1, 9, 6), {"channels": [3], "strides": [3], "kernel_size": 5}),
    ],
)
def test_sizes_fit_for_any_image(shape, options):
    model = convnet(PARAMS, shape, 4, **options)
    spikes = model(torch.ones(2, *shape, 3))
    assert spikes.shape == (2, 4, 3)
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}
    model.eval()
    quantize_(model, torch.ones(2, *shape, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": []}, "equally many"),
        ({"channels": [4], "strides": [1, 2]}, "equally many"),
        ({"channels": [0], "strides": [1]}, ">= 1"),
        ({"kernel_size": 4}, "odd"),
    ],
)
def test_arguments_that_make_no_network(options, message):
    with pytest.raises(InputError, match=message):
        convnet(PARAMS, (1, 8, 8), 10, **options)


def test_the_callers_parameters_stay_as_they_are():
    before = dict(PARAMS)
    build_model("convnet", PARAMS, (1, 8, 8), 10)
    assert before == PARAMS


def test_unknown_models_and_arguments():
    assert {"convnet", "feedforward", "resnet"} <= set(MODEL_NAMES)
    with pytest.raises(InputError, match="there are: convnet"):
        build_model("vgg", PARAMS, (1, 8, 8), 10)
    with pytest.raises(InputError, match="its arguments are: channels, strides, kernel_size"):
        build_model("convnet", PARAMS, (1, 8, 8), 10, depth=3)
