import warnings

import pytest
import torch
from lava.lib.dl.slayer.block import adrf_iz, rf
from lava.lib.dl.slayer.block import cuba as slayer

import pumice
from pumice import nn
from pumice.errors import InputError, LoweringError, PumiceWarning
from pumice.quantization.trace import trace

ADAPTIVE = {
    "threshold": 0.4,
    "period": 12.0,
    "decay": 0.1,
    "threshold_step": 0.3,
    "threshold_decay": 0.2,
    "refractory_decay": 0.3,
}


class Between(torch.nn.Module):
    """Something happens between two blocks."""

    def __init__(self, params, step):
        super().__init__()
        self.a, self.b, self.step = nn.Dense(params, 3, 3), nn.Dense(params, 3, 3), step

    def forward(self, x):
        return self.b(self.step(self.a(x)))


class Answering(torch.nn.Module):
    """Something happens behind the last block."""

    def __init__(self, params, answer):
        super().__init__()
        self.a, self.b, self.answer = nn.Dense(params, 3, 3), nn.Dense(params, 3, 3), answer

    def forward(self, x):
        a = self.a(x)
        return self.answer(a, self.b(a))


def test_calls_come_in_order_with_their_sources(params):
    model = torch.nn.Sequential(nn.Conv(params, 1, 2, 3), nn.Flatten(), nn.Dense(params, 8, 2)).train()
    calls = trace(model, torch.ones(1, 1, 4, 4, 5))
    assert [(c.name, c.sources) for c in calls] == [("0", ("input",)), ("1", ("0",)), ("2", ("1",))]
    assert model.training


def ablated(_module, _args, output):
    output = output.clone()
    output[:, 0] = 0
    return output


def ablated_in_place(_module, _args, output):
    with torch.no_grad():
        output[:, 0] = 0


@pytest.mark.parametrize("hook", [ablated, ablated_in_place])
@pytest.mark.parametrize("part", ["a", "a.neuron", "a.synapse"])
@pytest.mark.parametrize("use", [pumice.quantize_, pumice.lower])
def test_a_hook_that_changes_what_leaves_is_refused(params, use, part, hook):
    """Where nothing fires on the first samples, no proof would find it."""
    model = Between(params, lambda x: x)
    model.get_submodule(part).register_forward_hook(hook)
    said = "a forward hook of " + (f"its part {part[2:]!r}" if part[1:] else "it")
    with pytest.raises(LoweringError, match=f"block 'a': {said} changes what leaves it"):
        use(model, torch.zeros(2, 3, 4))
    assert len(model.get_submodule(part)._forward_hooks) == 1


def test_a_hook_that_changes_what_enters_a_part_is_refused(params):
    model = Between(params, lambda x: x)
    model.a.synapse.register_forward_pre_hook(lambda _, args: (args[0] * 2,))
    with pytest.raises(LoweringError, match="a forward pre-hook of its part 'synapse' changes what enters it"):
        trace(model, torch.ones(1, 3, 4))


def test_hooks_that_look_are_left_alone(params):
    model, seen = Between(params, lambda x: x), []
    for module in model.modules():
        module.register_forward_hook(lambda m, args, y: seen.append(m))
        module.register_forward_hook(lambda m, args, y: y)
        module.register_forward_pre_hook(lambda m, args: seen.append(m))
        module.register_full_backward_hook(lambda *_: None)
    n = len(seen)
    trace(model, torch.ones(1, 3, 4))
    assert len(seen) > n
    assert all(len(m._forward_hooks) == 2 and len(m._forward_pre_hooks) == 1 for m in model.modules())


def emptied(x):
    x.data[:] = 0
    return x


def emptied_in_numpy(x):
    x.detach().numpy()[:] = 0
    return x


@pytest.mark.parametrize("step", [lambda x: x * 2, lambda x: x.mul_(2), torch.clone, emptied, emptied_in_numpy])
def test_what_happens_between_blocks_is_refused(params, step):
    with pytest.raises(LoweringError, match="block 'b': its input is neither"):
        trace(Between(params, step), torch.ones(1, 3, 4))


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (lambda a, b: b.mean(-1), r"a tensor of shape \(1, 3\) that no block made"),
        (lambda a, b: a * b, r"a tensor of shape \(1, 3, 4\) that no block made"),
        (lambda a, b: b.mul_(2), r"a tensor of shape \(1, 3, 4\) that no block made"),
        (lambda a, b: (a * b, b), r"a tensor of shape \(1, 3, 4\) that no block made"),
        (lambda a, b: None, "no tensor"),
    ],
)
def test_what_happens_behind_the_last_block_is_refused(params, answer, got):
    with pytest.raises(LoweringError, match=f"the model returns {got}; return first, unchanged, .* 'b'"):
        trace(Answering(params, answer), torch.ones(1, 3, 4))


def test_what_made_the_tensor_between_two_blocks_is_named(params):
    model = torch.nn.Sequential(nn.Conv(params, 1, 2, 3), torch.nn.MaxPool3d((2, 2, 1)), nn.Conv(params, 2, 2, 1))
    with pytest.raises(LoweringError, match=r"block '2': .* but what MaxPool3d '1' made; .*pooling is nn\.Pool"):
        trace(model, torch.ones(1, 1, 6, 6, 5))


def test_what_is_returned_beside_the_answer_is_announced(params):
    x = torch.ones(1, 3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trace(Answering(params, lambda a, b: (b, [0.5])), x)
        trace(Answering(params, lambda a, b: {"spikes": b, "layers": [a, b]}), x)
    with pytest.warns(PumiceWarning, match="returns beside its blocks' outputs is not lowered"):
        trace(Answering(params, lambda a, b: (b, b.mean())), x)


def test_other_kinds_are_named(params):
    model = torch.nn.Sequential(nn.Dense(params, 3, 3), slayer.TimeDecimation(2))
    with pytest.raises(LoweringError, match=r"block '1': .*TimeDecimation cannot be lowered"):
        trace(model, torch.ones(1, 3, 4))
    resonators = rf.Dense({"threshold": 0.1, "period": 8.0, "decay": 0.1}, 3, 3)
    with pytest.raises(LoweringError, match=r"rf\.Dense cannot be lowered"):
        trace(torch.nn.Sequential(resonators), torch.ones(1, 3, 4))


def test_shared_blocks_are_refused(params):
    block = nn.Dense(params, 3, 3)
    with pytest.raises(LoweringError, match="called twice"):
        trace(torch.nn.Sequential(block, block), torch.ones(1, 3, 4))


def test_a_model_without_blocks_is_refused():
    with pytest.raises(LoweringError, match="calls no block"):
        trace(torch.nn.Linear(3, 3), torch.ones(1, 3))


def test_a_block_that_fails_by_itself_is_named(params):
    x = torch.ones(1, 3, 4)
    counting = torch.nn.Sequential(nn.Dense(params, 3, 3), slayer.Dense(params, 3, 3, count_log=True))
    with pytest.raises(LoweringError, match=r"block '1': count_log=True, .* leave it out"):
        trace(counting, x)
    with pytest.raises(LoweringError, match=r"block '0': .*adrf_iz\.Dense cannot be lowered"):
        trace(torch.nn.Sequential(adrf_iz.Dense({**ADAPTIVE}, 3, 3)), x)
    with pytest.raises(LoweringError, match=r"block 'model': its own forward pass fails, RuntimeError: .*must run"):
        trace(slayer.Dense(params, 5, 3), x)


def test_the_block_that_refuses_its_input_is_named(params):
    model = torch.nn.Sequential(nn.Dense(params, 3, 3), torch.nn.Sequential(nn.Merge(params, nn.DenseSynapse(4, 2))))
    with pytest.raises(InputError, match=r"block '1\.0': DenseSynapse"):
        trace(model, torch.ones(1, 3, 4))


def test_what_the_model_itself_raises_is_its_own(params):
    with pytest.raises(ZeroDivisionError):
        trace(Between(params, lambda x: 1 / 0), torch.ones(1, 3, 4))


def test_inference_mode_does_not_disturb(params):
    synapse, block = nn.DenseSynapse(3, 3), nn.Neurons(params)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.synapse, self.block = synapse, block

        def forward(self, x):
            return self.block(nn.Current.of(self.synapse, x))

    with torch.inference_mode():
        calls = trace(Net(), torch.ones(1, 3, 4))
    assert [call.name for call in calls] == ["block"]
    assert not calls[0].y.is_inference()
