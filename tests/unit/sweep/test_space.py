import pytest

from pumice.errors import InputError
from pumice.sweep import Choice, Range, parse_space


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=1e-4..1e-2", Range(1e-4, 1e-2, log=True)),
        ("a.b=0.5..0.9", Range(0.5, 0.9)),
        ("a.b=-1..100", Range(-1, 100)),
        ("a.b=2..8", Range(2, 8)),
        ("a.b=1..64", Range(1, 64, log=True)),
        ("a.b=0.5,1.0", Choice(("0.5", "1.0"))),
        ("a.b=slayer, stbp", Choice(('"slayer"', '"stbp"'))),
        ("a.b=null,0.1", Choice(("null", "0.1"))),
        ("a.b=[[1, 2], [3]]", Choice(("[[1, 2], [3]]",))),
    ],
)
def test_what_is_tried(text, expected):
    if text.endswith("[3]]"):
        expected = Choice(("[1, 2]", "[3]"))
    assert parse_space([text]) == {"a.b": expected}


def test_integers_are_those_whose_ends_are():
    assert (Range(2, 8).is_integer, Range(2.0, 8).is_integer) == (True, False)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "what shall be tried"),
        (["a"], "expected KEY="),
        (["a="], "expected KEY="),
        (["a=1..b"], "expected KEY="),
        (["a=1..2..3"], "expected KEY="),
        (["a=2..1"], "must be below"),
        (["a=1..inf"], "both finite"),
        ([f"a=1..1{400 * '0'}"], "expected KEY="),
        (["a=1"], "at least two values"),
        (["a=1,1"], "at least two values"),
        (["a=1,2", "a=3,4"], "given twice"),
    ],
)
def test_what_is_none(texts, words):
    with pytest.raises(InputError, match=words):
        parse_space(texts)
