import io
import zipfile

import numpy as np
import pytest
import torch

from pumice.errors import FileFormatError, PumiceError
from pumice.files.limits import limited
from pumice.files.seal import SEAL_BYTES, check_seal
from pumice.train import Checkpoint, EpochRecord, load_checkpoint, restore, save_checkpoint
from pumice.train.checkpoint import excerpt
from pumice.train.checkpoint_file import read_values, write_values
from pumice.train.trained import start

WEIGHTS = {"a": torch.arange(40.0), "b": torch.ones(3, dtype=torch.int64)}
VALUES = {"format": "x", "weights": WEIGHTS, "list": [1, "a"]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "c.pt"


@pytest.fixture(scope="module")
def trained(small_recipe, digits, tmp_path_factory):
    """The values of a whole checkpoint, of a network that has learned nothing yet."""
    place = tmp_path_factory.mktemp("whole") / "c.pt"
    begun = start(small_recipe(), digits)
    record = EpochRecord("float", 1, 0.5, 0.75, 0.7, {"conv1": 0.25})
    state = begun.model.state_dict()
    save_checkpoint(Checkpoint(begun.recipe, excerpt(begun.dataset), (record,), state, {"state": {}}), place)
    return torch.load(place, weights_only=True)


def test_what_is_written_is_read_also_by_torch(path):
    write_values(VALUES, path)
    assert check_seal(path)
    for read in (read_values(path), torch.load(path, weights_only=True)):
        assert torch.equal(read["weights"]["a"], VALUES["weights"]["a"])
        assert read["list"] == VALUES["list"]


def test_a_flipped_bit_is_found(path):
    write_values(VALUES, path)
    whole = path.read_bytes()
    places = np.random.default_rng(0).integers(8 * len(whole), size=300)
    for place in [*places.tolist(), *range(8 * (len(whole) - SEAL_BYTES - 22), 8 * len(whole), 5)]:
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        with pytest.raises(FileFormatError):
            pytest.fail(f"bit {place} is not noticed: {read_values(path)}")


def test_checkpoints_without_a_digest_are_read(path):
    torch.save(VALUES, path)
    assert not check_seal(path)
    assert read_values(path)["format"] == "x"


def nested(levels):
    value = [1.0]
    for _ in range(levels):
        value = [value, value]
    return value


HARM = {
    "an expanded tensor": (torch.zeros(1).expand(1 << 31), "is larger than what is stored of it"),
    "a sparse tensor": (torch.eye(3).to_sparse(), "damaged"),
    "lists without end": (nested(25), "holds more than 1,000,000 values"),
    "lists of great depth": (nested(40), "is nested more than 32 deep"),
}


@pytest.mark.parametrize("name", sorted(HARM))
def test_values_that_mean_harm(path, name):
    value, text = HARM[name]
    torch.save({**VALUES, "more": value}, path)
    with pytest.raises(FileFormatError, match=text):
        read_values(path)


def test_one_tensor_that_is_referred_to_again_and_again_counts_each_time(path):
    one = torch.zeros(1 << 16)
    torch.save({"all": [one] * 100}, path)
    with limited(read_bytes=1 << 24), pytest.raises(FileFormatError, match="asks for 17,039,360 bytes"):
        read_values(path)


def test_compressed_members_are_refused(path):
    held = io.BytesIO()
    torch.save({"a": torch.randint(256, (1 << 18,), dtype=torch.uint8)}, held)  # does not become smaller
    with zipfile.ZipFile(held) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    with pytest.raises(FileFormatError, match="is no checkpoint of `pumice train`, or is damaged"):
        read_values(path)


WRONG = {
    "model_state": [3, [1], {1: 2}],
    "history": [3, [3], [{"phase": "float"}], [{"phase": "other", "epoch": 1}]],
    "optimizer_state": [3, [1]],
    "position": [3, {}, {"batches": -1}, {"steps": 2**63}],
    "excerpt": [3, {}, {"kind": "Other"}],
    "recipe": [3, {"seed": "x"}, {"training": {"lr": float("inf")}}],
    "best_state": [3],
}


@pytest.mark.parametrize("key", sorted(WRONG))
def test_values_of_other_types_are_damage(trained, path, key):
    for value in WRONG[key]:
        if isinstance(value, dict) and value and key == "position":
            value = {**trained[key], **value}  # noqa: PLW2901
        torch.save({**trained, key: value}, path)
        with pytest.raises(FileFormatError, match=r"c\.pt: the checkpoint is damaged \("):
            load_checkpoint(path)


def test_figures_that_are_no_numbers_are_damage(trained, path):
    for change in ({"loss": "a"}, {"test_accuracy": [1]}, {"firing_rates": {"conv1": "a"}}, {"epoch": 0}):
        torch.save({**trained, "history": [{**trained["history"][0], **change}]}, path)
        with pytest.raises(FileFormatError, match="the checkpoint is damaged"):
            load_checkpoint(path)


def test_a_run_without_a_finished_epoch_has_no_accuracy(trained, path):
    torch.save({**trained, "history": []}, path)
    with pytest.raises(PumiceError, match="no epoch is finished yet"):
        restore(load_checkpoint(path)).accuracy_float  # noqa: B018


def test_a_full_disk_leaves_the_old_file(trained, path, monkeypatch):
    torch.save(trained, path)
    checkpoint, before = load_checkpoint(path), path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(PumiceError, match=r"No space left on device.*the checkpoint from before is whole"):
        save_checkpoint(checkpoint, path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["c.pt"]
