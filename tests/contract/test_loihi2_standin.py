"""The Loihi 2 backend between a stand-in of Intel's closed names: proves wiring, not silicon (see its README)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pumice
from pumice.backends.loihi2 import PROBES

ROOT = Path(__file__).parents[2]
STANDIN = ROOT / "tests/standin"
EXPORTS = sorted(p.name for p in (ROOT / "netx_exports").iterdir() if p.is_dir())
RUNS = ["digits", "direct", "paths"]
REFUSED = ["refused", "fallback", "silent", "wrong_adapter", "direct_without_synapse", "interval"]
DEFECTS = ["no_message_bits", "resets_not_shifted", "no_conv_delay", "no_sign", "late_states"]
"""Planted: without any of them the spikes are equal."""


def outcome_of(*names):
    """In a process of its own, since the stand-in changes what can be imported."""
    path = os.pathsep.join([str(Path(pumice.__file__).parents[1]), str(STANDIN)])
    chip = ("SLURM", "NXSDKHOST", "PARTITION", "BOARD", "LOIHI_GEN")
    environment = {k: v for k, v in os.environ.items() if k not in chip} | {"PYTHONPATH": path, "NOSLURM": "1"}
    done = subprocess.run(
        [sys.executable, str(STANDIN / "cases.py"), *names],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def assert_equal(outcome):
    assert "error" not in outcome, outcome["error"]
    assert outcome["values"] > 0
    assert outcome["non_zero"] > 0
    assert outcome["differ"] == 0


@pytest.fixture(scope="module")
def outcome():
    return outcome_of(*RUNS, *REFUSED)


@pytest.mark.lava
@pytest.mark.parametrize("case", RUNS)
def test_a_dry_run_gives_what_the_lava_backend_gives(case, outcome):
    assert_equal(outcome[case])


@pytest.mark.lava
def test_what_was_selected_compiled_and_measured_comes_with_the_result(outcome):
    profile = outcome["digits"]["profile"]
    of_neurons = {
        kind: m for kind, m in profile["models"].items() if kind.split()[0] in ("LIFReset", "Conv", "Dense")
    }
    assert len(of_neurons) == 6
    assert all(".ncmodels.Nc" in model for model in of_neurons.values())
    assert profile["adapters"][:2] == [
        "PyToN3ConvAdapter(shape=(8, 8, 1), num_message_bits=8, spike_exp=0, compression=DENSE)",
        "NxToPyAdapter(shape=(8, 8, 16), num_message_bits=0)",
    ]
    assert {"ReadConv(shape=(8, 8, 16))", "Read(shape=(10,), interval=1, offset=0)"} < set(profile["adapters"])
    assert profile["host"] == {"NOSLURM": "1"}
    assert profile["core_table"] == [
        {"values": [3.2, 12.5, 0.24, 3.2, 0.06, 0.0, 5.37], "cores": 1, "unit": "%"},
    ]
    assert "AxonIn" in profile["compiler_output"]
    assert profile["measured"] == {
        "total_power": 0.625,
        "static_power": 0.25,
        "vdd_power": 0.125,
        "vddm_power": 0.125,
        "vddio_power": 0.125,
        "time_per_step": 20.0,
    }
    assert set(profile["raw"]) == set(PROBES)
    assert profile["raw"]["activity"] == {"core_idx": [0, 1, 2]}
    assert profile["raw"]["time"]["buffer_size"] == profile["steps"]


@pytest.mark.lava
def test_lava_itself_falls_back_to_a_float_model_without_a_word_and_we_do_not(outcome):
    assert outcome["silent"] == "PyRF_IZModelFloat"
    assert "RF_IZ 'rf': Lava selected PyRF_IZModelFloat (for CPU, tags 'floating_pt')" in outcome["fallback"]["error"]


@pytest.mark.lava
def test_what_the_chip_cannot_run_is_refused_before_anything_is_built(outcome):
    assert "Loihi 2 cannot run this graph: population dense0: reset interval" in outcome["refused"]["error"]
    assert "AxonIn" not in outcome["refused"]["error"]  # the compiler had nothing to print


@pytest.mark.lava
@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("wrong_adapter", "PyToNxAdapter cannot feed Conv"),
        ("direct_without_synapse", "an adapter feeds synapses, not the neurons of LIFReset"),
        ("interval", "a reset interval of 6 is no power of two"),
    ],
)
def test_a_planted_defect_is_refused_before_the_run(case, words, outcome):
    assert f"stand-in: {words}" in outcome[case]["error"]


@pytest.mark.slow
@pytest.mark.lava
def test_planted_defects_change_the_spikes_and_nothing_else_does():
    found = outcome_of("image", "sums", *DEFECTS)
    assert_equal(found["image"])
    assert_equal(found["sums"])
    assert {name: found[name]["differ"] > 0 for name in DEFECTS} == dict.fromkeys(DEFECTS, True)


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.parametrize("name", EXPORTS)
def test_every_export_gives_what_the_lava_backend_gives(name):
    assert_equal(outcome_of(f"export {name}")[f"export {name}"])
