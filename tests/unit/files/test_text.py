import pytest

from pumice.files.text import MAX_NAME, name_problem, text_problem


@pytest.mark.parametrize("name", ["conv0", "stage1.block0.add", "räume", "層", "a b", ".hidden", "x" * MAX_NAME])
def test_names(name):
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "x" * (MAX_NAME + 1), "a\0", "\x1b[2J", "a\nb", "a/b", "..\\b", ".", "..", "\ud800", "\u202egnp", 3]
)
def test_no_names(name):
    assert name_problem(name)


@pytest.mark.parametrize("text", ["", "two\n\tlines", "Müller\u00a0& 層", "\U0001f600"])
def test_texts(text):
    assert text_problem(text) is None


@pytest.mark.parametrize("text", ["a\x1b[31m", "\x07", "\x9b2J", "\u202ex", "\ud800", "a\rb", "\0"])
def test_texts_that_steer_a_terminal(text):
    assert "control character" in text_problem(text)
