import numpy as np
import pytest

from pumice.data import CrossingEncoder
from pumice.data.crossings import mel_filters, spectrum
from pumice.errors import InputError


@pytest.fixture
def wave(rng):
    time = np.arange(6000) / 8000
    return np.sin(2 * np.pi * 700 * time) * np.sin(np.pi * time / 0.75) ** 2 + 0.01 * rng.normal(size=6000)


@pytest.mark.parametrize(
    ("rate", "window", "bands"), [(8000, 256, 32), (16000, 400, 40), (1000, 64, 5), (8000, 255, 7)]
)
def test_the_filters_are_librosas(rate, window, bands):
    filters = pytest.importorskip("librosa.filters")
    expected = filters.mel(sr=rate, n_fft=window, n_mels=bands, dtype=np.float64)
    np.testing.assert_allclose(mel_filters(rate, window, bands), expected, rtol=0, atol=1e-15)


@pytest.mark.filterwarnings("ignore:n_fft=")
@pytest.mark.parametrize(("n", "window", "hop"), [(2000, 256, 80), (255, 256, 80), (1000, 255, 100), (999, 64, 7)])
def test_the_spectrum_is_librosas(rng, n, window, hop):
    librosa = pytest.importorskip("librosa")
    x = rng.normal(size=n)
    expected = librosa.stft(x, n_fft=window, hop_length=hop, pad_mode="constant")
    np.testing.assert_allclose(spectrum(x, window, hop), expected, rtol=0, atol=1e-12)


def test_the_level_is_librosas_log_mel_spectrogram(wave):
    feature = pytest.importorskip("librosa.feature")
    encoder = CrossingEncoder(bands=16)
    power = feature.melspectrogram(y=wave, sr=8000, n_fft=256, hop_length=80, n_mels=16, dtype=np.float64)
    expected = np.maximum(60 + 10 * np.log10(np.maximum(power / power.max(), 1e-12)), 0)
    np.testing.assert_allclose(encoder.decibels(wave), expected, rtol=1e-5, atol=1e-3)


def test_on_minus_off_is_the_level(wave):
    """What the encoding keeps: how many thresholds each band is above, at every frame."""
    encoder = CrossingEncoder(bands=16, spacing=7.0)
    level, events = encoder.decibels(wave), encoder.encode(wave)
    for frame in range(level.shape[1]):
        until = events[events["t"] <= (frame + 1) * 10_000]
        signed = np.where(until["p"] == 1, 1, -1)
        reached = np.zeros((encoder.levels, 16), int)
        np.add.at(reached, (until["y"], until["x"]), signed)
        np.testing.assert_array_equal(reached.sum(0), np.minimum(level[:, frame] // 7.0, encoder.levels))
        assert set(np.unique(reached)) <= {0, 1}


def test_the_time_of_a_crossing_lies_on_the_line(wave):
    encoder = CrossingEncoder(bands=8, spacing=10.0)
    level = np.concatenate([np.zeros((8, 1)), encoder.decibels(wave)], 1)
    for event in encoder.encode(wave):
        at = event["t"] / 10_000
        interpolated = np.interp(at, np.arange(level.shape[1]), level[event["x"]])
        assert interpolated == pytest.approx(10.0 * (event["y"] + 1), abs=0.05)


def test_loudness_does_not_matter(wave):
    encoder = CrossingEncoder()
    loud = encoder.encode(100 * wave)
    assert loud.tolist() == encoder.encode(wave).tolist()
    assert (np.diff(loud["t"]) >= 0).all()


def test_silence_says_nothing():
    assert len(CrossingEncoder().encode(np.zeros(2000))) == 0


@pytest.mark.parametrize("arguments", [{"bands": 0}, {"spacing": 0.0}, {"spacing": 60.0}, {"hop": 0}, {"window": 8}])
def test_bad_arguments(arguments):
    with pytest.raises(InputError, match="the sound encoding"):
        CrossingEncoder(**arguments)
