import numpy as np
import pytest
import torch

from pumice.data import EventBinner, EventDataset, Split, load_digits
from pumice.data.augment import TONIC, Augmentation, with_noise
from pumice.data.augment_batches import BatchAugmentation
from pumice.data.events import EVENT, pack_events
from pumice.errors import InputError


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_noise_is_rounded_and_stays_within_the_range(rng):
    images = rng.integers(0, 17, (50, 1, 8, 8)).astype(np.uint8)
    noise = rng.normal(0.0, 2.0, images.shape)
    noisy = with_noise(images, noise, (0, 16))
    assert noisy.dtype == images.dtype
    assert (noisy.min(), noisy.max()) == (0, 16)
    inner = (images > 6) & (images < 10)
    np.testing.assert_array_equal(noisy[inner], np.clip(np.rint(images + noise), 0, 16)[inner])


def test_no_augmentation_is_the_same_array(digits, rng):
    image = digits.train.images[0]
    assert Augmentation(digits, {})(image, rng) is image


def event_data():
    events = pack_events(x=[0, 1, 2, 3], y=[0, 1, 2, 3], t=[0, 10, 20, 30], p=[0, 1, 0, 1], offsets=[0, 4])
    split = Split(events, np.array([0]))
    return EventDataset("e", split, split, ("a",), (2, 4, 4), 40)


NEEDED = {
    "Denoise": {"filter_time": 100},
    "DropEvent": {"p": [0.1, 0.5]},
    "DropEventByArea": {"area_ratio": 0.3},
    "DropPixel": {"coordinates": [[1, 1]]},
    "RandomDropPixel": {"p": 0.5},
    "RefractoryPeriod": {"delta": 5},
    "TimeJitter": {"std": 2.0},
    "TimeSkew": {"coefficient": [0.9, 1.1]},
    "UniformNoise": {"n": 3},
}


@pytest.mark.parametrize("name", TONIC)
def test_tonics_transforms_take_our_events(name):
    data = event_data()
    change = Augmentation(data, {name: NEEDED.get(name, {})})
    changed = change(data.train.samples[0], np.random.default_rng(0))
    assert set(changed.dtype.names) >= {"x", "y", "t", "p"}
    assert EventBinner(2, (2, 4, 4), window=20).bin(changed).shape == (2, 4, 4, 2)


@pytest.mark.parametrize("name", [*TONIC, "RandomShift"])
def test_a_recording_without_events_stays_as_it_is(name):
    empty = np.zeros(0, EVENT)
    for chosen in ({name: NEEDED.get(name, {})}, {"DropEvent": {"p": 1.0}, name: NEEDED.get(name, {})}):
        change = Augmentation(event_data(), chosen)
        for seed in range(8):
            assert change(empty, np.random.default_rng(seed)).tolist() == []


@pytest.mark.parametrize("name", [*TONIC, "RandomShift"])
def test_events_are_sorted_after_each_change(name, rng):
    events = np.zeros(400, EVENT)
    events["t"] = np.sort(rng.integers(0, 40, 400))
    events["x"], events["y"] = rng.integers(0, 4, (2, 400))
    for seed in range(4):
        chosen = {"TimeJitter": {"std": 9.0}, name: NEEDED.get(name, {})}
        changed = Augmentation(event_data(), chosen)(events, np.random.default_rng(seed))
        assert (np.diff(changed["t"]) >= 0).all()


@pytest.mark.parametrize("name", ["Denoise", "RefractoryPeriod"])
def test_an_event_that_left_the_sensor_does_not_act_on_the_other_edge(name, monkeypatch):
    change = Augmentation(event_data(), {"RandomShift": {"x": 1}, name: {**NEEDED[name]}})
    pair = np.array([(0, 0, 10, 0), (3, 0, 11, 0), (2, 0, 12, 0)], EVENT)
    alone = pair[1:]
    monkeypatch.setattr(np.random, "randint", lambda low, high: low)  # to the left by 1
    with_lost, without = (change(events, np.random.default_rng(0)).tolist() for events in (pair, alone))
    assert with_lost == without != []


@pytest.mark.parametrize("name", ["RandomFlipPolarity", "RandomTimeReversal"])
def test_a_sensor_of_one_polarity_has_no_other(name):
    events = pack_events(x=[0, 1], y=[0, 1], t=[0, 10], p=[0, 0], offsets=[0, 2])
    split = Split(events, np.array([0]))
    data = EventDataset("e", split, split, ("a",), (1, 4, 4), 40)
    with pytest.raises(InputError, match=rf"^clip 7: data\.augment\.{name}: makes polarity 1, the sensor has 1; "):
        Augmentation(data, {name: {"p": 1.0}})(events[0], np.random.default_rng(0), name="clip 7")
    kept = Augmentation(data, {"RandomTimeReversal": {"p": 1.0, "flip_polarities": False}})
    assert kept(events[0], np.random.default_rng(0))["t"].tolist() == [0, 10]


def test_values_that_tonic_asserts_are_refused_as_input():
    with pytest.raises(InputError, match=r"data\.augment\.RandomFlipLR: an argument is out of range"):
        Augmentation(event_data(), {"RandomFlipLR": {"p": 2.0}})
    data = event_data()
    with pytest.raises(InputError, match=r"data\.augment\.DropEventByTime: an argument is out of range"):
        Augmentation(data, {"DropEventByTime": {"duration_ratio": 2.0}})(
            data.train.samples[0], np.random.default_rng(0)
        )


def test_a_shift_moves_all_events_alike():
    data = event_data()
    before = data.train.samples[0].copy()
    change = Augmentation(data, {"RandomShift": {"x": 2, "y": 1}})
    seen = set()
    for seed in range(60):
        moved = change(data.train.samples[0], np.random.default_rng(seed))
        (dx,), (dy,) = np.unique(moved["x"] - before["x"]), np.unique(moved["y"] - before["y"])
        seen.add((int(dx), int(dy)))
    assert seen == {(dx, dy) for dx in range(-2, 3) for dy in range(-1, 2)}
    assert data.train.samples[0].tolist() == before.tolist()


def test_chance_is_the_generators_and_global_state_stays():
    data = event_data()
    change = Augmentation(data, {"TimeJitter": {"std": 5.0}})
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    one, two, other = (change(data.train.samples[0], np.random.default_rng(seed))["t"].tolist() for seed in (1, 1, 2))
    assert one == two != other
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_torchvisions_transforms_take_our_images(digits):
    change = Augmentation(digits, {"RandomAffine": {"degrees": 0, "translate": [0.4, 0.4]}})
    image = digits.train.images[0]
    moved = change(image, np.random.default_rng(5))
    assert (moved.shape, moved.dtype) == (image.shape, image.dtype)
    assert moved.tolist() != image.tolist()
    assert set(np.unique(moved)) <= {0, *np.unique(image)}


def test_bad_choices(digits):
    with pytest.raises(
        InputError, match=r"data\.augment: there is no 'TimeJitter' for images; there are: ElasticTransform"
    ):
        Augmentation(digits, {"TimeJitter": {}})
    with pytest.raises(InputError, match="there is no 'RandomAffine' for events"):
        Augmentation(event_data(), {"RandomAffine": {}})
    with pytest.raises(InputError, match=r"data\.augment\.TimeJitter: .*unexpected keyword"):
        Augmentation(event_data(), {"TimeJitter": {"sigma": 1}})
    with pytest.raises(InputError, match=r"data\.augment\.RandomShift: shifts must be >= 0"):
        Augmentation(event_data(), {"RandomShift": {"x": -1}})


@pytest.mark.parametrize("value", ["random", 17, -1, 0.5, True, [1, 2], []])
def test_erasing_with_what_is_no_grey_level_is_refused(digits, value):
    with pytest.raises(
        InputError, match=r"RandomErasing: value must be an integer in 0\.\.16 .*for each of 1 channel, got"
    ):
        Augmentation(digits, {"RandomErasing": {"value": value}})


def test_erasing_leaves_the_data_as_they_are(digits):
    image = digits.train.images[0].copy()
    change = Augmentation(digits, {"RandomErasing": {"p": 1.0, "value": [16], "inplace": True}})
    assert (change(image, np.random.default_rng(0)) != image).any()
    assert image.tolist() == digits.train.images[0].tolist()


@pytest.mark.parametrize(
    "options", [{"magnitude": 11}, {"num_ops": 1.5}, {"magnitude": None}, {"levels": 3}, {"value_range": (0, 9)}]
)
def test_rand_augment_says_what_it_takes(digits, options):
    with pytest.raises(InputError, match=r"data\.augment\.RandAugment: "):
        Augmentation(digits, {"RandAugment": options})


def test_changes_that_do_not_fit_the_image_are_refused(digits):
    image, rng = digits.train.images[0], np.random.default_rng(0)
    with pytest.raises(InputError, match=r"data\.augment\.RandomCrop: .*larger than"):
        Augmentation(digits, {"RandomCrop": {"size": 32}})(image, rng)
    with pytest.raises(InputError, match=r"an image of shape \(1, 8, 8\) became \(1, 6, 6\)"):
        Augmentation(digits, {"RandomCrop": {"size": 6}})(image, rng)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("RandomErasing", {"p": 1.0, "ratio": [3.3, 0.3]}, "from"),
        ("RandomCrop", {"size": 8, "padding": -1}, "larger"),
        ("ElasticTransform", {"sigma": 4.0}, "[Pp]adding size"),
    ],
)
@pytest.mark.filterwarnings("ignore:Scale and ratio")
def test_what_a_change_finds_wrong_in_a_batch_names_it(digits, rng, name, arguments, message):
    with pytest.raises(InputError, match=rf"data\.augment\.{name}: .*{message}"):
        BatchAugmentation(digits, {name: arguments}).draw(rng)


def test_interpolation_is_a_word(digits, rng):
    change = {"RandomAffine": {"degrees": 45, "interpolation": "bilinear"}}
    assert Augmentation(digits, change)(digits.train.images[0], rng).shape == (1, 8, 8)
    with pytest.raises(InputError, match=r"data\.augment\.RandomAffine: 'woolly'"):
        BatchAugmentation.knows(digits, {"RandomAffine": {"degrees": 45, "interpolation": "woolly"}})
