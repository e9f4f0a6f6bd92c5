import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def tiny_recipe():
    """A run of seconds: few digits, one small convolution, four steps."""
    from pumice.train import Recipe

    return Recipe(name="tiny").overridden(
        [
            "data.max_train=96",
            "data.max_test=40",
            "data.steps=4",
            "training.epochs=2",
            "training.finetune_epochs=1",
            "training.batch_size=32",
            "network.args.channels=[4]",
            "network.args.strides=[2]",
        ]
    )


@pytest.fixture(scope="session")
def digits():
    from pumice.data import load_digits

    return load_digits()


@pytest.fixture(scope="session")
def tiny_result(tiny_recipe, digits, tmp_path_factory):
    """The whole road on the tiny recipe, Lava included."""
    from pumice.pipeline import run_pipeline

    path = tmp_path_factory.mktemp("tiny") / "network.net"
    return run_pipeline(tiny_recipe, digits, path, lava_samples=3)


@pytest.fixture
def lowered_equals_model():
    """Function: lower a model, and hold every output spike of its graph to the deployed model's; give the graph."""

    def check(model, x, **options):
        import pumice
        from pumice import ir

        graph = pumice.lower(model, x, **options)
        expected = ir.torch_to_lava(model(x).detach().numpy())
        stream = ir.to_stream(graph, ir.torch_to_lava(x.numpy()).astype(int))
        got = ir.from_stream(graph, pumice.run(graph, stream).spikes, len(x))
        assert np.array_equal(got.reshape(expected.shape), expected)
        return graph

    return check


@pytest.fixture
def params():
    """A leaky neuron as SLAYER describes it, without a norm."""
    return {"threshold": 0.5, "current_decay": 0.3, "voltage_decay": 0.1, "tau_grad": 0.1, "scale_grad": 1.0}
