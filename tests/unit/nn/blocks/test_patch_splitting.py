import pytest
import torch

from pumice import nn
from pumice.errors import InputError

LIF = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}


def split(channels=16, downsampling=2, **options):
    return nn.SpikingPatchSplitting(
        3, channels, downsampling, lambda: nn.Neurons(LIF), lambda: nn.TDBN(threshold=1.0), **options
    )


@pytest.mark.parametrize(
    ("downsampling", "channels", "main", "short"), [(2, 384, 336, 48), (4, 768, 672, 96), (4, 256, 224, 32)]
)
def test_the_papers_shapes(downsampling, channels, main, short):
    """Oracle 4e; the image is divided by the strides alone."""
    made = split(channels, downsampling)
    assert (made.convs[-1].out_channels, made.short.out_channels) == (main, short)
    assert [c.out_channels for c in made.convs[:-1]] == [channels // n for n in (8, 4, 2, 1)]
    assert [c.stride[0] for c in made.convs] == [1] * (5 - downsampling) + [2] * downsampling
    assert made.short.weight.shape[2:4] == (made.patch, made.patch) == made.short.stride


@pytest.mark.parametrize(("image", "downsampling", "tokens"), [(32, 2, 64), (224, 4, 196), (128, 4, 64)])
def test_the_papers_tokens(image, downsampling, tokens):
    """Oracle 4e, with few channels; both paths give as many."""
    made = split(8, downsampling)
    x = torch.ones(1, 3, image, image, 1)
    assert made(x).value[0, 0].numel() == tokens
    assert made.short(x)[0, 0].numel() == tokens


def test_the_short_path_is_linear_in_the_image():
    made = split().eval()
    x = torch.randint(0, 9, (2, 3, 8, 8, 3)).float()
    one, two = made(x).value[:, :2], made(2 * x).value[:, :2]
    torch.testing.assert_close(two, 2 * one)
    assert one.abs().sum() > 0


def test_only_the_first_convolution_and_the_short_path_see_the_image():
    x = torch.randint(0, 9, (2, 3, 8, 8, 3)).float()
    seen = []
    made = split()
    for synapse in [*made.convs, made.short]:
        synapse.register_forward_pre_hook(lambda synapse, args: seen.append((synapse, bool((args[0] > 1).any()))))
    assert made(x).value.shape == (2, 16, 2, 2, 3)
    assert {synapse for synapse, analogue in seen if analogue} == {made.convs[0], made.short}
    assert len(seen) == 6


def test_without_the_short_path_the_long_one_gives_all_channels():
    made = split(short_path=False)
    assert made.short is None
    assert made(torch.ones(1, 3, 8, 8, 2)).value.shape == (1, 16, 2, 2, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: split(channels=12), "multiple of 8 and downsampling 1 to 5, got 12"),
        (lambda: split(downsampling=6), "got 16 and 6"),
        (lambda: split()(torch.ones(1, 3, 8, 6, 2)), "patches of 4 x 4 do not divide an image of 8 x 6"),
    ],
)
def test_wrong_use_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
