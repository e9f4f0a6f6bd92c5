"""The penalty is the plan's cost of the spikes that the network sends."""

import numpy as np
import pytest
import torch

import pumice
from pumice import nn
from pumice.data import load_digits
from pumice.errors import InputError, LoweringError
from pumice.hardware import load_constants
from pumice.ir import to_stream, torch_to_lava
from pumice.lowering.synapses import population_name
from pumice.pipeline.lowered import lower_trained
from pumice.planner.activity import measure
from pumice.quantization.trace import SYNAPTIC, trace
from pumice.train import PRESETS, train
from pumice.train.regularizers import PlannedCost, make_regularizers
from pumice.train.regularizers.planned_cost import core_operations

PARAMS = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        nn.Conv(PARAMS, 1, 6, 3, padding=1),
        nn.Conv(PARAMS, 6, 4, 3, stride=2, padding=1),
        nn.Flatten(),
        nn.Dense(PARAMS, 4 * 4 * 3, 5),
    )


X = torch.randint(0, 4, (3, 1, 7, 5, 6), generator=torch.Generator().manual_seed(0)).float()


@pytest.mark.filterwarnings("ignore:nothing fires in:pumice.errors.PumiceWarning")
def test_the_operations_of_each_core_are_the_plans():
    """Of the same spikes, in torch's layout here and in Lava's there; what enters the network is not counted."""
    model = net()
    known = core_operations(model, X)
    graph = pumice.lower(model, X, residual="synapses")
    stream = to_stream(graph, torch_to_lava(X.numpy()).astype(np.int32))
    placement = pumice.plan(graph).placement
    planned = measure(graph, placement, stream, "").operations.sum(0)
    first = placement.layers[0].cores  # what reads the input
    records = pumice.run(graph, stream, backend="fast", record=True).records
    names = {population_name(c): c.name for c in trace(model, X) if isinstance(c.block, SYNAPTIC)}
    counted = torch.zeros(len(planned))
    for population, block in names.items():
        if block in known.per_spike:
            spikes = torch.from_numpy(records[population].s.sum(0).astype(np.float32)).reshape(-1)
            assert spikes.any()
            counted += known.per_spike[block] @ spikes
    np.testing.assert_array_equal(counted.numpy()[first:], planned[first:])
    assert not counted[:first].any()


def test_time_is_that_of_the_busiest_core_and_energy_adds_all_up():
    constants = load_constants()
    model = net()
    known = core_operations(model, X)
    rate = {"0": torch.rand(2, 6, 7, 5, 6), "1": torch.rand(2, 4, 4, 3, 6)}
    lava = {name: s.mean((0, -1)).permute(2, 1, 0).reshape(-1) for name, s in rate.items()}
    operations = sum(known.per_spike[name] @ r for name, r in lava.items())
    sharp = PlannedCost(model, X, sharpness=200.0)
    full = sum(table.sum(1) for table in known.per_spike.values())

    def time(ops):
        operating = float(ops.max()) * constants["t_synapse"].value / 1e3
        return constants["t_sync"].value + max(operating, float((known.neurons * known.t_neuron).max()))

    assert sharp(rate).item() == pytest.approx(time(operations) / time(full), rel=0.01)
    watts = constants["p_static_chip"].value + constants["p_floor"].value
    energies = [
        time(ops) * watts + float(ops.sum()) * constants["e_synapse"].value / 1e6 for ops in (operations, full)
    ]
    energy = PlannedCost(model, X, weight=3.0, of="energy", sharpness=200.0)
    assert energy(rate).item() == pytest.approx(3 * energies[0] / energies[1], rel=0.01)


def test_its_gradient_is_largest_where_a_spike_costs_the_busiest_core_most():
    model = net()
    spikes = {"0": torch.full((1, 6, 7, 5, 6), 0.5, requires_grad=True), "1": torch.zeros(1, 4, 4, 3, 6)}
    PlannedCost(model, X)(spikes).backward()
    grad = spikes["0"].grad
    assert (grad > 0).all()
    # A stride of 2 from padding 1: pixels of odd row and column meet four places, of even ones a single place.
    assert grad[0, 0, 1, 1, 0] > 3 * grad[0, 0, 2, 2, 0]


@pytest.mark.slow
def test_less_is_planned_after_a_training_with_it():
    digits = load_digits()
    recipe = PRESETS["digits"].overridden(["training.epochs=4", "training.finetune_epochs=1", "data.max_train=400"])
    costly = recipe.overridden(['training.regularizers={"planned_cost": {"weight": 20}}'])
    plain, saving = (busiest_core(train(r, digits)) for r in (recipe, costly))
    assert saving < 0.9 * plain


def busiest_core(trained):
    """Its operations in a mean step."""
    return pumice.plan(lower_trained(trained)).counts.operations.mean(0).max()


def test_bad_choices():
    model = net()
    for arguments, message in (
        ({"weight": -1}, "weight must be >= 0"),
        ({"sharpness": 0.5}, "sharpness >= 1"),
        ({"of": "money"}, "of must be one of time, energy, got 'money'"),
    ):
        with pytest.raises(InputError, match=message):
            make_regularizers({"planned_cost": arguments}, model, X)
    wide = torch.nn.Sequential(nn.Dense(PARAMS, 16_100, 3))
    with pytest.raises(LoweringError, match=r"no core of the chip can hold this network:\n  population dense0"):
        make_regularizers({"planned_cost": {}}, wide, torch.ones(1, 16_100, 2))
