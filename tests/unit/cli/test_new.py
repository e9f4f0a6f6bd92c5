"""`pumice new`: what it writes trains, resumes, lowers and verifies as written."""

import sys

import pytest

import pumice

SMALL = " ".join(
    f"--set {setting}"
    for setting in (
        "data.max_train=160",
        "data.max_test=16",
        "data.steps=4",
        "network.args.width=2",
        "training.epochs=1",
        "training.finetune_epochs=1",
        "training.batch_size=48",
        "training.checkpoint_every_steps=1",
    )
)


@pytest.fixture
def project(command, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    code, out, _ = command("new mine")
    assert code == 0
    assert "pumice train recipe.toml" in out
    monkeypatch.chdir(tmp_path / "mine")
    yield tmp_path / "mine"
    for module in ("network", "data"):
        sys.modules.pop(module, None)


def test_the_next_commands_are_for_a_shell(tmp_path, capsys):
    assert pumice.cli.main(["new", str(tmp_path / "my work" / "mine")]) == 0
    assert f"cd '{tmp_path}/my work/mine'\n" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:block .* deploying changes")
@pytest.mark.filterwarnings("ignore:.*never fires")
def test_the_whole_road(command, project, monkeypatch):
    class KilledError(Exception):
        pass

    batches = []

    def kill(self):
        batches.append(1)
        if len(batches) == 3:
            raise KilledError

    from pumice.cli import progress

    kind = next(v for v in vars(progress).values() if isinstance(v, type) and hasattr(v, "batch"))
    with monkeypatch.context() as patch:
        patch.setattr(kind, "batch", kill)
        code, out, err = command(f"train recipe.toml {SMALL}")
        assert code == 2, err
    assert command(f"train recipe.toml {SMALL}")[0] == 2  # there is a checkpoint
    code, out, err = command(f"train recipe.toml {SMALL} --resume")
    assert code == 0, err
    assert "runs/mine/checkpoint.pt: 2 epochs" in out
    assert command("lower runs/mine/checkpoint.pt -o mine.net")[0] == 0
    assert command("verify mine.net --backend reference --backend fast")[0] == 0
    code, out, _ = command("evaluate mine.net --samples 8")
    assert (code, "of 8 samples" in out) == (0, True)
    assert len(pumice.load("mine.net").outputs) == 2


def test_names_in_the_way_are_refused(refused, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert "full exists and is not empty" in refused("new full")
    assert "NAME must be letters" in refused("new .hidden")


def test_a_file_chooses_no_code_outside_the_folder(refused, command, project, tmp_path, monkeypatch):
    assert command(f"train recipe.toml {SMALL}")[0] == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for module in ("network", "data"):
        sys.modules.pop(module, None)
    assert "names code that is not in the current folder" in refused("lower ../mine/runs/mine/checkpoint.pt -o a.net")
    monkeypatch.syspath_prepend(project)
    code, _, err = command("lower ../mine/runs/mine/checkpoint.pt -o a.net --trust data --trust network")
    assert code == 0, err
