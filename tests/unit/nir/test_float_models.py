"""Models before quantization go out as NIR: a float simulation gives their spikes, and a defect does not."""

import numpy as np
import pytest
import torch

import pumice
from pumice import PumiceError, nn
from pumice.nir.reader import read_nir

T, DT = 24, 1e-4
KEEPS = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.0}
LEAKS = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.25}


def scaled(model, by=2.0, below=0.35):
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "weight" in name:
                parameter.copy_(by * (torch.rand(parameter.shape) - below))
    return model


def normed(model):
    for module in model.modules():
        if isinstance(module, nn.TDBN):
            module.running_mean.copy_(torch.linspace(-0.5, 0.5, module.num_features))
            module.running_var.copy_(torch.linspace(0.5, 2, module.num_features))
            module.shift.data.copy_(torch.linspace(-0.125, 0.25, module.num_features))
    return model


class Branches(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv(KEEPS, 2, 3, 3, padding=1)
        self.sum = nn.Merge(KEEPS, nn.ConvSynapse(3, 3, 3, padding=1), nn.IdentitySynapse(3))
        self.flat = nn.Flatten()
        self.out = nn.Dense(KEEPS, 3 * 4 * 6, 5)

    def forward(self, x):
        h = self.first(x)
        return self.out(self.flat(self.sum(h, h)))


def delayed():
    model = scaled(torch.nn.Sequential(nn.Dense(KEEPS, 6, 5, delay=True), nn.Dense(KEEPS, 5, 3)))
    model[0].delay.delay.data = torch.tensor([0.0, 3.2, 1.0, 0.0, 2.0])
    return model


def delayed_output():
    model = scaled(torch.nn.Sequential(nn.Dense(KEEPS, 6, 5, delay=True)))
    model[0].delay.delay.data = torch.tensor([0.0, 3.2, 1.0, 0.0, 2.0])
    return model


class Twice(torch.nn.Module):
    """A merge of the input with itself."""

    def __init__(self, merge):
        super().__init__()
        self.merge = merge

    def forward(self, x):
        return self.merge(x, x)


def recurring(synapse, back):
    return torch.nn.Sequential(nn.Merge({**KEEPS, "dynamics": "float"}, synapse, recurrent=back))


SOFT, LATE, WRONG_DT = {"soft": True}, {"late": 1}, {"dt": 0.5 * DT}
MODELS = {
    "dense": ((6,), lambda: scaled(torch.nn.Sequential(nn.Dense(KEEPS, 6, 5), nn.Dense(KEEPS, 5, 3))), SOFT),
    "convolutions, pool": (
        (2, 4, 6),
        lambda: scaled(
            torch.nn.Sequential(
                nn.Conv(KEEPS, 2, 4, (3, 2), stride=(1, 2), padding=(1, 0), groups=2),
                nn.Pool(KEEPS, (2, 3), weight_scale=1.1),
                nn.Flatten(),
                nn.Dense(KEEPS, 8, 5),
            )
        ),
        SOFT,
    ),
    "branches": ((2, 4, 6), lambda: scaled(Branches(), 1.0, 0.42), SOFT),
    "delays": ((6,), delayed, LATE),
    "a delay of the output": ((6,), delayed_output, SOFT),
    "norm of neurons": ((6,), lambda: scaled(torch.nn.Sequential(nn.Dense({**KEEPS, "norm": nn.TDBN}, 6, 5))), SOFT),
    "rows side by side": (
        (6,),
        lambda: scaled(Twice(nn.Merge(KEEPS, nn.DenseSynapse(6, 4), nn.OneToOneSynapse(6), concat=True)), 2),
        SOFT,
    ),
    "images side by side": (
        (2, 4, 6),
        lambda: scaled(
            Twice(
                nn.Merge(KEEPS, nn.OneToOneSynapse(2), nn.ConvSynapse(2, 3, 3, padding=1, norm=nn.TDBN), concat=True)
            ),
            1,
        ),
        SOFT,
    ),
    "its own spikes, each": (
        (6,),
        lambda: scaled(recurring(nn.DenseSynapse(6, 5), nn.OneToOneSynapse(5)), 2.0),
        LATE,
    ),
    "its own image": (
        (2, 4, 6),
        lambda: scaled(recurring(nn.ConvSynapse(2, 3, 1), nn.ConvSynapse(3, 3, 3, padding=1)), 1.0, 0.4),
        LATE,
    ),
    "recurrence": ((6,), lambda: scaled(torch.nn.Sequential(nn.Recurrent(KEEPS, 6, 5)), 0.5), LATE),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_float_simulation_gives_the_models_spikes(name, tmp_path, simulate, spikes):
    shape, make, defect = MODELS[name]
    torch.manual_seed(0)
    model, x = normed(make()).eval(), spikes(2, T, *shape)
    entering = torch.from_numpy(x).movedim(1, -1).float()
    path = pumice.to_nir(model, tmp_path / "a.nir", entering, dt=DT)
    with torch.no_grad():
        sent = model(entering).movedim(-1, 1).numpy().reshape(2, T, -1)
    found = simulate(path, x, dt=DT).reshape(2, T, -1)
    assert 0.02 < sent.mean() < 0.98
    # SLAYER drops what of a norm's result is below 1/64.
    assert np.mean(found != sent) <= (0.02 if "norm" in name else 0)
    assert np.mean(simulate(path, x, **{"dt": DT, **defect}).reshape(2, T, -1) != sent) > 0.02


def test_leaks_differ_by_what_slayer_drops(tmp_path, simulate, spikes):
    model, x = scaled(torch.nn.Sequential(nn.Dense(LEAKS, 6, 40)), 0.8), spikes(4, T, 6)
    entering = torch.from_numpy(x).movedim(1, -1).float()
    path = pumice.to_nir(model, tmp_path / "a.nir", entering)
    with torch.no_grad():
        sent = model(entering).movedim(-1, 1).numpy()
    assert np.mean(simulate(path, x, dt=DT) != sent) < 0.04
    assert np.mean(simulate(path, x, **WRONG_DT) != sent) > 0.1


def test_decays_of_neurons_in_floating_point_are_not_rounded(tmp_path):
    block = nn.Merge({**LEAKS, "dynamics": "float", "voltage_decay": 0.1001}, nn.DenseSynapse(6, 5))
    path = pumice.to_nir(torch.nn.Sequential(block), tmp_path / "a.nir", torch.ones(1, 6, 5), dt=DT)
    (node,) = [node for node in read_nir(path).nodes.values() if node.type == "CubaLIF"]
    np.testing.assert_allclose(DT / node.fields["tau_mem"], 0.1001, rtol=1e-6)


def test_a_leaky_read_out(tmp_path, simulate, spikes):
    model = torch.nn.Sequential(nn.Dense(KEEPS, 6, 5), nn.LeakyReadout(5, 3, voltage_decay=0.25))
    x = spikes(2, T, 6)
    entering = torch.from_numpy(x).movedim(1, -1).float()
    with torch.no_grad():
        scaled(model)[1].readout.linear.bias.copy_(torch.tensor([0.5, -0.25, 0.0]))
        voltage = model(entering).movedim(-1, 1).numpy()
    path = pumice.to_nir(model, tmp_path / "a.nir", entering)
    np.testing.assert_allclose(simulate(path, x, dt=DT), voltage, atol=1e-4)


def test_what_is_no_float_model_is_refused(tmp_path):
    x = torch.ones(1, 6, 5)
    model = torch.nn.Sequential(nn.Dense(LEAKS, 6, 5))
    for path, options, match in ((tmp_path / "a.net", {}, "must end in"), (tmp_path / "a.nir", {"dt": 0}, "dt must")):
        with pytest.raises(PumiceError, match=match):
            pumice.to_nir(model, path, x, **options)
    with pytest.raises(PumiceError, match="the model is quantized"):
        pumice.to_nir(pumice.quantize_(model, x), tmp_path / "a.nir", x)
    with pytest.raises(PumiceError, match=r"needs an example of what a model takes: to_nir\(model, '.*a.nir', x"):
        pumice.to_nir(model, tmp_path / "a.nir")
    with pytest.raises(PumiceError, match=r"the example input must be a torch\.Tensor, got ndarray"):
        pumice.to_nir(model, tmp_path / "a.nir", x.numpy())
    with pytest.raises(PumiceError, match="example_input for a model, got a str"):
        pumice.to_nir("a.net", tmp_path / "a.nir", x)
    mixer = torch.nn.Sequential(nn.Merge(LEAKS, nn.TokenMixingSynapse(2, tokens=6)))
    with pytest.raises(PumiceError, match="NIR has no TokenMixingSynapse"):
        pumice.to_nir(mixer, tmp_path / "a.nir", torch.ones(1, 2, 2, 3, 4))
    grouped = nn.Merge(KEEPS, nn.ConvSynapse(2, 2, 1, groups=2), nn.IdentitySynapse(2), concat=True)
    with pytest.raises(PumiceError, match="a convolution of 2 groups is no part of a larger one"):
        pumice.to_nir(Twice(grouped), tmp_path / "a.nir", torch.ones(1, 2, 2, 3, 4))
    assert not [*tmp_path.iterdir()]


def test_the_nir_package_reads_images_with_biases_and_pools(tmp_path):
    nir = pytest.importorskip("nir")
    layer = nn.Merge(KEEPS, nn.ConvSynapse(2, 3, 3, padding=1, norm=nn.TDBN(3)))
    with torch.no_grad():
        layer.synapses[0].norm.shift.fill_(0.25)
    model = torch.nn.Sequential(layer, nn.Pool(KEEPS, 2), nn.Flatten(), nn.Dense(KEEPS, 12, 5)).eval()
    read = nir.read(pumice.to_nir(model, tmp_path / "model.nir", torch.ones(1, 2, 4, 4, 5)))
    assert {"Conv2d", "SumPool2d"} <= {type(node).__name__ for node in read.nodes.values()}
