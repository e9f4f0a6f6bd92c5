import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from pumice.data import Dataset, ImageDataset
from pumice.errors import FileFormatError, InputError
from pumice.train import Checkpoint, EpochRecord, load_checkpoint, save_checkpoint, train
from pumice.train.checkpoint import excerpt


@pytest.fixture
def checkpoint(tiny_recipe, digits):
    return Checkpoint(
        tiny_recipe,
        excerpt(digits),
        (EpochRecord("float", 1, 0.5, 0.75, 0.7, {"conv1": 0.25}),),
        {"w": torch.arange(3.0)},
        {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    )


def test_what_is_saved_is_loaded(checkpoint, tmp_path):
    save_checkpoint(checkpoint, tmp_path / "c.pt")
    loaded = load_checkpoint(tmp_path / "c.pt")
    assert loaded.recipe == checkpoint.recipe
    assert loaded.history == checkpoint.history
    assert torch.equal(loaded.model_state["w"], checkpoint.model_state["w"])
    assert loaded.optimizer_state == checkpoint.optimizer_state
    np.testing.assert_array_equal(loaded.excerpt.test.images, checkpoint.excerpt.test.images)
    assert loaded.excerpt.class_names == checkpoint.excerpt.class_names
    assert len(loaded.excerpt.train) == 4


def test_a_dataset_of_ones_own_class_is_kept_as_what_it_derives_from(checkpoint, digits, tmp_path):
    """It was a KeyError, at the end of the first epoch."""

    class Mine(ImageDataset):
        pass

    mine = Mine(digits.name, digits.train, digits.test, digits.class_names, digits.value_range)
    save_checkpoint(replace(checkpoint, excerpt=excerpt(mine)), tmp_path / "c.pt")
    kept = load_checkpoint(tmp_path / "c.pt").excerpt
    assert type(kept) is ImageDataset
    np.testing.assert_array_equal(kept.train.images, digits.train.images[:4])


def test_a_dataset_that_a_checkpoint_cannot_keep_is_refused_before_the_work(tiny_recipe, digits, tmp_path):
    class Other(Dataset):
        @property
        def sample_shape(self):
            return (1, 8, 8)

    other = Other(digits.name, digits.train, digits.test, digits.class_names)
    with pytest.raises(InputError, match=r"is a Other, and holds neither images .* data\.encoding = \"package"):
        train(tiny_recipe.overridden(["data.encoding=time"]), other)
    own = ["data.encoding=pumice.data:DirectEncoder", 'data.encoding_args={"image_range": [0, 16]}']
    with pytest.raises(InputError, match=r"keeps samples of an ImageDataset, .* got a Other; derive it from one"):
        train(tiny_recipe.overridden(own), other, checkpoint_path=tmp_path / "c.pt", on_batch=pytest.fail)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(checkpoint, tmp_path, value):
    checkpoint.model_state["conv1.synapse.weight"] = torch.tensor([0.0, value])
    checkpoint.model_state["count"] = torch.tensor(3)  # whole numbers always are
    save_checkpoint(checkpoint, tmp_path / "c.pt")
    with pytest.raises(FileFormatError, match=rf"c\.pt: conv1\.synapse\.weight is {value}: its training diverged"):
        load_checkpoint(tmp_path / "c.pt")


def test_a_failed_write_leaves_the_old_file(checkpoint, tmp_path):
    save_checkpoint(checkpoint, tmp_path / "c.pt")
    before = (tmp_path / "c.pt").read_bytes()
    broken = Checkpoint(checkpoint.recipe, checkpoint.excerpt, (), {"w": lambda: None}, {})
    with pytest.raises(AttributeError):
        save_checkpoint(broken, tmp_path / "c.pt")
    assert (tmp_path / "c.pt").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_a_folder_that_is_not_there(checkpoint, tmp_path):
    with pytest.raises((InputError, RuntimeError), match=r"c\.pt|directory"):
        save_checkpoint(checkpoint, tmp_path / "nowhere" / "c.pt")


class Malicious:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_pickled_objects_are_not_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": "pumice-checkpoint", "version": 2, "recipe": Malicious()}, tmp_path / "c.pt")
    with pytest.raises(FileFormatError, match=r"is no checkpoint of `pumice train`, or is damaged$"):
        load_checkpoint(tmp_path / "c.pt")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_truncated_files(checkpoint, tmp_path, keep):
    save_checkpoint(checkpoint, tmp_path / "c.pt")
    (tmp_path / "c.pt").write_bytes((tmp_path / "c.pt").read_bytes()[:keep])
    with pytest.raises(FileFormatError, match=r"is no checkpoint of `pumice train`, or is damaged$"):
        load_checkpoint(tmp_path / "c.pt")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2], r"is no checkpoint of `pumice train`$"),
        ({"format": "other"}, r"is no checkpoint of `pumice train`$"),
        ({"format": "pumice-checkpoint", "version": 99}, "version 99, this pumice reads 2"),
        ({"format": "pumice-checkpoint", "version": 2}, "damaged"),
        ({"format": "pumice-checkpoint", "version": 2, "recipe": {"seed": "x"}}, "damaged"),
        ({"format": "pumice-checkpoint", "version": 2, "recipe": {}, "excerpt": {"value_range": [0]}}, "damaged"),
    ],
)
def test_other_files(tmp_path, values, message):
    torch.save(values, tmp_path / "c.pt")
    with pytest.raises(FileFormatError, match=message):
        load_checkpoint(tmp_path / "c.pt")


def test_no_file(tmp_path):
    with pytest.raises(FileFormatError, match="no such file"):
        load_checkpoint(tmp_path / "c.pt")
