import json

import numpy as np
import pytest

from pumice.pipeline import lower_trained
from pumice.pipeline.lowered import encoded_test
from pumice.train import Recipe, train


@pytest.fixture(scope="module")
def trained(tiny_recipe, digits):
    return train(tiny_recipe.overridden(["training.epochs=1", "training.finetune_epochs=0"]), digits)


def test_the_graph_says_where_it_comes_from(trained):
    graph = lower_trained(trained)
    assert Recipe.from_record(json.loads(graph.info["recipe"])) == trained.recipe
    assert graph.info["accuracy_float"] == f"{trained.accuracy_float:.4f}"
    assert "accuracy_deployed" not in graph.info
    assert graph.input.value_range == (0, 16)


def test_the_certificate_is_the_first_test_samples(trained):
    graph = lower_trained(trained)
    images = trained.dataset.test.images[:4]
    stream = graph.certificate.x
    assert len(stream) == 4 * graph.timing.period_steps + graph.latency
    for index, image in enumerate(images):
        step = stream[index * graph.timing.period_steps]
        np.testing.assert_array_equal(step[:, :, 0].T, image[0])


def test_encoded_samples_are_in_lavas_order(trained):
    samples = encoded_test(trained, 2)
    assert samples.shape == (2, 4, 8, 8, 1)
    np.testing.assert_array_equal(samples[1, 3, 5, 2, 0], trained.dataset.test.images[1, 0, 2, 5])
