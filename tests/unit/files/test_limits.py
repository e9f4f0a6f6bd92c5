import pytest

from pumice.errors import FileFormatError, InputError, ResourceError
from pumice.files import limits
from pumice.files.limits import Budget, check_memory, check_run_bytes, current_limits, limited

GIB = 1 << 30


def test_parts_add_up():
    budget = Budget("a.net", 1000)
    for _ in range(4):
        budget.take(1 << 26, "weight")
    with pytest.raises(FileFormatError, match=r"a\.net: with bias it asks for 268,435,457 bytes"):
        budget.take(1, "bias")


def test_large_files_may_ask_for_more():
    Budget("a.net", GIB).take(16 * GIB, "weight")
    with pytest.raises(FileFormatError):
        Budget("a.net", GIB).take(16 * GIB + 1, "weight")


def test_the_environment_chooses(monkeypatch):
    monkeypatch.setenv("PUMICE_READ_BYTES", "10")
    monkeypatch.setenv("PUMICE_RUN_BYTES", "20")
    with pytest.raises(FileFormatError, match=r"may ask for 10; .* set PUMICE_READ_BYTES"):
        Budget("a.net", GIB).take(11, "weight")
    check_run_bytes("a.net", 20)
    with pytest.raises(FileFormatError, match=r"about 21 bytes, and may take 20; .* set PUMICE_RUN_BYTES"):
        check_run_bytes("a.net", 21)


@pytest.mark.parametrize("text", ["", "0", "-1", "1e9", "many", "²"])
def test_an_environment_that_says_nothing_is_named(monkeypatch, text):
    monkeypatch.setenv("PUMICE_READ_BYTES", text)
    with pytest.raises(InputError, match="PUMICE_READ_BYTES must be a number of bytes"):
        current_limits()


def test_limits_end_with_their_context():
    with pytest.raises(FileFormatError), limited(read_bytes=5, run_bytes=6):
        check_run_bytes("a.net", current_limits().read_bytes + 2)
    assert current_limits().read_bytes is None


def test_what_no_memory_can_hold_is_not_begun(monkeypatch):
    monkeypatch.setattr(limits, "available_bytes", lambda: 1000)
    check_memory("a run", 900)
    with pytest.raises(ResourceError, match=r"a run would take about .* record") as caught:
        check_memory("a run", 901)
    assert caught.value.exit_code == 2
    assert isinstance(caught.value, MemoryError)
