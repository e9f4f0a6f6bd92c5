import copy

import pytest
import torch
from torch.nn.utils import parametrizations, prune

from pumice import nn
from pumice.errors import InputError, PumiceWarning
from pumice.nn.padding import own_steps
from pumice.nn.probes.firing import watch_firing
from pumice.quantization import quantize_
from pumice.train import initialize_by_data_, load_checkpoint, train
from pumice.train.build import example_input
from pumice.train.trained import start


def lif(threshold=0.5, **options):
    return {"threshold": threshold, "current_decay": 0.5, "voltage_decay": 0.25, **options}


def spikes(*shape):
    torch.manual_seed(0)
    return (torch.rand(16, *shape, 8) < 0.2).float()


def dense(**options):
    torch.manual_seed(0)
    return torch.nn.Sequential(nn.Dense(lif(**options), 64, 48), nn.Dense(lif(**options), 48, 32))


def conv(**options):
    torch.manual_seed(0)
    layers = nn.Conv(lif(**options), 2, 8, 3, padding=1), nn.Conv(lif(**options), 8, 8, 3, stride=2)
    return torch.nn.Sequential(*layers, nn.Flatten(), nn.Dense(lif(**options), 72, 32))


def recurrent(**options):
    torch.manual_seed(0)
    return torch.nn.Sequential(nn.Recurrent(lif(**options), 64, 48), nn.Dense(lif(**options), 48, 32))


class Residual(torch.nn.Module):
    def __init__(self, norm=None, threshold=0.5):
        super().__init__()
        torch.manual_seed(0)
        params, half = lif(threshold), norm and (lambda: norm(alpha=0.7))
        self.first = nn.Dense({**params, "norm": norm}, 64, 40)
        self.sum = nn.Merge(params, nn.DenseSynapse(40, 40, norm=half), nn.DenseSynapse(40, 40, norm=half))
        self.stream = nn.DenseSynapse(40, 40, norm=norm and (lambda: norm(threshold=threshold)))
        self.more = nn.DenseSynapse(40, 40, norm=norm and (lambda: norm(threshold=threshold)))
        self.fire, self.again = nn.Neurons(params), nn.Neurons(params)

    def forward(self, x):
        h = self.first(x)
        current = nn.Current.of(self.stream, self.sum(h, h))
        return self.again(current + nn.Current.of(self.more, self.fire(current)))


def rates(model, x, *, training):
    with torch.no_grad(), watch_firing(model.train(training)) as firing:
        model(x)
    return list(firing.rates().values())


@pytest.mark.parametrize("norm", [None, nn.TDBN, nn.BiasFreeNorm])
@pytest.mark.parametrize("threshold", [0.5, 3.0])
@pytest.mark.parametrize("make", [dense, conv, Residual], ids=lambda f: f.__name__)
def test_every_layer_fires_at_the_chosen_rate_in_both_modes(make, norm, threshold):
    model, x = make(norm=norm, threshold=threshold), spikes(2, 8, 8) if make is conv else spikes(64)
    found = initialize_by_data_(model, x, rate=0.15)
    assert model.training
    for training in (True, False):
        assert rates(model, x, training=training) == pytest.approx([0.15] * len(found), rel=0.1)
    assert list(found.values()) == pytest.approx([0.15] * len(found), rel=0.1)


@pytest.mark.parametrize("norm", [None, nn.TDBN])
def test_a_recurrent_block_is_scaled_with_its_feedback(norm):
    model, x = recurrent(norm=norm), spikes(64)
    initialize_by_data_(model, x, rate=0.15)
    assert rates(model, x, training=True) == pytest.approx([0.15, 0.15], rel=0.1)


@pytest.mark.parametrize("name", ["digits", "digits-stmixer"])
def test_the_presets_networks_can_be_initialised(digits, name):
    from pumice.train import PRESETS

    recipe = PRESETS[name]
    model, x = start(recipe, digits).model, example_input(recipe, digits, 16)
    found = initialize_by_data_(model, x, rate=0.2)
    assert list(found.values()) == pytest.approx([0.2] * len(found), rel=0.1)


def test_a_rate_may_also_fall():
    """Scaled by a number below 1; the weights keep their proportions."""
    model, x = dense(threshold=0.1), spikes(64)
    before = [block.synapse.weight.detach().clone() for block in model]
    assert min(rates(model, x, training=True)) > 0.1
    initialize_by_data_(model, x, rate=0.02)
    assert rates(model, x, training=True) == pytest.approx([0.02, 0.02], rel=0.2)
    for block, weight in zip(model, before, strict=True):
        ratio = block.synapse.weight.detach() / weight
        torch.testing.assert_close(ratio, torch.full_like(ratio, float(ratio.mean())))


def test_weights_are_not_scaled_beyond_their_8_bits():
    model, x = dense(threshold=5.0), spikes(64)
    initialize_by_data_(model, x, rate=0.15)
    assert max(float(block.synapse.weight.detach().abs().max()) for block in model) <= 254 / 64 * 1.00001


@pytest.mark.parametrize("how", ["weight_norm", "prune"])
def test_weights_that_are_computed_are_scaled_by_what_they_come_from(how):
    model, x = dense(), spikes(64)
    if how == "prune":
        prune.l1_unstructured(model[0].synapse, "weight", 0.5)
    else:
        parametrizations.weight_norm(model[0].synapse)
    initialize_by_data_(model, x, rate=0.15)
    assert rates(model, x, training=True) == pytest.approx([0.15, 0.15], rel=0.1)
    if how == "prune":
        assert float((model[0].synapse.weight == 0).float().mean()) == 0.5


def test_it_is_the_same_every_time_and_draws_nothing():
    a, x = dense(norm=nn.TDBN), spikes(64)
    a(x)
    b, state = copy.deepcopy(a), torch.get_rng_state()
    initialize_by_data_(a, x)
    assert torch.equal(torch.get_rng_state(), state)
    initialize_by_data_(b, x)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_what_is_frozen_stays():
    model, x = dense(), spikes(64)
    model[0].synapse.weight.requires_grad = False
    before = model[0].synapse.weight.clone()
    with pytest.warns(PumiceWarning, match="not every layer comes near the rate 0.4: '0' 0"):
        found = initialize_by_data_(model, x, rate=0.4)
    assert torch.equal(model[0].synapse.weight, before)
    assert found["1"] == pytest.approx(0.4, rel=0.1)


def test_modes_and_momenta_are_put_back():
    model, x = dense(norm=nn.TDBN), spikes(64)
    model[1].eval()
    initialize_by_data_(model, x)
    assert [block.training for block in model] == [True, False]
    assert [block.neuron.norm.training for block in model] == [True, False]
    assert [block.neuron.norm.momentum for block in model] == [0.1, 0.1]
    assert not any(m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("norm", [None, nn.TDBN])
def test_a_refused_call_leaves_the_model_as_it_was(norm):
    model, x = dense(norm=norm), spikes(64)
    model[1].synapse.weight.data.zero_()
    model(x)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match="layer '1' stays silent"):
        initialize_by_data_(model, x)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_threshold_that_8_bits_cannot_reach_is_refused():
    with pytest.raises(InputError, match=r"layer '0' stays silent.*lower its threshold \(1000\)"):
        initialize_by_data_(dense(threshold=1000.0), spikes(64))


def test_other_mistakes_are_refused():
    x = spikes(64)
    for rate in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(InputError, match="rate must lie between 0 and 1"):
            initialize_by_data_(dense(), x, rate=rate)
    with pytest.raises(InputError, match="no block with neurons"):
        initialize_by_data_(torch.nn.Flatten(), x)
    model = dense(norm=nn.TDBN)
    model(x)
    quantize_(model.eval(), x)
    with pytest.raises(InputError, match="is deployed"):
        initialize_by_data_(model, x)


def test_a_recipe_can_ask_for_it_and_is_resumed_bit_for_bit(tiny_recipe, digits, tmp_path):
    recipe = tiny_recipe.overridden(["training.initial_rate=0.2", "neuron.threshold=4", "neuron.norm=none"])
    model = start(recipe, digits).model
    initialize_by_data_(model, example_input(recipe, digits, recipe.training.batch_size), 0.2)
    slow = train(recipe.overridden(["training.lr=1e-9", "training.epochs=1", "training.finetune_epochs=0"]), digits)
    torch.testing.assert_close(slow.model.conv1.synapse.weight, model.conv1.synapse.weight, atol=1e-6, rtol=1e-6)
    assert slow.history[0].firing_rates["conv1"] == pytest.approx(0.2, rel=0.2)

    class StopError(Exception):
        pass

    def stop(_):
        raise StopError

    whole, path = train(recipe, digits), tmp_path / "c.pt"
    with pytest.raises(StopError):
        train(recipe, digits, checkpoint_path=path, on_epoch=stop)
    resumed = train(recipe, digits, resume_from=load_checkpoint(path))
    states = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("norm", [None, nn.TDBN])
@pytest.mark.parametrize("make", [dense, recurrent], ids=lambda f: f.__name__)
def test_padding_counts_in_no_rate(make, norm):
    """Behind the end of the shorter samples something comes that would make every neuron fire, or nothing at all."""
    x = spikes(64)
    lengths = torch.full((len(x),), x.shape[-1])
    lengths[::2] = 2
    own, scaled = own_steps(lengths, x.shape[-1]), []
    for behind in (0.0, 30.0):
        torch.manual_seed(1)
        model = make(norm=norm)
        rates = initialize_by_data_(model, torch.where(own[:, None], x, behind), rate=0.15, lengths=lengths)
        assert list(rates.values()) == pytest.approx([0.15] * len(rates), rel=0.1)
        scaled.append([p.detach().clone() for p in model.parameters()])
    for a, b in zip(*scaled, strict=True):
        torch.testing.assert_close(a, b)
