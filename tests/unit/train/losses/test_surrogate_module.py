import pytest
import torch
from torch.nn.functional import cross_entropy

from pumice.errors import InputError
from pumice.models import stmixer
from pumice.nn.blocks.surrogate_module import freeze_surrogates_
from pumice.nn.probes.surrogates import watch_surrogates
from pumice.train.losses import SurrogateModuleLoss

LIF = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}
MAIN, OTHER, LABEL = torch.tensor([[[2.0], [0.0]]]), torch.tensor([[1.0, 1.0]]), torch.tensor([0])


def test_the_papers_value():
    """Oracle 4d."""
    assert SurrogateModuleLoss()((MAIN, [OTHER]), LABEL).item() == pytest.approx(0.0797937, abs=1e-7)
    hard = SurrogateModuleLoss(weight=0.0)((MAIN, [OTHER]), LABEL).item()
    soft = SurrogateModuleLoss(weight=1.0)((MAIN, [OTHER]), LABEL).item()
    assert (hard, soft) == (pytest.approx(0.315668, abs=1e-6), pytest.approx(0.053585, abs=1e-6))


def test_two_equal_modules_count_like_one_in_agreement_and_more_in_cross_entropy():
    one = SurrogateModuleLoss(weight=1.0)((MAIN, [OTHER]), LABEL)
    torch.testing.assert_close(SurrogateModuleLoss(weight=1.0)((MAIN, [OTHER, OTHER]), LABEL), one)
    hard = SurrogateModuleLoss(weight=0.0)((MAIN, [OTHER, OTHER]), LABEL)
    expected = (cross_entropy(MAIN[..., 0], LABEL) + cross_entropy(OTHER, LABEL)) / 2
    torch.testing.assert_close(hard, expected)


def test_batch_and_time_are_averaged():
    main = torch.tensor([[[3.0, 1.0], [0.5, -0.5]]])  # mean over time: 2, 0
    assert SurrogateModuleLoss()((main, [OTHER]), LABEL).item() == pytest.approx(0.0797937, abs=1e-7)
    twice = (MAIN.repeat(2, 1, 1), [OTHER.repeat(2, 1)]), LABEL.repeat(2)
    assert SurrogateModuleLoss()(*twice).item() == pytest.approx(0.0797937, abs=1e-7)


def test_gradient_stops_at_the_targets():
    """KL(main || other) + KL(other || main) with both sides live has another gradient."""
    main, other = MAIN.clone().requires_grad_(), OTHER.clone().requires_grad_()
    SurrogateModuleLoss(weight=1.0)((main, [other]), LABEL).backward()
    p, q = (torch.softmax(z / 3, 1) for z in (MAIN[..., 0], OTHER))
    torch.testing.assert_close(main.grad[..., 0], (p - q) / 6)  # d KL(q || p) / dz = (p - q) / tau, times 1/2
    torch.testing.assert_close(other.grad, (q - p) / 6)


def test_without_surrogates_it_is_the_cross_entropy():
    expected = cross_entropy(MAIN[..., 0], LABEL)
    torch.testing.assert_close(SurrogateModuleLoss()(MAIN, LABEL), expected)
    torch.testing.assert_close(SurrogateModuleLoss()((MAIN, []), LABEL), expected)


def test_all_modules_answer_in_training_and_none_in_evaluation():
    model = stmixer(LIF, (1, 8, 8), 3, embed_dim=16, depth=4, heads=2, surrogates=True)
    x = torch.randint(0, 9, (4, 1, 8, 8, 2)).float()
    with watch_surrogates(model) as answers:
        model(x)
        assert [a.shape for a in answers.take()] == [(4, 3), (4, 3)]
        model.eval()(x)
        assert answers.take() == []
    model.train()(x)
    assert answers.take() == []  # nobody watches any more


def test_the_first_layers_learn_from_the_surrogates_alone():
    """With the answer detached, gradient comes through the surrogate modules only; without them there is none."""
    x, labels = torch.randint(0, 9, (4, 1, 8, 8, 2)).float(), torch.tensor([0, 1, 2, 0])
    model = stmixer(LIF, (1, 8, 8), 3, embed_dim=16, depth=2, heads=2, surrogates=True)
    with watch_surrogates(model) as answers:
        loss = SurrogateModuleLoss()((model(x).detach(), answers.take()), labels)
    loss.backward()
    assert model.embed.convs[0].weight.grad.abs().sum() > 0
    assert model.encoders[-1].last.weight.grad is None


def test_frozen_modules_get_no_gradient_and_the_network_keeps_its_own():
    """Several processes would wait for the gradients of weights that no loss reaches."""
    model = stmixer(LIF, (1, 8, 8), 3, embed_dim=16, depth=2, heads=2, surrogates=True)
    freeze_surrogates_(model)
    model(torch.randint(0, 9, (4, 1, 8, 8, 2)).float()).square().sum().backward()
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert learning
    assert not any(name.startswith("surrogates.") for name in learning)
    for name, parameter in learning.items():
        assert parameter.grad is not None, name


def test_the_weight_moves_in_a_straight_line():
    loss, answer = SurrogateModuleLoss(weight=1.0, last_weight=0.0), (MAIN, [OTHER])
    soft = loss(answer, LABEL)
    loss.at(1.0)
    hard = loss(answer, LABEL)
    assert (hard.item(), soft.item()) == (pytest.approx(0.315668, abs=1e-6), pytest.approx(0.053585, abs=1e-6))
    loss.at(0.25)
    torch.testing.assert_close(loss(answer, LABEL), 0.75 * soft + 0.25 * hard)


@pytest.mark.parametrize(
    "options", [{"weight": 1.5}, {"last_weight": -0.5}, {"surrogate_weight": -1}, {"temperature": 0}]
)
def test_values_that_do_not_fit_are_refused(options):
    with pytest.raises(InputError, match=r"must lie in 0\.\.1"):
        SurrogateModuleLoss(**options)
