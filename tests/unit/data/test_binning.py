import numpy as np
import pytest
from tonic.transforms import ToFrame

from pumice.data import EventBinner
from pumice.data.events import EVENT, one_recording, pack_events
from pumice.errors import InputError, PumiceWarning

NO_CHANCE = np.random.default_rng(0)


@pytest.fixture
def samples(rng):
    n = 500
    t = np.sort(rng.integers(0, 1000, n))
    t[0] = 0  # tonic's windows begin with the first event
    fields = {"x": rng.integers(0, 6, n), "y": rng.integers(0, 4, n), "t": t, "p": rng.integers(0, 2, n)}
    return pack_events(**fields, offsets=[0, n])


def test_time_bins_are_tonics(samples):
    frames = ToFrame(sensor_size=(6, 4, 2), time_window=100, include_incomplete=True)(samples[0])
    binner = EventBinner(len(frames), (2, 4, 6), window=100, max_count=255)
    np.testing.assert_array_equal(binner.encode(samples, NO_CHANCE)[0], frames.transpose(1, 2, 3, 0))


def test_count_bins_are_tonics(samples):
    frames = ToFrame(sensor_size=(6, 4, 2), n_event_bins=5)(samples[0])
    binner = EventBinner(5, (2, 4, 6), window=1, mode="count", max_count=255)
    np.testing.assert_array_equal(binner.encode(samples, NO_CHANCE)[0], frames.transpose(1, 2, 3, 0))


def test_later_events_are_left_out_and_counts_are_limited(samples):
    all_counts = EventBinner(10, (2, 4, 6), window=100, max_count=255).encode(samples, NO_CHANCE)
    first = EventBinner(3, (2, 4, 6), window=100, max_count=1).encode(samples, NO_CHANCE)
    np.testing.assert_array_equal(first, np.minimum(all_counts[..., :3], 1))
    assert all_counts[..., :3].max() > 1


def test_downsampling_adds_squares_of_pixels(samples):
    fine = EventBinner(2, (2, 4, 6), window=500, max_count=255)
    coarse = EventBinner(2, (2, 4, 6), window=500, max_count=255, downsample=2)
    assert coarse.shape == (2, 2, 3)
    expected = fine.encode(samples, NO_CHANCE)[0].reshape(2, 2, 2, 3, 2, 2).sum((2, 4))
    np.testing.assert_array_equal(coarse.encode(samples, NO_CHANCE)[0], expected)


def test_events_that_left_the_sensor_are_dropped():
    events = np.array([(-1, 0, 0, 1), (6, 0, 0, 1), (0, 4, 0, 0), (0, 0, -5, 0), (0, 0, 5, 0)], EVENT)
    assert EventBinner(2, (2, 4, 6), window=100).bin(events).sum() == 1


@pytest.mark.parametrize("mode", ["time", "count"])
def test_an_empty_recording_becomes_zeros_without_a_warning(mode):
    binned = EventBinner(3, (2, 4, 6), window=100, mode=mode).bin(np.zeros(0, EVENT))
    assert (binned.shape, binned.any()) == ((2, 4, 6, 3), False)


@pytest.mark.parametrize("mode", ["time", "count"])
def test_the_order_of_the_events_does_not_matter(samples, rng, mode):
    events = samples[0].copy()
    events["t"] = np.sort(rng.permutation(1000)[: len(events)])  # no two at once
    binner = EventBinner(7, (2, 4, 6), window=100, mode=mode, max_count=255)
    for _ in range(5):
        np.testing.assert_array_equal(binner.bin(rng.permutation(events)), binner.bin(events))


@pytest.mark.parametrize("mode", ["time", "count"])
def test_bins_are_those_of_a_count_by_hand(rng, mode):
    for _ in range(50):
        polarities, height, width, steps, n = (int(v) for v in rng.integers(1, 6, 5))
        window, limit, side = float(rng.uniform(0.5, 40)), int(rng.integers(1, 4)), int(rng.integers(1, 3))
        events = np.zeros(5 * n, EVENT)
        events["t"] = np.concatenate([[0], rng.integers(0, 100, 5 * n - 1)])
        for field, size in zip("pyx", (polarities, height, width), strict=True):
            events[field] = rng.integers(0, size, 5 * n)
        binner = EventBinner(steps, (polarities, height, width), window, mode, limit)
        if not any(edge > 1 and edge % side for edge in (height, width)):
            binner = EventBinner(steps, (polarities, height, width), window, mode, limit, side)
        expected = np.zeros((*binner.shape, steps), int)
        for i, event in enumerate(sorted(events.tolist(), key=lambda event: event[2])):
            x, y, t, p = event
            step = int(t // window) if mode == "time" else i * steps // len(events)
            if step < steps:
                expected[p, y // binner.downsample, x // binner.downsample, step] += 1
        np.testing.assert_array_equal(binner.bin(events), expected.clip(max=limit))


@pytest.mark.parametrize("times", [[80_048_239, 80_048_500], [-5, -1], [300, 301]])
def test_a_recording_whose_events_miss_every_step_is_named(times):
    events = pack_events(x=[0, 1], y=[0, 0], t=times, p=[0, 1], offsets=[0, 2])[0]
    binner = EventBinner(3, (2, 4, 6), window=100)
    with pytest.warns(PumiceWarning, match=rf"^clap\.bin: no event lies in .* {times[0]} to {times[1]}; if"):
        assert not binner.encode(one_recording(events, "clap.bin"), NO_CHANCE).any()
    with pytest.warns(PumiceWarning, match="a recording: no event lies in"):
        binner.encode([events], NO_CHANCE)
    assert EventBinner(3, (2, 4, 6), window=100, mode="count").bin(events).any()


@pytest.mark.parametrize("polarity", [[-1, 1], [1, 2]])
def test_a_polarity_that_the_sensor_lacks_is_refused(polarity):
    events = pack_events(x=[0, 1], y=[0, 0], t=[0, 5], p=polarity, offsets=[0, 2])[0]
    low, high = polarity
    message = rf"^a recording: p must lie in 0\.\.1, got {low} to {high}; write polarity as 0 \(OFF\) and 1 \(ON\)"
    with pytest.raises(InputError, match=message):
        EventBinner(3, (2, 4, 6), window=100).encode([events], NO_CHANCE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 0}, "more than 0 microseconds"),
        ({"window": 1, "max_count": 256}, r"1\.\.255"),
        ({"window": 1, "downsample": 3}, r"must divide the sensor's height and width \(4, 6\), got 3"),
        ({"window": 1, "steps": 0}, "at least one time step"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        EventBinner(**{"steps": 2, "sensor_shape": (2, 4, 6), **arguments})
