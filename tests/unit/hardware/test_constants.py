import json

import pytest

from pumice.errors import InputError
from pumice.hardware import load_constants


@pytest.fixture
def own(tmp_path):
    """Function: constants with a user's file, given as what it holds."""

    def load(content):
        path = tmp_path / "own.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return load_constants(path)

    return load


def test_every_constant_has_a_range_a_unit_and_a_source():
    constants = load_constants()
    assert len(constants.table) > 25
    for name, constant in constants.table.items():
        assert constant.low <= constant.value <= constant.high, name
        assert constant.unit, name
        assert len(constant.source) > 10, name
    assert {name: board.chips for name, board in constants.boards.items()} == {
        "oheogulch": 1, "kapoho-point": 8, "vpx16": 16, "alia-point": 32, "hala-point": 1152,
    }  # fmt: skip
    assert all(board.source for board in constants.boards.values())


def test_a_users_numbers_replace_ours(own):
    found = own({"constants": {"t_synapse": {"value": 0.5, "low": 0.4, "high": 0.6, "source": "my chip"}}})
    assert found["t_synapse"].range == (0.4, 0.5, 0.6)
    assert (found["t_synapse"].source, found["t_synapse"].unit) == ("my chip", load_constants()["t_synapse"].unit)
    assert found.replaced == ("t_synapse",)
    assert found["t_sync"] == load_constants()["t_sync"]


def test_a_value_alone_is_certain_and_a_bound_alone_is_a_bound(own):
    assert own({"constants": {"t_synapse": {"value": 0.5}}})["t_synapse"].range == (0.5, 0.5, 0.5)
    assert own({"constants": {"t_synapse": {"high": 3}}})["t_synapse"].range == (0.37, 1.0, 3)


def test_boards_of_ones_own(own):
    board = own({"boards": {"mine": {"chips": 3}}}).board("mine")
    assert (board.name, board.chips) == ("mine", 3)
    assert own({"boards": {"vpx16": {"title": "ours"}}}).board("vpx16").chips == 16


def test_what_costs_nothing_and_fractions_of_a_word_are_taken(own):
    found = own({"constants": {"t_message": {"value": 0}, "axon_mem_words_per_pixel": {"value": 0.5}}})
    assert (found["t_message"].value, found["axon_mem_words_per_pixel"].value) == (0, 0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"constants": {"t_synapes": {"value": 1}}}, "unknown constant 't_synapes'; did you mean 't_synapse'"),
        ({"constants": {"t_sync": {"value": -1}}}, "t_sync must have 0 <= low <= value <= high"),
        ({"constants": {"t_sync": {"value": 1, "low": 2}}}, "t_sync must have 0 <= low <= value <= high"),
        ({"constants": {"t_sync": {"value": "1"}}}, "number, 0 or 1e-09 to 1e+09, got '1'"),
        ({"constants": {"t_sync": {"value": True}}}, "number, 0 or 1e-09 to 1e+09, got True"),
        ('{"constants": {"t_sync": {"value": NaN}}}', "t_sync.value must be a finite number"),
        ({"constants": {"t_sync": {"unit": "ms"}}}, "t_sync is in 'us per step', got 'ms'"),
        ({"constants": {"t_sync": {"vlaue": 1}}}, "unknown field 'vlaue'"),
        ({"constants": [1]}, "constants must map each name to an object"),
        ({"boards": {"mine": {"chips": 0}}}, "chips must be an integer >= 1 and <= 1e+09, got 0"),
        ({"constant": {}}, "must be an object with the keys constants and boards"),
        ("[", "is not JSON, or is damaged"),
        ("[" * 100_000, "is not JSON"),
        ({"constants": {"t_synapse": {"value": 1e308}}}, "t_synapse.value must be a finite number, 0 or 1e-09 to"),
        ({"constants": {"t_synapse": {"value": 10**400}}}, "t_synapse.value must be a finite number, 0 or 1e-09 to"),
        ({"constants": {"t_synapse": {"value": 1e-320}}}, "t_synapse.value must be a finite number, 0 or 1e-09 to"),
        ({"constants": {"cores_per_chip": {"value": 0}}}, "cores_per_chip must be a whole number >= 1, got 0, 0, 0"),
        ({"constants": {"cores_per_chip": {"value": 1.5}}}, "cores_per_chip must be a whole number >= 1, got 1.5"),
        ({"constants": {"axon_mem_words": {"low": 0}}}, "axon_mem_words must be a whole number >= 1, got 0, 16000"),
        ({"constants": {"t_sync": {"value": 0}}}, "t_sync must be > 0: no step takes no time"),
        ({"constants": {"t_sync": {"source": [1]}}}, "t_sync: source must be text, got [1]"),
        ({"boards": {"mine": {"chips": 10**400}}}, "chips must be an integer >= 1 and <= 1e+09, got 1000"),
        ({"boards": {"mine": {"chips": 3, "chip": 4}}}, "board mine: unknown field 'chip'; allowed: chips, title, s"),
        ({"boards": {"mine": {"chips": 3, "title": 5}}}, "board mine: title must be text, got 5"),
    ],
    ids=range(24),
)
def test_what_is_wrong_is_named(own, content, message):
    with pytest.raises(InputError, match=r"own\.json") as caught:
        own(content)
    assert message in str(caught.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: No such file"):
        load_constants(tmp_path / "none.json")
    (tmp_path / "large.json").write_text(" " * (1 << 21))
    with pytest.raises(InputError, match="larger than"):
        load_constants(tmp_path / "large.json")


def test_unknown_boards_are_refused():
    with pytest.raises(InputError, match="unknown board 'oheogluch'; did you mean 'oheogulch'"):
        load_constants().board("oheogluch")
