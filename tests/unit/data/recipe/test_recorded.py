"""What a network's own record of its recipe may make `evaluate` do."""

import inspect
import json

import numpy as np
import pytest

from pumice.data import ARGUMENTS_FROM_FILES, DATASET_NAMES, load_digits
from pumice.data.recipe import DataRecipe, build_encoder, prepare_data, recorded_test
from pumice.data.registry import _LOADERS
from pumice.errors import InputError
from pumice.ir import torch_to_lava
from pumice.ir.builder import chain


def recording(**data):
    return chain((4,), [3, 2], seed=1).replace(info={"recipe": json.dumps({"data": data})})


@pytest.fixture
def sounds(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    audio = np.random.default_rng(1).normal(0, 3000, 8000).astype(np.int16)
    arrays = {"audio": audio, "offsets": [0, 4000, 8000], "label": [0, 1], "speaker": [0, 1], "speakers": ["a", "b"]}
    for name in ("train", "test"):
        np.savez(root / f"{name}.npz", **arrays, rate=8000)
    return root


def test_a_file_does_not_choose_where_to_write(sounds, tmp_path):
    for wanted in ({"args": {"cache": str(tmp_path / "x")}}, {"cache": str(tmp_path / "x")}):
        found = recorded_test(recording(dataset="fsdd", encoding="time", **wanted), str(sounds))
        assert len(found) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_the_user_does(sounds, tmp_path):
    setting = f"data.args.cache={tmp_path / 'x'}"
    recorded_test(recording(dataset="fsdd", encoding="time"), str(sounds), settings=[setting])
    assert (tmp_path / "x").is_dir()


def test_the_recipes_own_cache_is_used_when_the_user_says_so(sounds, tmp_path):
    recorded_test(recording(dataset="fsdd", encoding="time"), str(sounds), settings=[f"data.cache={tmp_path / 'x'}"])
    assert (tmp_path / "x").is_dir()


@pytest.mark.parametrize("encoding", ["direct", "rate"])
def test_samples_are_chosen(encoding, monkeypatch):
    """With an encoder that draws, too, they are those of the whole."""
    test = recorded_test(recording(dataset="digits", encoding=encoding, steps=3), None, 20)
    whole, encoded = [*test], []
    counted = type(test.encoder).encode
    monkeypatch.setattr(
        type(test.encoder), "encode", lambda self, x, rng: encoded.append(len(x)) or counted(self, x, rng)
    )
    chosen = [*test.samples_at([1, 2, 17])]
    for (stream, label), index in zip(chosen, (1, 2, 17), strict=True):
        np.testing.assert_array_equal(stream, whole[index][0])
        assert label == whole[index][1]
    assert sum(encoded) == {"direct": 3, "rate": 20}[encoding] + 1  # one to see how large they are
    assert [*test.samples_at([])] == []


def test_a_file_does_not_download(tmp_path):
    with pytest.raises(InputError, match="mnist is not there"):
        recorded_test(recording(dataset="mnist", args={"download": True}), str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_file_chooses_samples(sounds):
    found = recorded_test(recording(dataset="fsdd", encoding="time", args={"leave_out": "a"}), str(sounds))
    assert found.labels.tolist() == [0, 0]


def test_the_code_of_a_network_is_of_no_concern(sounds):
    graph = recording(dataset="fsdd", encoding="time")
    record = json.loads(graph.info["recipe"])
    names = {"network": {"name": "subprocess:run"}, "training": {"loss": "a loss of another version"}}
    assert len(recorded_test(graph.replace(info={"recipe": json.dumps(record | names)}), str(sounds))) == 2
    with pytest.raises(InputError, match=r"names code that is not in the current folder: data\.dataset"):
        recorded_test(recording(dataset="subprocess:run"), str(sounds))


NO_RECIPES = ["[" * 100_000, "{", "[]", '{"data": {"steps": NaN}}', '{"data": {"args": {"a": Infinity}}}']


@pytest.mark.parametrize("recipe", NO_RECIPES)
def test_records_that_are_none(recipe):
    with pytest.raises(InputError, match="the file's recipe is not one of this version"):
        recorded_test(chain((4,), [2], seed=1).replace(info={"recipe": recipe}), None)


def test_each_dataset_has_its_list_and_no_effect_is_in_one():
    assert {*ARGUMENTS_FROM_FILES} == {*DATASET_NAMES}
    for name, allowed in ARGUMENTS_FROM_FILES.items():
        taken = {*inspect.signature(_LOADERS[name]).parameters}
        assert allowed <= taken
        assert taken - allowed <= {"root", "cache", "download"}, "a new argument: does it choose samples?"


OWN = """
import numpy as np
from pumice.data import AbstractEncoder

class Centered(AbstractEncoder):
    def __init__(self, steps, dataset):
        super().__init__(steps)
        object.__setattr__(self, "middle", np.median(dataset.train.samples, axis=0).astype(int))
    @property
    def value_range(self):
        return (-16, 16)
    def encode(self, samples, rng):
        return np.repeat((samples - self.middle)[..., None], self.steps, -1)
"""


def test_an_own_encoder_sees_what_it_saw_in_training(tmp_path, monkeypatch):
    """Without the part that was held back, which it had not seen."""
    (tmp_path / "mine_centered.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    data = {"encoding": "mine_centered:Centered", "validation": 0.5, "max_train": 100, "steps": 1}
    recipe = DataRecipe(data=data)
    dataset, _ = prepare_data(recipe, load_digits())
    wanted = build_encoder(recipe, dataset).encode(dataset.test.samples, None)
    found = np.stack([stream for stream, _ in recorded_test(recording(**data), None)])
    np.testing.assert_array_equal(found, torch_to_lava(wanted))
