import pytest
import torch

from pumice import nn
from pumice.errors import InputError
from pumice.models import build_model, stmixer
from pumice.quantization import quantize_

LIF = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}


def small(**options):
    return stmixer(LIF, (1, 8, 8), 3, **{"embed_dim": 16, "depth": 2, "heads": 2, **options})


def learned(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("image", "classes", "options", "expected"),
    [
        ((3, 32, 32), 10, {}, 8_223_674),
        ((3, 32, 32), 100, {}, 8_258_324),
        ((3, 224, 224), 1000, {"downsampling": 4, "embed_dim": 768, "heads": 8, "depth": 8}, 58_708_808),
    ],
)
def test_the_papers_parameter_counts(image, classes, options, expected):
    """Oracles 3h and 4e; a network with biases or surrogate modules has others."""
    with torch.device("meta"):
        assert learned(stmixer(LIF, image, classes, **options)) == expected


@pytest.mark.parametrize(
    ("image", "options", "tokens", "mixing", "convolutions"),
    [
        (32, {"downsampling": 2, "embed_dim": 384, "heads": 16}, 64, 65_536, 1_474_560),
        (224, {"downsampling": 4, "embed_dim": 768, "heads": 8}, 196, 307_328, 5_898_240),
        (128, {"downsampling": 4, "embed_dim": 256, "heads": 16}, 64, 65_536, 655_360),
    ],
)
def test_the_papers_parameter_counts_of_a_block(image, options, tokens, mixing, convolutions):
    """Oracle 4e: a token mixer's matrices, and the 1x1 convolutions of it and the channel mixer behind it."""
    with torch.device("meta"):
        model = stmixer(LIF, (3, image, image), 10, depth=1, **options)
    assert model.encoders[0].mix.weight.shape == (options["heads"], tokens, tokens)
    assert model.encoders[0].mix.weight.numel() == mixing
    convs = [m for m in model.encoders.modules() if isinstance(m, nn.ConvSynapse)]
    assert sum(conv.weight.numel() for conv in convs) == convolutions


def test_surrogates_change_nothing_outside_training():
    """Dropped at inference: with the same weights the answer is the same, and no surrogate is called."""
    torch.manual_seed(0)
    plain, taught = small(depth=4), small(depth=4, surrogates=True)
    x = torch.randint(0, 9, (4, 1, 8, 8, 3)).float()
    taught(x)
    weights = {k: v for k, v in taught.state_dict().items() if not k.startswith("surrogates.")}
    assert len(weights) < len(taught.state_dict())
    plain(x)  # gives the neurons their shapes
    plain.load_state_dict(weights)
    called = []
    for module in taught.surrogates:
        module.register_forward_hook(lambda *_: called.append(1))
    assert torch.equal(plain.eval()(x), taught.eval()(x))
    assert not called
    taught.train()(x)
    assert len(called) == 2


def test_surrogates_rest_once_the_network_is_deployed():
    model = small(surrogates=True)
    x = torch.randint(0, 9, (4, 1, 8, 8, 3)).float()
    model(x)
    quantize_(model.eval(), x)
    called = []
    model.surrogates[0].register_forward_hook(lambda *_: called.append(1))
    model.train()(x).sum().backward()
    assert not called


def test_each_surrogate_reads_the_stream_where_it_should():
    model = small(depth=4, surrogates=True)
    order = []
    names = {module: name for name, module in model.named_modules()}
    for part in (model.embed, *model.encoders, *model.surrogates):
        part.register_forward_hook(lambda part, *_: order.append(names[part]))
    model(torch.ones(2, 1, 8, 8, 1))
    before = [order[: order.index(f"surrogates.{i}")] for i in range(2)]
    assert [sum(name.startswith("encoders") for name in names) for names in before] == [0, 4]


def test_with_one_step_every_sample_is_a_threshold_alone():
    """T = 1 equals T = 2 in the first step, and the second differs: the membrane holds something."""
    model = small().eval()
    x = torch.randint(0, 9, (4, 1, 8, 8, 1)).float()
    with torch.no_grad():
        for _ in range(3):
            model.train()(x)
        model.eval()
        twice = model(x.repeat(1, 1, 1, 1, 2))
        assert torch.equal(model(x)[..., 0], twice[..., 0])
        assert not torch.equal(twice[..., 0], twice[..., 1])


def test_without_bias_silence_gives_silence():
    silent = torch.zeros(2, 1, 8, 8, 3)
    for bias in (False, True):
        model = small(bias=bias)
        x = torch.randint(0, 9, (8, 1, 8, 8, 3)).float()
        for _ in range(3):
            model(x)
        assert bool(model.eval()(silent).any()) is bias


def test_it_is_found_by_name_and_ignores_a_recipes_norm():
    model = build_model("stmixer", {**LIF, "norm": nn.TDBN}, (1, 8, 8), 3, embed_dim=16, depth=1, heads=2)
    assert model(torch.ones(2, 1, 8, 8, 2)).shape == (2, 3, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth must be a whole number >= 1, got 0"),
        ({"downsampling": 4}, "patches of 16 x 16 do not divide an image of 8 x 8"),
        ({"heads": 3}, "3 heads do not divide 16 channels"),
        ({"embed_dim": 12}, "multiple of 8"),
    ],
)
def test_what_makes_no_network_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        small(**options)
