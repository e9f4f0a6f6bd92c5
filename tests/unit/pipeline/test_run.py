import numpy as np
import pytest

import pumice
from pumice.errors import InputError
from pumice.pipeline import run_pipeline
from pumice.train import predict_counts

pytestmark = pytest.mark.lava


def test_nothing_differs(tiny_result):
    assert tiny_result.is_exact
    assert tiny_result.lava_samples == 3
    stream_steps = 3 * 4 + tiny_result.graph.latency
    sizes = {p.name: p.size for p in tiny_result.graph.populations}
    assert [(c.population, c.compared, c.s, c.u, c.v) for c in tiny_result.lava_comparison] == [
        (name, stream_steps * size, 0, 0, 0) for name, size in sizes.items()
    ]
    assert [(c.population, c.compared, c.s, c.u, c.v) for c in tiny_result.torch_comparison] == [
        (name, 40 * 4 * size, 0, None, None) for name, size in sizes.items()
    ]


def test_the_reference_answers_as_the_deployed_network(tiny_result):
    trained = tiny_result.trained
    counts = predict_counts(trained.model, trained.encoder, trained.dataset.test.images)
    np.testing.assert_array_equal(tiny_result.predictions, counts.argmax(1))
    assert tiny_result.accuracy_deployed == trained.history[-1].test_accuracy
    assert tiny_result.accuracy_float == trained.history[-2].test_accuracy
    assert tiny_result.test_samples == 40


def test_what_ran_is_what_is_in_the_file(tiny_result):
    graph = pumice.load(tiny_result.path)
    assert graph.info == tiny_result.graph.info
    assert pumice.verify(graph) == {
        "reference": 3 * len(graph.certificate.x) * sum(p.size for p in graph.populations)
    }


def test_the_summary_counts_everything(tiny_result):
    summary = tiny_result.summary()
    assert summary["differing_spikes"] == summary["differing_states"] == 0
    neurons = sum(p.size for p in tiny_result.graph.populations)
    steps = 3 * 4 + tiny_result.graph.latency
    assert summary["compared_values"] == neurons * (3 * steps + 40 * 4)
    assert summary["seconds"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lava_samples": -1}, "lava_samples must be >= 0, got -1"),
        ({"lava_samples": 2.5}, r"lava_samples must be >= 0, got 2\.5"),
        ({"lava_samples": None}, "lava_samples must be >= 0, got None"),
        ({"backend": "lavva"}, "unknown backend 'lavva'; did you mean 'lava'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_training(tiny_recipe, digits, tmp_path, options, message):
    began = []
    with pytest.raises(InputError, match=message):
        run_pipeline(tiny_recipe, digits, tmp_path / "a.net", on_stage=began.append, **options)
    assert began == []
    assert not list(tmp_path.iterdir())
