"""What the models refuse."""

import pytest
import torch

from pumice import nn
from pumice.errors import InputError
from pumice.models import build_model
from pumice.models.membrane_readout import MembraneReadout

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": nn.TDBN}
SMALL = {
    "convnet": {"channels": [4], "strides": [2]},
    "feedforward": {"layers": "8"},
    "resnet": {"layers": 18, "width": 1 / 16},
    "self_normalizing": {"layers": 2, "width": 8},
    "stmixer": {"embed_dim": 16, "depth": 1, "heads": 2},
}


def build(name, params=LIF, image=(1, 8, 8), n_classes=3, **options):
    return build_model(name, params, image, n_classes, **{**SMALL[name], **options})


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image": (8, 8)}, r"image_shape must be \(channel, height, width\), each >= 1, got \(8, 8\)"),
        ({"image": (1, 8, 0)}, r"image_shape must .* each >= 1, got \(1, 8, 0\)"),
        ({"n_classes": 0}, "n_classes must be a whole number >= 1, got 0"),
    ],
)
def test_every_model_refuses_wrong_sizes(name, wrong, message):
    with pytest.raises(InputError, match=f"^{name}: {message}"):
        build(name, **wrong)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: build("stmixer", params={"voltage_decay": 0.5}),
            "neuron_params must have threshold, .* got voltage",
        ),
        (lambda: build("stmixer", downsampling=-1), "stmixer: downsampling must be a whole number >= 1, got -1"),
        (lambda: build("stmixer", embed_dim=0), "stmixer: embed_dim must be a whole number >= 1, got 0"),
        (lambda: build("stmixer", embed_dim=-8), "stmixer: embed_dim .* got -8"),
        (lambda: build("stmixer", heads=0), "stmixer: heads"),
        (lambda: build("stmixer", expansion=0), "stmixer: expansion"),
        (lambda: build("stmixer", heads=3), "3 heads do not divide 16 channels; use 1, 2, 4, 8 or 16"),
        (lambda: build("stmixer", image=(1, 6, 8)), "image of 6 x 8; use another downsampling, or pad the images"),
        (lambda: build("stmixer", surrogate_activation="relu"), "surrogate_activation must be one of gelu, selu"),
        (
            lambda: build("resnet", params={"voltage_decay": 0.5}),
            "neuron_params must have threshold, .* got surrogate",
        ),
        (lambda: build("resnet", params={**LIF, "norm": "tdbn"}), "must be nn.TDBN, a partial of it, or None"),
        (lambda: build("resnet", stem_channels=0), "resnet: stem_channels must be a whole number >= 1, got 0"),
        (lambda: build("resnet", width=0.001), "width 0.001 leaves nothing of 64 channels; use more than 0.0078125"),
        (
            lambda: build("feedforward", thresholds=[float("inf"), 1.0]),
            "thresholds must be 2 finite numbers > 0, one for",
        ),
        (
            lambda: build("feedforward", weight_scale=float("inf")),
            "weight_scale must be 2 finite numbers > 0, one for",
        ),
        (lambda: MembraneReadout(0, 3), "IdentitySynapse: channels"),
        (lambda: MembraneReadout(4, 0), "LinearReadout: n_classes"),
        (lambda: MembraneReadout(4, 3)(torch.ones(1, 5, 6)), "make it for 5 channels"),
    ],
)
def test_wrong_use_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
