import numpy as np
import pytest
import torch

import pumice
from pumice.data import load_digits
from pumice.errors import InputError, LoweringError
from pumice.models import self_normalizing
from pumice.train import PRESETS, load_checkpoint, restore, train

SMALL = [
    "data.max_train=200",
    "training.batch_size=20",
    "training.lr=0.01",
    "network.args.layers=3",
    "network.args.width=32",
    "training.epochs=2",
]


def test_the_presets_pixels_are_standardized():
    """Its two numbers are those of the training split; the test split's, or all pixels', are others."""
    data, args = load_digits(), PRESETS["digits-selu"].network.args
    assert args["mean"] == pytest.approx(data.train.images.mean(), abs=1e-3)
    assert args["deviation"] == pytest.approx(data.train.images.std(), abs=1e-3)
    seen = []
    net = self_normalizing((1, 8, 8), 10, mean=args["mean"], deviation=args["deviation"])
    net.network.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    net(torch.tensor(data.train.images[..., None], dtype=torch.float32))
    assert abs(seen[0].mean().item()) < 1e-3
    assert seen[0].std().item() == pytest.approx(1, abs=1e-3)


def test_each_step_and_each_pixel_is_its_own():
    net = self_normalizing((1, 2, 3), 4, layers=1, width=8, mean=range(6), deviation=[1, 2, 3, 4, 5, 6]).eval()
    x = torch.randn(2, 1, 2, 3, 5)
    y = net(x)
    assert y.shape == (2, 4, 5)
    standardized = (x[1, ..., 3].flatten() - torch.arange(6)) / torch.arange(1, 7)
    torch.testing.assert_close(y[1, :, 3], net.network(standardized))


def test_it_trains_by_name_resumes_bit_for_bit_and_is_evaluated(tmp_path):
    recipe, digits = PRESETS["digits-selu"].overridden(SMALL), load_digits()
    whole = train(recipe, digits, checkpoint_path=tmp_path / "whole" / "c.pt")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, digits, checkpoint_path=tmp_path / "cut.pt", on_epoch=_interrupt)
    cut = load_checkpoint(tmp_path / "cut.pt")
    assert len(cut.history) == 1
    resumed = train(recipe, digits, checkpoint_path=tmp_path / "cut.pt", resume_from=cut)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    again = restore(load_checkpoint(tmp_path / "cut.pt"), digits)
    assert again.test_accuracy() == whole.accuracy_float > 0.3
    assert again.accuracy_deployed is None


def _interrupt(_record):
    raise KeyboardInterrupt


def test_it_is_not_lowered_and_says_why():
    message = r"^the model is no spiking network \(Linear, SELU.*\): it calls no block that can be lowered; use "
    with pytest.raises(LoweringError, match=message) as caught:
        pumice.lower(self_normalizing((1, 8, 8), 10), torch.ones(1, 1, 8, 8, 2))
    assert "\n" not in str(caught.value)


def test_integers_that_it_does_not_have_are_not_fine_tuned():
    """Refused before the first epoch; a spiking network is not."""
    recipe = PRESETS["digits-selu"].overridden([*SMALL, "training.finetune_epochs=3"])
    with pytest.raises(
        InputError, match=r"finetune_epochs=3: self_normalizing is no spiking .*set training.finetune_epochs=0"
    ):
        train(recipe, load_digits(), on_batch=lambda: pytest.fail("trained all the same"))


def test_conic_widths_fall_and_rectangular_ones_do_not():
    def widths(form):
        net = self_normalizing((1, 8, 8), 10, layers=7, width=160, form=form)
        return np.array([layer.out_features for layer in net.network.layers if isinstance(layer, torch.nn.Linear)])

    assert (np.diff(widths("conic")) < 0).all()
    assert widths("conic")[[0, -1]].tolist() == widths("rectangular")[[0, -1]].tolist() == [160, 10]
    assert set(widths("rectangular")[:-1]) == {160}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "round"}, "form must be one of rectangular, conic, got 'round'"),
        ({"layers": 0}, "layers must be a whole number >= 1, got 0"),
        ({"deviation": 0.0}, "deviation must be > 0"),
        ({"deviation": [1.0, 2.0]}, "deviation must be one number or 64, one per pixel, got 2"),
        ({"dropout": 1.5}, "dropout must be >= 0 and < 1, got 1.5"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        self_normalizing((1, 8, 8), 10, **options)
