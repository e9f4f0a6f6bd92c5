import pytest
from torch import distributed

from pumice.backends.ranks import Ranks, lost_processes_told
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


@pytest.mark.parametrize(
    "said",
    [
        "[/p/third_party/gloo/gloo/transport/tcp/pair.cc:545] Read error [127.0.0.1]:1431: Connection reset by "
        "peer. This is typically caused by a remote worker hanging or bugs in the application.",
        "[/p/third_party/gloo/gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:42118. This",
        "Gloo connectFullMesh failed with [/p/third_party/gloo/gloo/transport/tcp/pair.cc:152] timed out "
        "connecting: SO_ERROR: Connection refused, remote=[127.0.0.1]:22419$2",
    ],
)
def test_a_process_that_has_ended_is_no_bug_of_ours(said):
    """What torch 2.15 says of it."""
    with pytest.raises(InputError, match="another process of this run has ended") as caught, lost_processes_told():
        raise RuntimeError(said)
    assert "typically" not in str(caught.value)
    with pytest.raises(InputError, match="another process"), lost_processes_told():
        raise distributed.DistNetworkError("The client socket has failed to connect")


@pytest.mark.parametrize("said", ["[gloo/transport/tcp/pair.cc:446] op.preamble.length <= op.nbytes", "other"])
def test_what_may_be_one_stays_as_it_is(said):
    with pytest.raises(RuntimeError, match=r"other|preamble"), lost_processes_told():
        raise RuntimeError(said)


def test_an_address_that_is_taken_is_no_other_process():
    """Said whole: the port stands at the end."""
    said = "The server socket has failed to listen on any local network address. port: 29878, useIpv6: false"
    with pytest.raises(InputError, match=r"cannot listen for the others: .* port: 29878"), lost_processes_told():
        raise distributed.DistNetworkError(said)
