import inspect

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

import pumice
from pumice.errors import InputError, PumiceWarning
from pumice.nn import TDBN, BiasFreeNorm, ConvSynapse, Dense, Merge
from pumice.nn.norms.tdbn import momentum_of

# Oracle 3a: x[T=2, N=2, C=2]
X = torch.tensor([[[0.0, 1], [2, 1]], [[4, 3], [6, 7]]])
Y = np.array([[[-0.474342, -0.477350], [-0.158114, -0.477350]], [[0.158114, 0.1], [0.474342, 1.254701]]])


@pytest.fixture
def norm():
    norm = TDBN(2, alpha=2**-0.5, threshold=0.5, eps=0)
    norm.scale.data = torch.tensor([1.0, 2.0])
    norm.shift.data = torch.tensor([0.0, 0.1])
    return norm


def test_statistics_run_over_time_and_batch_together(norm):
    y = norm(X.permute(1, 2, 0))  # (batch, channel, time)
    np.testing.assert_allclose(y.detach().permute(2, 0, 1), Y, atol=1e-6)
    np.testing.assert_allclose(norm.running_mean, [0.3, 0.3], atol=1e-6)
    np.testing.assert_allclose(norm.running_var, [1.566667, 1.7], atol=1e-6)


def test_folding_gives_the_papers_weights(norm):
    """Oracle 3b, lowered: W = [[1, -2], [.5, 3]], b = [.2, -.4], mean [.3, -1], var [4, .25], eps 1e-5.

    A synapse has no b: it shifts the mean.
    """
    norm.eps = 1e-5
    norm.running_mean = torch.tensor([0.3, -1.0]) - torch.tensor([0.2, -0.4])
    norm.running_var = torch.tensor([4.0, 0.25])
    np.testing.assert_allclose(norm.gain().detach(), [0.176776, 1.414185], atol=2e-6)
    synapse = ConvSynapse(2, 2, 1, norm=norm)
    synapse.weight.data = torch.tensor([[1.0, -2], [0.5, 3]]).reshape(2, 2, 1, 1, 1)
    model = torch.nn.Sequential(Merge({"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}, synapse))
    graph = pumice.lower(model, torch.ones(1, 2, 1, 1, 3))
    weight, bias = graph.synapses[0].weight.reshape(2, 2), graph.populations[0].bias_mant
    scale = graph.populations[0].vth_mant / 0.5
    assert weight.max() > 240  # of 254, the largest of 8 bits
    assert_array_equal(weight, 2 * np.round(np.array([[0.176776, -0.353553], [0.707093, 4.242557]]) * scale / 2))
    assert_array_equal(bias, np.round(np.array([-0.017678, 0.948511]) * scale))
    np.testing.assert_allclose((weight.sum(1) + bias) / scale, [-0.194454, 5.898160], atol=2.5 / scale)


def test_evaluation_uses_the_running_estimates_and_leaves_them(norm):
    norm(X.permute(1, 2, 0))
    norm.eval()
    before = norm.running_mean.clone()
    x = torch.randn(3, 2, 5)
    expected = x * norm.gain().view(1, 2, 1) + norm.offset().view(1, 2, 1)
    torch.testing.assert_close(norm(x), expected)
    assert torch.equal(norm.running_mean, before)


def test_channels_can_come_from_the_first_input_and_the_optimiser_keeps_the_parameters():
    norm = TDBN(threshold=1.0)
    optimiser = torch.optim.SGD(norm.parameters(), lr=1.0)
    norm(torch.randn(4, 3, 5)).square().mean().backward()
    optimiser.step()
    assert norm.scale.shape == (3,)
    assert not torch.equal(norm.scale, torch.ones(3))


def test_a_fresh_norm_loads_a_trained_ones_state():
    trained = TDBN(threshold=1.0)
    trained(torch.randn(4, 3, 5))
    fresh = TDBN(threshold=1.0)
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh.running_mean, trained.running_mean)


def test_the_neuron_tells_its_threshold():
    layer = Dense({"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": TDBN}, 3, 4)
    assert layer.neuron.norm.threshold == 0.5
    assert layer.neuron.norm.num_features == 4


def test_errors_say_what_is_missing(norm):
    with pytest.raises(InputError, match="does not know the threshold"):
        TDBN(2)(torch.randn(2, 2, 2))
    with pytest.raises(InputError, match="has 2 channels"):
        norm(torch.randn(2, 3, 2))


def test_a_walk_over_modules_finds_no_bias(norm):
    """`hasattr(module, "bias")` is how weights are initialised; a property that raises would stop it."""
    assert not hasattr(norm, "bias")
    assert getattr(norm, "bias", None) is None
    assert "bias" not in dict(inspect.getmembers(norm))


def test_one_value_per_channel_moves_no_estimate(norm):
    """Its variance is 0: the estimate would fall to 0, and the gain rise to 1 / sqrt(eps)."""
    x = torch.tensor([[[5.0], [-3.0]]], requires_grad=True)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    with pytest.warns(PumiceWarning, match=r"TDBN: nothing is learned from one value per channel.*\(1, 2, 1\)"):
        y = norm(x)
    assert y.flatten().tolist() == pytest.approx([0.0, 0.1])  # beta
    y.sum().backward()
    assert not x.grad.any()
    assert not norm.scale.grad.any()
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


@pytest.mark.parametrize("shape", [(2, 2, 1), (1, 2, 2), (1, 2, 1, 2, 1)])
def test_two_values_per_channel_are_a_batch(norm, shape):
    norm(torch.randn(shape))
    assert norm.running_var.ne(1).all()


def test_one_value_per_channel_is_fine_in_evaluation(norm):
    assert norm.eval()(torch.zeros(1, 2, 1)).shape == (1, 2, 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", [TDBN, BiasFreeNorm])
def test_half_precision_is_widened_before_the_sums(dtype, kind):
    torch.manual_seed(0)
    x = (torch.randn(64, 3, 40) * 3 + 100).to(dtype)
    half, full = kind(3, threshold=0.5), kind(3, threshold=0.5)
    for training in (True, False):
        half.train(training), full.train(training)
        y, expected = half(x), full(x.float())
        assert y.dtype == torch.float32
        assert torch.equal(y, expected)
    assert torch.equal(half.running_var, full.running_var)


@pytest.mark.parametrize("kind", [TDBN, BiasFreeNorm])
@pytest.mark.parametrize("module_is_double", [True, False])
def test_double_precision_trains(kind, module_is_double):
    torch.manual_seed(0)
    x = torch.randn(8, 3, 5) + 2
    norm, expected = kind(3, threshold=0.5), kind(3, threshold=0.5)
    if module_is_double:
        norm.double()
    y, y_expected = norm(x.double()), expected(x)
    y.sum().backward()
    torch.testing.assert_close(y.float(), y_expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(norm.running_var.float(), expected.running_var)
    assert norm.running_var.dtype == (torch.float64 if module_is_double else torch.float32)


@pytest.mark.filterwarnings("ignore:CubaNeuron uses SLAYER's own loops")
@pytest.mark.parametrize("norm", [TDBN, BiasFreeNorm])
def test_a_network_trains_under_autocast(norm):
    torch.manual_seed(0)
    params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25, "norm": norm}
    model = torch.nn.Sequential(Dense(params, 20, 16), Dense(params, 16, 10))
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(torch.rand(8, 20, 5)).float().square().mean()
    loss.backward()
    assert all(float(block.synapse.weight.grad.abs().sum()) > 0 for block in model)
    assert all(block.neuron.norm.running_var.dtype == torch.float32 for block in model)


def test_unbiased_normalises_by_n_minus_1():
    y, biased = (TDBN(2, threshold=0.5, eps=0, unbiased=flag)(X.permute(1, 2, 0)) for flag in (True, False))
    assert y.std(dim=(0, 2)).tolist() == pytest.approx([0.5, 0.5])  # torch's std has n - 1
    assert biased.std(dim=(0, 2)).tolist() == pytest.approx([0.5 * (4 / 3) ** 0.5] * 2)


def test_two_normed_branches_have_the_threshold_as_deviation():
    """Oracle 3d: variance / V_th^2 of a sum of two is 2 at alpha 1, 1 at 1/sqrt(2)."""
    torch.manual_seed(0)
    x = torch.randn(2, 500, 3, 40)
    for alpha, expected in ((1.0, 2.0), (2**-0.5, 1.0)):
        norm = TDBN(3, alpha=alpha, threshold=0.5)
        assert (norm(x[0]) + norm(x[1])).var().item() / 0.25 == pytest.approx(expected, rel=0.03)
    assert (norm(x[0]) + norm(x[1]) > 0.5).float().mean().item() == pytest.approx(0.158655, abs=0.005)


def test_a_batch_norm_whose_weight_holds_the_threshold_is_loaded():
    """spikingjelly's form: a plain batch norm whose weight starts at alpha * V_th."""
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(torch.nn.BatchNorm2d(3, momentum=0.2))
    torch.nn.init.constant_(theirs[0].weight, 2**-0.5 * 0.5)
    x = torch.randn(6, 3, 4, 5, 2)
    images = x.movedim(-1, 0).flatten(0, 1)
    theirs(images)
    with torch.no_grad():
        theirs[0].weight += torch.tensor([0.1, 0.2, 0.3])
        theirs[0].bias += torch.tensor([0.3, -0.2, 0.1])
    ours = torch.nn.Sequential(TDBN(3, alpha=2**-0.5, threshold=0.5, momentum=0.2))
    ours.load_state_dict(theirs.state_dict())
    for training in (True, False):
        expected = theirs.train(training)(images).unflatten(0, (2, 6)).movedim(0, -1)
        torch.testing.assert_close(ours.train(training)(x), expected)
    torch.testing.assert_close(ours[0].running_var, theirs[0].running_var)
    assert set(theirs.state_dict()) > {"0.weight", "0.bias"}  # left as it was


def test_momentum_is_put_back():
    norms = torch.nn.Sequential(TDBN(2, threshold=1.0), TDBN(2, threshold=1.0, momentum=0.3))
    with momentum_of(norms, 1.0):
        assert [norm.momentum for norm in norms] == [1.0, 1.0]
    assert [norm.momentum for norm in norms] == [0.1, 0.3]
