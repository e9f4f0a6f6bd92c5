"""Block dynamical isometry against the numbers that the equations give for wide layers."""

from functools import partial

import pytest
import torch

from pumice import models, nn
from pumice.errors import InputError
from pumice.nn.surrogate import Rectangular
from pumice.quantization import quantize_
from pumice.train.isometry import isometry

WIDTH, BATCH = 400, 300


def chain(threshold, norm, n_layers=2, a=1.0, tau=0.0):
    torch.manual_seed(0)
    params = {
        "threshold": threshold,
        "current_decay": 1.0,
        "voltage_decay": 1 - tau,
        "norm": norm,
        "surrogate": Rectangular(a),
    }
    return torch.nn.Sequential(*(nn.Dense(params, WIDTH, WIDTH) for _ in range(n_layers)))


def measure(model, steps=1, probes=8):
    x = torch.randn(BATCH, WIDTH, steps, generator=torch.Generator().manual_seed(1))
    return isometry(model, x, probes=probes)


@pytest.mark.parametrize(("threshold", "phi"), [(0.1875, 0.2508), (0.5, 0.8938), (1.0, 1.8109)])
def test_phi_of_tdbn(threshold, phi):
    """Oracle 3e: a = 1, tau = 0; only the mean of the spectrum is given by the theory.

    .1875 is what SLAYER's grid makes of the threshold .2 of STBP-simple; the oracle's .2796 is that of .2 itself,
    which no layer here has.
    """
    table = measure(chain(threshold, nn.TDBN))
    assert table.blocks[0].phi is None
    assert table.blocks[1].phi == pytest.approx(phi, rel=0.05)
    assert table.blocks[1].firing == pytest.approx(0.158655, abs=0.006)  # oracle 3d
    assert table.blocks[1].current == pytest.approx(1, abs=0.02)


def test_slayers_grid_of_thresholds():
    assert [layer.neuron.threshold for layer in chain(0.2, nn.TDBN)] == [0.1875] * 2


def test_phi_is_1_where_threshold_and_surrogate_match():
    assert measure(chain(1.0, nn.TDBN, a=1.80)).blocks[1].phi == pytest.approx(1, rel=0.05)


def test_phi_of_a_linear_map_is_the_ratio_of_second_moments():
    """Oracle 3e's lemma: phi(AA^T) = E|Ax|^2 / E|x|^2 of white x (Chen et al., 2020), 1.7^2 for A of N(0, 1.7^2 / n).

    Under a surrogate of constant slope the neurons between two blocks are linear.
    """
    slope = 1 / 1000
    model = chain(1.0, None, a=1 / slope)
    with torch.no_grad():
        for layer in model:
            layer.synapse.weight.normal_(std=1.7 * WIDTH**-0.5)
        x = torch.randn(2000, WIDTH, 1)
        ratio = model[1].synapse(x).square().mean() / x.square().mean()
    phi = measure(model).blocks[1].phi / slope**2
    assert phi == pytest.approx(ratio.item(), rel=0.02)
    assert phi == pytest.approx(1.7**2, rel=0.05)


@pytest.mark.parametrize(
    ("deviation", "threshold", "phi", "firing"), [(1.0, 0.5, 1.600, 0.30854), (4.0, 1.0, 6.422, 0.40129)]
)
def test_phi_and_firing_of_other_norms(deviation, threshold, phi, firing):
    """Oracle 3f: norms to N(0, 1) and N(0, 16) instead of tdBN."""
    table = measure(chain(threshold, partial(nn.TDBN, threshold=deviation)))
    assert table.blocks[0].firing == pytest.approx(firing, rel=0.03)
    assert table.blocks[1].phi == pytest.approx(phi, rel=0.05)


def test_neurons_behind_a_narrow_norm_hardly_fire():
    """Oracle 3f, figure 4 of the paper: currents N(0, 1/16) exceed 1 with probability 3.17e-5; here some 200 do."""
    table = measure(chain(1.0, partial(nn.TDBN, threshold=0.25), n_layers=1), steps=60)
    assert table.blocks[0].firing == pytest.approx(3.17e-5, rel=0.3)


@pytest.mark.parametrize(("norm", "product"), [(nn.TDBN, 0.1185), (partial(nn.TDBN, threshold=1.0), 7555)])
def test_nineteen_layers_multiply(norm, product):
    """Oracle 3f: phi^19 with tdBN, and with a norm to N(0, 1)."""
    assert measure(chain(0.5, norm, 20), probes=4).product == pytest.approx(product, rel=0.3)


@pytest.mark.parametrize("alpha", [1.0, 2**-0.5])
def test_two_synapses_need_alpha_one_over_root_2(alpha):
    """Oracle 3d: the variance of the sum of two synapses is 2 V_th^2 at alpha 1, V_th^2 at 1/sqrt(2)."""
    torch.manual_seed(0)
    lif = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 1.0, "surrogate": "rectangular"}
    norm = partial(nn.TDBN, alpha=alpha)

    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.sum = nn.Merge(lif, *(nn.DenseSynapse(WIDTH, WIDTH, norm=norm) for _ in range(2)))

        def forward(self, x):
            return self.sum(x, x)

    (block,) = measure(Two()).blocks
    assert block.current**2 == pytest.approx(2 * alpha**2, rel=0.03)


def test_probes_estimate_the_exact_trace():
    torch.manual_seed(0)
    params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "surrogate": "rectangular"}
    model = torch.nn.Sequential(nn.Dense(params, 5, 4), nn.Dense(params, 4, 3))
    model = nn.set_gradient_(model, "stbp")
    with torch.no_grad():
        for layer in model:
            layer.synapse.weight.mul_(3)
    x = (torch.rand(1, 5, 3) > 0.3).float()
    table = isometry(model, x, probes=1500)
    current = model[0].synapse(x).detach()
    jacobian = torch.autograd.functional.jacobian(lambda c: model[1].synapse(model[0].neuron(c)), current)
    exact = float(jacobian.square().sum()) / 9
    assert exact > 0.1
    assert table.blocks[1].phi == pytest.approx(exact, rel=0.1)


def test_blocks_of_a_residual_network_and_the_model_stays_as_it_was(tmp_path):
    params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": nn.TDBN}
    torch.manual_seed(0)
    model = models.resnet(params, (2, 8, 8), 4, layers="19", width=1 / 8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    table = isometry(model, torch.randn(8, 2, 8, 8, 4))
    assert [b.name for b in table.blocks] == [name for name, _ in model.named_children()]
    for block in table.blocks[1:-2]:
        assert 0.2 < block.phi < 3
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    text = str(table)
    assert len(text.splitlines()) == 2 + len(table.blocks)
    assert "stage1_block1" in text
    table.plot(tmp_path / "isometry.svg")
    assert "<svg" in (tmp_path / "isometry.svg").read_text(encoding="utf-8")


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(InputError, match="no block with neurons"):
        isometry(torch.nn.Identity(), torch.ones(1, 2, 3))
    model = chain(0.5, nn.TDBN)
    x = torch.ones(2, WIDTH, 2)
    model(x)
    with pytest.raises(InputError, match="is deployed"):
        isometry(quantize_(model, x), x)
