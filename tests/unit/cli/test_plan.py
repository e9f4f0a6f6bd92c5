import json

import numpy as np
import pytest

import pumice
from pumice.hardware.profile import Profile
from pumice.ir.builder import chain
from pumice.passes.order import run_passes


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """A file that fits, one that does not, and streams, in the current folder."""
    monkeypatch.chdir(tmp_path)
    pumice.save(run_passes(chain((784,), [128, 64, 10], seed=0), sample_steps=5), tmp_path / "fits.net")
    pumice.save(chain((9000,), [4], seed=0), tmp_path / "large.net")
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.integers(0, 2, (20, 784)))
    np.savez(tmp_path / "x.npz", x=rng.integers(0, 2, (2, 5, 784)), labels=[0, 1])
    return tmp_path


@pytest.mark.usefixtures("planned")
def test_a_plan_is_printed(command):
    code, out, err = command("plan fits.net --input x.npy")
    assert (code, err) == (0, "")
    assert out.startswith("fits.net: fits Oheo Gulch: 5 of 120 cores on 1 chip\n")
    assert "activity: the given input, 20 steps" in out


def test_a_network_without_timing_takes_the_length_of_the_samples(command, planned):
    """As `evaluate`, `metrics` and `report` do."""
    pumice.save(chain((784,), [10], seed=0), planned / "untimed.net")
    code, out, err = command("plan untimed.net --data x.npz")
    assert (code, err) == (0, "")
    assert "activity: the given input, 11 steps" in out
    assert "one every 5 steps" in out


@pytest.mark.usefixtures("planned")
def test_what_does_not_fit_is_exit_code_1(command):
    code, out, err = command("plan large.net")
    assert code == 1
    assert "large.net: does not fit Oheo Gulch:" in out
    assert err.startswith("pumice: error: large.net: does not fit Oheo Gulch: population dense0: pool")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("planned")
def test_json_is_one_object_and_nothing_else(command, planned):
    code, out, _ = command("plan fits.net --json --explain --board vpx16 --data x.npz --report there")
    assert code == 0
    found = json.loads(out)
    assert found["fits"] is True
    assert found["cores"] == 5
    assert found["activity"] == ["the given input", 2 * 8 + 3]
    assert found["board"]["name"] == "vpx16"
    assert (planned / "there/plan.html").exists()
    code, out, _ = command("plan large.net --json")
    assert code == 1
    assert json.loads(out)["fits"] is False


@pytest.mark.usefixtures("planned")
def test_constants_are_explained_and_replaced(command, planned):
    (planned / "mine.json").write_text('{"constants": {"t_sync": {"value": 7, "source": "my board"}}}')
    code, out, _ = command("plan fits.net --input x.npy --explain --constants mine.json")
    assert code == 0
    assert "t_sync (yours): 7 (7 to 7) us per step\n    my board" in out


@pytest.mark.usefixtures("planned")
def test_a_report_is_written(command, planned):
    code, out, _ = command("plan fits.net --report there")
    assert code == 0
    assert out.rstrip().endswith("plan.html")
    assert "<svg" in (planned / "there/plan.html").read_text()


@pytest.mark.parametrize(
    "line",
    [
        "plan none.net",
        "plan fits.net --board moon",
        "plan fits.net --io usb",
        "plan fits.net --io=",
        "plan fits.net --compiler gcc",
        "plan fits.net --constants none.json",
        "plan fits.net --input x.npy --data x.npz",
        "plan fits.net --input none.npy",
        "plan fits.net --input-shape a,b",
    ],
)
@pytest.mark.usefixtures("planned")
def test_bad_use_is_one_line(refused, line):
    assert refused(line)


@pytest.mark.usefixtures("planned")
def test_what_a_chip_measured_is_laid_beside(command, tmp_path):
    profile = Profile("fits", 20, measured={"time_per_step": 50.0, "total_power": 0.5})
    (tmp_path / "p.json").write_text(profile.to_json())
    code, out, _ = command("plan fits.net --input x.npy --measured p.json")
    assert code == 0
    assert "input and output: Lava's Python adapters" in out
    assert "time per step (Lava's Python adapters): planned" in out
    assert "measured 50.0 us" in out
    assert "tables not compared" in out
    code, out, _ = command("plan fits.net --input x.npy --measured p.json --json --io none")
    found = json.loads(out)["measured"]["quantities"]
    assert [(q["name"].split()[0], q["measured"]) for q in found] == [("time", 50.0), ("energy", 25.0)]
