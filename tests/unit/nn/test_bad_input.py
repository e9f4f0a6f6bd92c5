"""What a block refuses: at once, by its name, with what is allowed and what was found."""

import re
import warnings
from functools import partial

import numpy as np
import pytest
import torch

import pumice
from pumice import nn
from pumice.errors import InputError, PumiceWarning
from pumice.nn.checks import check_same_shape

LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}
HALF = partial(nn.TDBN, alpha=2**-0.5)
SPIKES = torch.ones(1, 4, 6, 6, 5)
FLAT = torch.ones(1, 4, 5)
TDBN = {**LIF, "norm": nn.TDBN}
MAKE = {"neurons": lambda: nn.Neurons(LIF), "norm": None}


def conv(**options):
    return nn.ConvSynapse(4, 8, **{"kernel_size": 3, **options})


def current(channels=4, **options):
    return nn.Current.of(nn.ConvSynapse(4, channels, 1, **options), SPIKES)


BROADCAST = [
    (
        lambda: nn.Merge(LIF, nn.ConvSynapse(4, 4, 1), nn.ConvSynapse(4, 1, 1)),
        "Merge: synapses of 4 and 1 channels .* concat=True",
    ),
    (
        lambda: nn.Merge(LIF, nn.ConvSynapse(4, 4, 1), nn.ConvSynapse(4, 4, 1, stride=6))(SPIKES, SPIKES),
        r"Merge: currents must have the same shape, got \(1, 4, 6, 6, 5\) and \(1, 4, 1, 1, 5\); give",
    ),
    (
        lambda: nn.Merge(LIF, nn.ConvSynapse(4, 4, 1), nn.ConvSynapse(4, 2, 1, stride=2), concat=True)(
            SPIKES, SPIKES
        ),
        r"same shape but for their channels, got \(1, 4, 6, 6, 5\) and \(1, 2, 3, 3, 5\)",
    ),
    (
        lambda: nn.Merge(LIF, nn.ConvSynapse(4, 4, 1), nn.IdentitySynapse(4))(SPIKES, SPIKES[..., :1]),
        r"\(1, 4, 6, 6, 5\) and \(1, 4, 6, 6, 1\); .* the same batch and steps",
    ),
    (lambda: (current() + current(stride=6)).value, r"Current: .* \(1, 4, 6, 6, 5\) and \(1, 4, 1, 1, 5\)"),
    (lambda: current().beside(current(2, stride=6)).value, "Current: .* but for their channels"),
    (lambda: current() + current(3), r"4 and 3 channels cannot be added; .* or use beside\(\)"),
    *(
        (
            lambda n=n: nn.TokenMixingSynapse(n, tokens=36, heads=2)(SPIKES),
            rf"takes \(batch, {n}, height, width, time\), got \(1, 4, 6, 6, 5\); make it for 4 channels",
        )
        for n in (2, 6, 8)
    ),
    (
        lambda: nn.IdentitySynapse(3)(SPIKES),
        r"IdentitySynapse takes \(batch, 3, \.\.\., time\), got \(1, 4, 6, 6, 5\)",
    ),
    (lambda: nn.IdentitySynapse(3)(SPIKES[:, :1]), "make it for 1 channel$"),
]
ARMS = [
    (lambda: nn.ConvSynapse(0, 4, 3), "ConvSynapse: in_features must be a whole number >= 1, got 0"),
    (lambda: nn.ConvSynapse(4, 2.5, 3), r"ConvSynapse: out_features must be a whole number >= 1, got 2\.5"),
    (lambda: conv(kernel_size=0), "ConvSynapse: kernel_size must be one or two whole numbers >= 1, got 0"),
    (lambda: conv(kernel_size=(3, 3, 3)), r"kernel_size must be one or two .* got \(3, 3, 3\)"),
    (lambda: conv(stride=(2, 0)), r"stride must be one or two whole numbers >= 1, got \(2, 0\)"),
    (lambda: conv(padding=-1), "padding must be one or two whole numbers >= 0, got -1"),
    (lambda: conv(dilation=0), "dilation .* got 0"),
    (lambda: conv(groups=0), "groups must be a whole number >= 1, got 0"),
    (lambda: conv(groups=3), "ConvSynapse: 3 groups do not divide 4 and 8 channels; use 1, 2 or 4"),
    (lambda: conv()(torch.ones(1, 3, 6, 6, 5)), r"ConvSynapse takes \(batch, 4, height, .* make it for 3 channels"),
    (lambda: conv()(FLAT), r"got \(1, 4, 5\); add or flatten axes"),
    (lambda: nn.DenseSynapse(4, 0), "DenseSynapse: out_neurons"),
    (lambda: nn.DenseSynapse(3, 2)(FLAT), r"DenseSynapse takes \(batch, 3, \.\.\., time\), got \(1, 4, 5\)"),
    (lambda: nn.IdentitySynapse(-1), "IdentitySynapse: channels"),
    (lambda: nn.LinearSynapse(4, 2, positions=0), "LinearSynapse: positions"),
    (lambda: nn.LinearSynapse(3, 2)(FLAT), "LinearSynapse takes .* make it for 4 channels"),
    (lambda: nn.LinearSynapse(4, 2)(SPIKES), "averages 1 positions, got 6 x 6; make it with positions=36"),
    (lambda: nn.TokenMixingSynapse(4, tokens=0), "TokenMixingSynapse: tokens"),
    (lambda: nn.TokenMixing(4, tokens=4, heads=0), "TokenMixingSynapse: heads must be a whole number >= 1, got 0"),
    (lambda: nn.TokenMixing(16, tokens=4, heads=3), "3 heads do not divide 16 channels; use 1, 2, 4, 8 or 16"),
    (lambda: nn.TokenMixing(1, tokens=4, heads=3), "3 heads do not divide 1 channel; use 1$"),
    (lambda: nn.TokenMixing(4, tokens=36)(FLAT), "TokenMixingSynapse takes .* add or flatten axes"),
    (lambda: nn.TokenMixing(4, tokens=30)(SPIKES), "an image of 6 x 6; make it with tokens=36"),
    *(
        (lambda norm=norm: nn.DenseSynapse(4, 4, norm=norm), f"DenseSynapse: norm must be a TDBN, .* got .*{name}")
        for norm, name in (
            ("tdbn", "'tdbn'"),
            (torch.nn.BatchNorm3d, "BatchNorm3d"),
            (torch.nn.BatchNorm3d(4), "BatchNorm3d"),
            (lambda: torch.nn.ReLU(inplace=True), "ReLU"),
        )
    ),
]
BLOCKS = [
    (lambda: nn.ResidualBlock(TDBN, 0, 4), "ResidualBlock: in_channels must be a whole number >= 1, got 0"),
    (lambda: nn.ResidualBlock(TDBN, 4, -1), "ResidualBlock: channels .* got -1"),
    (lambda: nn.Bottleneck(TDBN, 4, 4, stride=0), "Bottleneck: stride must be a whole number >= 1, got 0"),
    (lambda: nn.ResidualBlock(TDBN, 3, 4)(SPIKES), "make it for 4 channels"),
    *(
        (lambda norm=norm: nn.ResidualBlock({**LIF, "norm": norm}, 4, 4), f"must be .*TDBN, .* got .*{name}")
        for norm, name in (("tdbn", "'tdbn'"), (nn.TDBN(4), "TDBN"), (torch.nn.BatchNorm3d(4), "BatchNorm3d"))
    ),
    (
        lambda: nn.ResidualBlock({**LIF, "norm": torch.nn.BatchNorm3d}, 4, 4),
        "norm must be a TDBN, .* got .*BatchNorm3d",
    ),
    (
        lambda: nn.Merge({"threshold": 1.0}, conv()),
        "Merge: neuron_params must have threshold, current_decay, .* got thr",
    ),
    (lambda: nn.Neurons({}), "Neurons: neuron_params must have threshold, .* got nothing"),
    (lambda: nn.Neurons(LIF)(FLAT), r"Neurons takes a Current, got a Tensor; use Current\.of\(synapse, spikes\)"),
    (lambda: nn.Activation(torch.nn.ReLU())(FLAT), "Activation takes a Current, got a Tensor"),
    (lambda: nn.LinearReadout(4, 2)(FLAT), "LinearReadout takes a Current, got a Tensor"),
    (lambda: nn.LinearReadout(3, 2)(current()), "reads 3 channels, got a Current of 4; make it with channels=4"),
    (lambda: nn.LinearReadout(4, 0), "LinearReadout: n_classes"),
    (lambda: current() + FLAT, r"Current: \+ takes a Current, got a Tensor"),
    (lambda: current().beside(FLAT), "Current.beside takes a Current, got a Tensor"),
    (lambda: nn.ChannelMixerBlock(4, expansion=0, **MAKE), "ChannelMixerBlock: expansion"),
    (lambda: nn.SpikingPatchSplitting(3, -8, 2, **MAKE), "SpikingPatchSplitting: channels must be .* >= 1, got -8"),
    (lambda: nn.SpikingPatchSplitting(3, 8, 1, **MAKE)(SPIKES), "SpikingPatchSplitting takes .* for 4 channels"),
    (lambda: nn.SurrogateModule(4, tokens=36, n_classes=0), "SurrogateModule: n_classes"),
]
SHAPES = [
    (
        lambda: nn.Dense(dict(LIF), 3, 2)(FLAT),
        r"^Dense takes \(batch, 3, \.\.\., time\), got .*; make it for 4 channels",
    ),
    (
        lambda: nn.Dense(dict(LIF), 144, 2)(SPIKES),
        r"^Dense takes \(batch, 144, time\), got an image, .* nn.Flatten\(\)",
    ),
    (lambda: nn.Recurrent(dict(LIF), 144, 2)(SPIKES), r"got an image, .* nn.Flatten\(\)"),
    (lambda: nn.Dense(dict(LIF), (6, 6, 4), 2)(FLAT), r"^Dense takes \(batch, 4, height, width, time\), got"),
    (lambda: nn.Conv(dict(LIF), 3, 2, 3)(SPIKES), "^Conv takes .* make it for 4 channels"),
    (lambda: nn.Conv(dict(LIF), 4, 2, 3)(FLAT), r"^Conv takes .* got \(1, 4, 5\); add or flatten axes"),
    (lambda: nn.Pool(dict(LIF), 2)(FLAT), "^Pool takes .* add or flatten axes"),
    (lambda: nn.Dense(dict(LIF), 4, 2)(FLAT[0]), "^Dense takes .* add or flatten axes"),
    *(
        (lambda block=block: block(np.ones((1, 4, 5))), "^a torch.Tensor is needed, got ndarray; torch.as_tensor")
        for block in (nn.Dense(dict(LIF), 4, 2), nn.Recurrent(dict(LIF), 4, 2), nn.Merge(LIF, nn.DenseSynapse(4, 2)))
    ),
    *(
        (
            lambda use=use, x=x: use(x),
            rf"takes floating-point numbers, got {dtype}; x\.float\(\) holds the same values",
        )
        for dtype in (torch.int32, torch.uint8, torch.bool)
        for use, x in (
            (nn.Dense(dict(LIF), 4, 2), FLAT.to(dtype)),
            (nn.Conv(dict(LIF), 4, 2, 3), SPIKES.to(dtype)),
            (nn.Recurrent(dict(LIF), 4, 2), FLAT.to(dtype)),
            (nn.Merge(LIF, nn.DenseSynapse(4, 2)), FLAT.to(dtype)),
        )
    ),
    (lambda: nn.Dense(dict(LIF), 4.0, 2), r"^Dense: in_neurons must be a whole number >= 1, got 4\.0"),
    (lambda: nn.Dense(dict(LIF), (6, 0, 4), 2), "^Dense: in_neurons .* got 0"),
    (lambda: nn.Dense(dict(LIF), 4, -2), "^Dense: out_neurons .* got -2"),
    (lambda: nn.Recurrent(dict(LIF), 4, 0), "^Recurrent: out_neurons .* got 0"),
    (lambda: nn.Conv(dict(LIF), 0, 2, 3), "^Conv: in_features .* got 0"),
    (lambda: nn.Conv(dict(LIF), 3, 4, 3, groups=2), "^Conv: 2 groups do not divide 3 and 4 channels"),
    (lambda: nn.Conv(dict(LIF), 4, 2, "3"), "^Conv: kernel_size must be one or two whole numbers >= 1, got '3'"),
    (lambda: nn.Conv(dict(LIF), 4, 2, 3, padding="same"), "^Conv: padding must be one or two .* >= 0, got 'same'"),
    (lambda: nn.Pool(dict(LIF), (2, 2, 2)), r"^Pool: kernel_size .* got \(2, 2, 2\)"),
]
MAKERS = {
    "Dense": lambda params: nn.Dense(params, 4, 2),
    "Conv": lambda params: nn.Conv(params, 4, 2, 3),
    "Pool": lambda params: nn.Pool(params, 2),
    "Recurrent": lambda params: nn.Recurrent(params, 4, 2),
    "Merge": lambda params: nn.Merge(params, nn.DenseSynapse(4, 2)),
    "Neurons": nn.Neurons,
}
WRONG = [
    (None, "neuron_params must be a dictionary, got NoneType"),
    ({"threshold": 1.0}, "neuron_params must have threshold, current_decay, voltage_decay, got threshold"),
    ({**LIF, "treshold": 1.0}, "unknown neuron parameter 'treshold'; did you mean 'threshold'"),
    *(
        ({**LIF, "threshold": value}, "threshold must be a number > 0, got")
        for value in (0, -1.0, float("nan"), "0.5")
    ),
    *(({**LIF, "voltage_decay": d}, "voltage_decay must lie in 0..1, .* d / 4096") for d in (1024, 1.5, -0.1)),
    ({**LIF, "current_decay": (0.1, 2), "shared_param": False}, "current_decay must lie in 0..1"),
    *(
        ({**LIF, "current_decay": value}, r"current_decay must be a number, or with shared_param=False \(smallest")
        for value in ("1", None, [0.1, 0.2], torch.tensor(0.5))
    ),
    ({**LIF, "dropout": 0.3}, "dropout must be a module, .* got 0.3"),
]


@pytest.mark.parametrize("block", MAKERS)
@pytest.mark.parametrize(("params", "message"), WRONG)
def test_neuron_params_that_mean_no_neuron_are_refused(block, params, message):
    with pytest.raises(InputError, match=f"^{block}: {message}"):
        MAKERS[block](params)


@pytest.mark.parametrize("block", ["Dense", "Conv", "Recurrent"])
@pytest.mark.parametrize("norm", ["tdbn", nn.TDBN(2), torch.nn.BatchNorm1d, torch.nn.LayerNorm, 3])
def test_norms_that_cannot_be_made_are_refused(block, norm):
    with pytest.raises(
        InputError, match=f"^{block}: norm must be what makes a block's norm without arguments, nn.TDBN"
    ):
        MAKERS[block]({**LIF, "norm": norm})


def test_numbers_of_numpy_and_ranges_make_neurons():
    numbers = {"threshold": np.float32(0.5), "current_decay": np.float64(1), "voltage_decay": np.int64(0)}
    ranges = {**LIF, "current_decay": (0.9, 1), "voltage_decay": np.array([0.1, 0.5]), "shared_param": False}
    for params in (numbers, ranges, {**LIF, "norm": partial(nn.TDBN, alpha=0.5), "dropout": torch.nn.Dropout(0.1)}):
        for make in (MAKERS["Dense"], MAKERS["Conv"], MAKERS["Recurrent"]):
            make(params)


MASK = {"mask": torch.eye(2, 4), "weight_norm": True}
MASKS = [
    (lambda: nn.Dense(dict(LIF), 4, 2, **MASK), "Dense: a mask is undone by weight_norm=True"),
    (lambda: nn.LateralInhibition(dict(LIF), 4, 2, **MASK), "LateralInhibition: a mask is undone"),
]
NO_STEPS = [
    (lambda: nn.Dense(dict(LIF), 4, 2)(FLAT[..., :0]), r"at least one step, .* got input of shape \(1, 4, 0\)"),
    (lambda: nn.Conv(dict(LIF), 4, 2, 3)(SPIKES[..., :0]), "at least one step"),
    (lambda: nn.Dense({**LIF, "gradient": "hm2bp"}, 4, 2)(FLAT[..., :0]), "at least one step"),
    (lambda: nn.Recurrent(dict(LIF), 4, 2)(FLAT[..., :0]), "at least one step"),
    (lambda: nn.LeakyReadout(4, 2)(FLAT[..., :0]), "at least one step"),
    (lambda: nn.CubaNeuron(**LIF)(FLAT[..., :0]), "at least one step"),
    (lambda: nn.CubaNeuron(**LIF).dynamics(FLAT[..., :0]), "at least one step"),
    (lambda: nn.FloatCubaNeuron(1.0, 1.0, 0.5).dynamics(FLAT[..., :0]), "at least one step"),
    (lambda: nn.SRMNeuron(threshold=1.0)(FLAT[..., :0]), "at least one step"),
]
NORMS = [
    (lambda: nn.TDBN(0), "TDBN: num_features must be a whole number >= 1, got 0"),
    (lambda: nn.TDBN(4, alpha=0), r"TDBN: alpha must be > 0: 1, or 1/sqrt\(n\) for one of n synapses, got 0"),
    (lambda: nn.TDBN(4, threshold=-1), "TDBN: threshold must be > 0"),
    (lambda: nn.TDBN(4, eps=-1), "TDBN: eps must be >= 0, got -1"),
    (lambda: nn.TDBN(4, momentum=2), "TDBN: momentum must be 0 to 1, got 2"),
    (lambda: nn.TDBN(4, threshold=float("nan")), "threshold must be > 0, the neuron's, got nan"),
    (lambda: nn.BiasFreeNorm(4, momentum=2), "BiasFreeNorm: momentum"),
    (lambda: nn.BiasFreeNorm(4, unbiased=True), "BiasFreeNorm: .*; leave out unbiased"),
    (lambda: nn.TDBN(3, threshold=1.0)(FLAT), "TDBN has 3 channels, .* make it with num_features=4, or without"),
    (lambda: nn.BiasFreeNorm(3, threshold=1.0)(FLAT), r"BiasFreeNorm has 3 channels, got .*\(1, 4, 5\)"),
    (lambda: nn.BiasFreeNorm(1, threshold=1.0)(FLAT), "BiasFreeNorm has 1 channel,"),
]


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")  # of lava-dl's own
@pytest.mark.parametrize(("call", "message"), [*BROADCAST, *ARMS, *BLOCKS, *NORMS, *MASKS, *NO_STEPS, *SHAPES])
def test_wrong_use_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_lowering_names_the_currents_that_differ():
    """A sum that torch would broadcast never comes as far as the graph."""
    model = nn.Merge(LIF, nn.ConvSynapse(4, 4, 1), nn.ConvSynapse(4, 4, 1, stride=6))

    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.sum = model

        def forward(self, x):
            return self.sum(x, x)

    with pytest.raises(InputError, match="currents must have the same shape"):
        pumice.lower(Twice(), SPIKES)


def test_whole_numbers_of_numpy_are_sizes():
    four, one = np.int64(4), np.int32(1)
    assert nn.ConvSynapse(four, four, four, stride=one, padding=(one, one)).stride == (1, 1)
    assert nn.TokenMixing(four, tokens=four, heads=one).weight.shape == (1, 4, 4)
    assert nn.Dense(dict(LIF), np.prod((4, 1)), four)(FLAT).shape == (1, 4, 5)
    assert nn.Recurrent(dict(LIF), four, four)(FLAT).shape == (1, 4, 5)
    assert nn.Conv(dict(LIF), four, four, four, stride=one, padding=(one, one), groups=one)(SPIKES).shape[2:4] == (
        5,
        5,
    )
    assert nn.Pool(dict(LIF), np.int64(2))(SPIKES).shape[2:4] == (3, 3)


def test_currents_of_one_shape_pass():
    check_same_shape("here", [SPIKES, SPIKES.clone()])
    check_same_shape("here", [SPIKES, SPIKES[:, :1]], concat=True)


@pytest.mark.parametrize(
    "synapses",
    [
        lambda: (nn.DenseSynapse(4, 4, norm=nn.TDBN), nn.IdentitySynapse(4, norm=nn.TDBN)),
        lambda: (
            nn.DenseSynapse(4, 4, norm=HALF),
            nn.DenseSynapse(4, 4, norm=nn.BiasFreeNorm),
            nn.DenseSynapse(4, 4),
        ),
        lambda: (nn.DenseSynapse(4, 4, norm=nn.TDBN(4)), nn.DenseSynapse(4, 4, norm=lambda: nn.TDBN(eps=0.1))),
    ],
)
def test_a_sum_of_norms_without_alpha_is_warned_of(synapses):
    with pytest.warns(PumiceWarning, match=re.escape("alpha=2**-0.5")) as caught:
        nn.Merge(LIF, *synapses())
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("synapses", "options"),
    [
        (lambda: [nn.DenseSynapse(4, 4, norm=nn.TDBN)], {}),
        (lambda: [nn.DenseSynapse(4, 4, norm=nn.TDBN), nn.DenseSynapse(4, 4)], {}),
        (lambda: [nn.DenseSynapse(4, 4, norm=nn.TDBN) for _ in range(2)], {"concat": True}),
        (lambda: [nn.DenseSynapse(4, 4, norm=HALF) for _ in range(2)], {}),
        (lambda: [nn.DenseSynapse(4, 4, norm=partial(nn.TDBN, alpha=1.0)) for _ in range(2)], {}),
        (lambda: nn.ResidualBlock(TDBN, 4, 4).sum.synapses, {}),
    ],
)
def test_other_sums_are_not_warned_of(synapses, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.Merge(LIF, *synapses(), **options)
