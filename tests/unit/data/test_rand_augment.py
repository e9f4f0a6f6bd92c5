"""RandAugment's changes beside torchvision's, which compute in floating point and cut off where these round."""

import pytest
import torch
from torchvision.transforms import functional
from torchvision.transforms.functional import InterpolationMode

from pumice.data.rand_augment import _CHANGES, _MATRICES, COLUMNS, NAMES, Q16, RandAugment

SHAPE = (3, 20, 28)


@pytest.fixture(scope="module")
def images():
    torch.manual_seed(0)
    steps = torch.randint(-9, 10, (6, *SHAPE)).cumsum(-1).cumsum(-2) // 3
    return (steps - steps.amin() + torch.randint(0, 40, (6, 1, 1, 1))).clamp(0, 255)


def row(name, parameter=0, matrix=(1, 0, 0, 0, 1, 0)):
    return [list(_CHANGES).index(name), parameter, *(round(Q16 * entry) for entry in matrix)]


def ours(images, *drawn):
    """As the change of a batch in which every second image gets another change, which it must not."""
    other = row("solarise", 1)
    table = torch.tensor([list(drawn) if index % 2 == 0 else other for index in range(len(images))])
    changed = RandAugment(SHAPE, (0, 255), num_ops=1).changed(images, table)
    assert torch.equal(changed[1::2], torch.where(images[1::2] >= 1, 255 - images[1::2], 0))
    return changed[::2]


@pytest.mark.parametrize("factor", [0.25, 1.0, 1.75])
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("brightness", functional.adjust_brightness),
        ("colour", functional.adjust_saturation),
        ("contrast", functional.adjust_contrast),
        ("sharpness", functional.adjust_sharpness),
    ],
)
def test_factors(images, name, theirs, factor):
    got, wanted = ours(images, *row(name, round(256 * factor))), theirs(images[::2].to(torch.uint8), factor)
    assert (got - wanted.long()).abs().max() <= (0 if factor == 1 else 2)
    assert factor == 1 or (got != images[::2]).any()


def test_tables(images):
    half = images[::2].to(torch.uint8)
    for bits in (4, 6, 8):
        assert torch.equal(
            ours(images, *row("posterise", 256 - (1 << (8 - bits)))), functional.posterize(half, bits).long()
        )
    for threshold in (1, 100, 255):
        assert torch.equal(ours(images, *row("solarise", threshold)), functional.solarize(half, threshold).long())
    assert torch.equal(ours(images, *row("equalise")), functional.equalize(half).long())
    assert (ours(images, *row("autocontrast")) - functional.autocontrast(half).long()).abs().max() <= 1


@pytest.mark.parametrize("name", ["equalise", "autocontrast", "sharpness"])
def test_images_of_one_level_stay(name):
    flat = torch.full((2, *SHAPE), 77)
    assert torch.equal(ours(flat, *row(name, 100)), flat[:1])


@pytest.mark.parametrize("part", [0.9, -0.4])
@pytest.mark.parametrize("name", _MATRICES)
def test_warps(images, name, part):
    angle = 30 * part if name == "rotate" else 0.0
    shift = [150 / 331 * part * side if name == f"shift {axis}" else 0 for axis, side in (("x", 28), ("y", 20))]
    slope = float(torch.rad2deg(torch.atan(torch.tensor(0.3 * part))))
    shear = [slope if name == f"shear {axis}" else 0.0 for axis in "xy"]
    # Theirs moves pixels where ours says whence they come.
    wanted = functional.affine(
        images[::2].to(torch.uint8),
        angle=angle,
        translate=[-round(x) for x in shift],
        scale=1.0,
        shear=shear,
        interpolation=InterpolationMode.NEAREST,
        center=None if name == "rotate" else [0.5, 0.5],
    ).long()
    got = ours(images, *row("warp", 0, _MATRICES[name](part, *SHAPE[1:])))
    assert (got == wanted).float().mean() > 0.98
    assert (got == images[::2]).float().mean() < 0.9


def test_draws_all_fourteen_alike_and_both_ways():
    torch.manual_seed(0)
    change = RandAugment(SHAPE, (0, 255), num_ops=2, magnitude=5.0, magnitude_std=1.0)
    rows = torch.tensor([change.draw() for _ in range(700)]).reshape(-1, COLUMNS)
    counts = torch.bincount(rows[:, 0], minlength=len(_CHANGES)).tolist()
    assert len(NAMES) == 14
    assert all(60 < count < 140 for index, count in enumerate(counts) if index != 1)
    assert 400 < counts[1] < 600  # five of the fourteen
    brightness = rows[rows[:, 0] == 2, 1]
    assert (brightness < 256).any()
    assert (brightness > 256).any()
    assert len(brightness.unique()) > 20


@pytest.mark.parametrize("high", [1, 16, 100, 255])
def test_few_levels_stay_few_and_nothing_happens_at_magnitude_0(high):
    torch.manual_seed(0)
    images = torch.randint(0, high + 1, (200, *SHAPE)).to(torch.uint8)
    change = RandAugment(SHAPE, (0, high), num_ops=1)
    changed = change.changed(images, torch.tensor([change.draw() for _ in images]))
    assert changed.dtype == images.dtype
    assert changed.max() <= high
    assert (changed != images).any()
    still = RandAugment(SHAPE, (0, high), num_ops=1, magnitude=0.0)
    drawn = torch.tensor([still.draw() for _ in images])
    same = ~torch.isin(drawn[:, 0], torch.tensor([list(_CHANGES).index(n) for n in ("autocontrast", "equalise")]))
    same &= drawn[:, 0] != list(_CHANGES).index("solarise")  # white turns black
    assert torch.equal(still.changed(images, drawn)[same], images[same])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_ops": 0}, "num_ops must be an integer >= 1"),
        ({"magnitude": 11}, "magnitude must lie in 0..10"),
        ({"magnitude_std": -1}, "magnitude_std be >= 0"),
        ({"value_range": (1, 16)}, r"got 1..16; set data.gray_levels"),
        ({"value_range": (0, 256)}, r"got 0..256"),
    ],
)
def test_values_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RandAugment(**{"image_shape": SHAPE, "value_range": (0, 16), **options})
