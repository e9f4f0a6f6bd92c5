"""Cases are plain values; each is a network, whatever was left out of it."""

import ast
from dataclasses import replace

import pytest

from pumice.testing.auditing.case import Case, Part, Step
from pumice.testing.auditing.draw import draw_case
from pumice.testing.auditing.parts import WRITERS
from pumice.testing.auditing.script import write_network, write_script
from pumice.testing.auditing.shrink import _smaller


@pytest.fixture(scope="module")
def drawn():
    return [draw_case(7, index) for index in range(150)]


def test_a_case_is_the_same_after_json(drawn):
    for case in drawn:
        assert Case.from_json(case.to_json()) == case


def test_a_seed_and_a_number_give_the_same_case():
    assert draw_case(3, 4) == draw_case(3, 4)
    assert draw_case(3, 4) != draw_case(4, 3)


def test_every_kind_of_part_step_and_setting_is_drawn(drawn):
    assert {part.kind for case in drawn for part in case.parts} == set(WRITERS)
    lives = {step.kind for case in drawn for step in case.life}
    assert {"deploy", "train", "statistics", "reload", "deepcopy", "pickle", "delays"} <= lives
    source = "\n".join(map(write_script, drawn))
    for wanted in (
        *("nn.Dense(", "nn.Conv(", "nn.Pool(", "nn.Recurrent(", "nn.Flatten(", "nn.Merge(", "nn.Neurons("),
        *("slayer.Dense(", "slayer.Conv(", "slayer.Recurrent(", "nn.LinearReadout(", "nn.SpikingPatchSplitting("),
        *("nn.ResidualBlock(", "nn.Bottleneck(", "nn.TokenMixerBlock(", "nn.ChannelMixerBlock(", ".beside("),
        *(
            "nn.DenseSynapse(",
            "nn.ConvSynapse(",
            "nn.IdentitySynapse(",
            "nn.TokenMixingSynapse(",
            "nn.LinearSynapse(",
            "nn.OneToOneSynapse(",
            "nn.LateralInhibition(",
            "recurrent=self.",
            "concat=True",
        ),
        *("nn.TDBN", "nn.BiasFreeNorm", "MeanOnlyBatchNorm", "WgtScaleBatchNorm", "delay=True", "weight_norm=True"),
        *("'shared_param': False", "groups=", "dilation=", "mask=", "torch.autocast", "torch.inference_mode"),
        *("expanded(", "torch.float64", "mkldnn", "LavaBackend(", "residual='relays'"),
    ):
        assert wanted in source, wanted


def test_scripts_are_python_and_name_no_other_package(drawn):
    for case in drawn:
        tree = ast.parse(write_script(case, 'It says "\\n"""'))
        modules = {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert modules <= {"pumice", "lava", "functools", "contextlib", "collections", "typing"}


def test_what_is_left_of_a_case_is_a_network(drawn):
    for case in drawn[:25]:
        for smaller in list(_smaller(case))[:60]:
            ast.parse(write_network(smaller))
            assert all(0 <= source <= index for index, part in enumerate(smaller.parts) for source in part.sources)
            assert all(0 <= value <= len(smaller.parts) for value in smaller.returns)


def test_a_tag_makes_parts_share_a_module_where_shapes_agree():
    merge = Part("merge", (0,), {"synapses": [{"kind": "dense", "out": 3, "tag": "tied"}]})
    case = Case(seed=1, input_shape=(3,), time=4, parts=(merge, replace(merge, sources=(1,))), returns=(2,))
    assert write_network(case).count("nn.DenseSynapse(") == 1
    assert write_network(replace(case, input_shape=(4,))).count("nn.DenseSynapse(") == 2


def test_a_step_of_a_life_is_written():
    case = Case(seed=1, input_shape=(3,), time=4, parts=(Part("dense", (0,)),), returns=(1,), life=(Step("deploy"),))
    assert "quantize_(model, example, input_range=INPUT_RANGE)" in write_script(case)
