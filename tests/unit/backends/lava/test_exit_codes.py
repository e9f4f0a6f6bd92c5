import pytest

from pumice.backends.lava.exit_codes import manner_of_death


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "died"),
        (3, "died with exit code 3"),
        (-9, "was killed by signal 9 (SIGKILL; the kernel kills so when memory runs out)"),
        (-11, "was killed by signal 11 (SIGSEGV)"),
        (-200, "was killed by signal 200 (unknown)"),
    ],
)
def test_in_words(code, words):
    assert manner_of_death(code) == words
