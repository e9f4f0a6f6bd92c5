"""A network that HM2-BP trains: interrupted and resumed bit for bit, and lowered without a difference."""

import pytest
import torch

from pumice.data import load_digits
from pumice.errors import InputError
from pumice.pipeline import run_pipeline
from pumice.train import PRESETS, load_checkpoint, train

SMALL = [
    *("data.dataset=digits", "data.steps=6", "data.max_train=240", "data.max_test=20", "data.augment={}"),
    *("network.args.layers=4c3-2a-12", "network.args.thresholds=[20, 1, 4, 4]"),
    *("network.args.weight_scale=[4, 1, 4, 6]", "neuron.voltage_decay=0.1", "neuron.current_decay=0.75"),
    *("training.epochs=2", "training.finetune_epochs=1", "training.batch_size=20", "training.finetune_lr=4e-3"),
    *("network.args.lateral_inhibition=1.0", "training.sample_boosting=0.5"),
    "training.loss_args={'true_count': 4, 'false_count': 0, 'margin': 1}".replace("'", '"'),
]


class StopError(Exception):
    pass


@pytest.fixture(scope="module")
def recipe():
    return PRESETS["mnist-hm2bp"].overridden(SMALL)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture(scope="module")
def result(recipe, digits, tmp_path_factory):
    return run_pipeline(recipe, digits, tmp_path_factory.mktemp("hm2bp") / "network.net", lava_samples=0)


def test_no_integer_differs_between_torch_and_reference(result):
    assert result.is_exact
    names = [p.name for p in result.graph.populations if not p.name.endswith("_clock")]
    assert names == ["conv1", "pool2", "dense3", "output"]
    assert [s.source for s in result.graph.synapses if s.is_recurrent] == ["output"]
    for population in result.torch_comparison:
        assert population.compared > 0 or population.population == "output_clock"  # which torch has not
    rates = result.trained.history[-1].firing_rates
    assert all(0.01 < rate < 0.9 for rate in rates.values()), rates
    losses = [epoch.loss for epoch in result.trained.history]
    assert losses == sorted(losses, reverse=True)


def test_an_interrupted_run_ends_with_the_same_bits(recipe, digits, tmp_path, result):
    path = tmp_path / "checkpoint.pt"

    def stop(_epoch):
        raise StopError

    with pytest.raises(StopError):
        train(recipe, digits, checkpoint_path=path, on_epoch=stop)
    resumed = train(recipe, digits, checkpoint_path=path, resume_from=load_checkpoint(path))
    assert resumed.history == result.trained.history
    expected = result.trained.model.state_dict()
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_settings_that_do_not_fit_are_one_clear_error_each(recipe, digits):
    for setting, message in {
        "neuron.norm=tdbn": r'needs no norm \(neuron.norm = "none"\)',
        "neuron.gradient_args.refractory=2": "refractory must be 0, got 2: no backend has a refractory period",
        "neuron.gradient_args.silent_reach=-1": "silent_reach must be >= 0 thresholds, or None, got -1",
        "neuron.gradient_args.tau=2": "takes no argument tau",
        "neuron.gradient_args.largest_lateral_effect=0": "largest_lateral_effect must be a factor >= 1",
        "network.args.lateral_inhibition=5": r"strength must lie in 0\.03125\.\.4",
        "network.args.thresholds=[20, 4]": "thresholds must be 4 finite numbers > 0, one for each",
        "training.loss_args.true_count=7": "true_count=7 spikes do not fit into the 6 steps",
        "training.loss_args.margin=-1": "margin must be >= 0 spikes, and finite, got -1",
    }.items():
        with pytest.raises(InputError, match=message):
            train(recipe.overridden([setting]), digits)
    with pytest.raises(InputError, match="needs tau_s < tau_m"):
        train(recipe.overridden(['neuron.gradient_args.timing="paper"', "neuron.voltage_decay=0.8"]), digits)
    with pytest.raises(
        InputError, match=r"neuron\.gradient_args are those of a neuron\.gradient, and none is chosen"
    ):
        train(recipe.overridden(["neuron.gradient=null", 'neuron.gradient_args.timing="paper"']), digits)
