import pytest

from pumice.backends.ranks import Ranks
from pumice.errors import InputError


def test_one_process_without_torchrun():
    assert Ranks.of_environment({"RANK": "1"}) == Ranks(0, 1, 0, 1)


@pytest.mark.parametrize("changed", [{"RANK": "2"}, {"RANK": "-1"}, {"WORLD_SIZE": "x"}, {"LOCAL_RANK": "2"}])
def test_what_torchrun_never_sets(changed):
    good = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert Ranks.of_environment(good) == Ranks(1, 2, 1, 2)
    with pytest.raises(InputError, match="which torchrun never sets"):
        Ranks.of_environment(good | changed)


def test_one_process_waits_for_nobody():
    assert Ranks().meeting()({"a": 1}) == [{"a": 1}]


def test_several_processes_need_a_place_to_meet(monkeypatch):
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(InputError, match="start them with torchrun"):
        Ranks(0, 2, 0, 2).meeting()
