"""What NIR cannot say is refused, by name."""

import numpy as np
import pytest

from pumice import PumiceError
from pumice.ir import Cuba, Delta, OneToOne, Resonator, SigmaDelta, Sparse

IMAGE = (5, 4, 2)
SLOW_CLOCK = Cuba("clock", (1,), vth_mant=3, bias_mant=1)
REFUSED = {
    "a delta neuron": (
        lambda m: m.network((3,), (Delta("a", (3,), vth=1), [m.dense(3, 3)])),
        "'a': NIR has no Delta",
    ),
    "sigma-delta": (
        lambda m: m.network((3,), (SigmaDelta("a", (3,), vth=1), [m.dense(3, 3)])),
        "'a': NIR has no SigmaDelta",
    ),
    "a resonator": (
        lambda m: m.network((3,), (Resonator("a", (3,), vth=1, sin_decay=1, cos_decay=1), [m.dense(3, 3)])),
        "'a': NIR has no Resonator",
    ),
    "decays of both kinds": (
        lambda m: m.network((3,), (m.cuba(shape=(2,), v=np.array([0, 7])), [m.dense(2, 3)])),
        "'a': v_decay_q12 is 0 for some",
    ),
    "a bias of each pixel": (
        lambda m: m.network(IMAGE, (m.cuba(shape=IMAGE, bias_mant=m.weights(*IMAGE)), [OneToOne("", "", weight=1)])),
        "'a': each neuron has a bias",
    ),
    "a loop over two": (
        lambda m: m.network((3,), (m.cuba(), [m.dense(5, 3), m.dense(5, 5, "b")]), (m.cuba("b"), [m.dense(5, 5)])),
        "b -> a: is a loop over several",
    ),
    "values that count as one": (
        lambda m: m.network((3,), (m.cuba(), [m.dense(5, 3)]), value_range=(0, 7)),
        r"input -> a: counts every value of the input \(0..7\)",
    ),
    "a clock of its own pace": (
        lambda m: m.network((3,), (m.cuba(), [m.dense(5, 3), m.dense(5, 1, "clock")])).replace(
            populations=(SLOW_CLOCK, m.cuba()),
        ),
        "clock -> a: population 'clock' has no input",
    ),
    "a constant that begins before its layer": (
        lambda m: m.network(
            (3,), (m.cuba(), [m.dense(5, 3)]), (m.cuba("b"), [m.dense(5, 5), m.dense(5, 1, "clock")])
        ).replace(
            populations=(Cuba("clock", (1,), vth_mant=0, bias_mant=1), m.cuba(), m.cuba("b")),
        ),
        "clock -> b: population 'clock' has no input",
    ),
    "a matrix too large": (
        lambda m: m.network(
            (64, 64, 1),
            (
                m.cuba(shape=(64, 64, 1)),
                [Sparse("", "", rows=np.array([0]), columns=np.array([0]), values=np.array([1]))],
            ),
        ),
        "input -> a: NIR has a Sparse between these ends as a matrix only",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_nir_cannot_say_is_refused_by_name(name, exported, tmp_path, m):
    make, match = REFUSED[name]
    with pytest.raises(PumiceError, match=match):
        exported(make(m))
    assert not [*tmp_path.iterdir()]
