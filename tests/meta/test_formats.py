"""The chip's number formats are written down once, in `pumice.fixedpoint.formats`."""

import ast
from pathlib import Path

import pytest

import pumice
from pumice.fixedpoint import formats

SOURCE = Path(pumice.__file__).parent
OWN = {4096, 4095, 62, 2**17, 2**17 - 1, 2**23, 2**23 - 1, 2**24, 2**53, 254}
ELSEWHERE = {
    "kernels": "compiled loops, whose constants are masks and shifts of their own",
    "testing": "chooses values on purpose, at and beyond the formats",
    "fixedpoint/formats.py": "is the place",
}


def value(node):
    """What an expression of plain numbers is; None for any other."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) in {int, float} else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return None if value(node.operand) is None else -value(node.operand)
    if isinstance(node, ast.BinOp) and not {value(node.left), value(node.right)} & {None}:
        return eval(compile(ast.Expression(node), "", "eval"), {})
    return None


def shift(node):
    """The number that a state or a decay is shifted by, or multiplied with; None of any other expression."""
    if not isinstance(node, ast.BinOp) or len(known := [n for n in (node.left, node.right) if value(n)]) != 1:
        return None
    number = value(known[0])
    if isinstance(node.op, ast.Mult | ast.Div | ast.FloorDiv):
        return number if number == 1 << formats.STATE_EXP else None
    is_shift = isinstance(node.op, ast.LShift | ast.RShift) and known[0] is node.right
    return number if is_shift and number in {formats.STATE_EXP, formats.DECAY_BITS} else None


def copies(source):
    """Lines and values of numbers that are a format's."""

    def found(node):
        if (number := shift(node)) is not None:
            return [(node.lineno, number)]
        number = value(node)
        if number is not None:
            return [(node.lineno, number)] if abs(number) in OWN else []
        return [one for child in ast.iter_child_nodes(node) for one in found(child)]

    return found(ast.parse(source))


def is_elsewhere(path):
    return any(part in {*path.parts, path.as_posix()} for part in ELSEWHERE)


@pytest.mark.parametrize(
    "path", [p for p in sorted(SOURCE.rglob("*.py")) if not is_elsewhere(p.relative_to(SOURCE))], ids=lambda p: p.name
)
def test_no_module_repeats_a_format(path):
    assert not copies(path.read_text()), f"{path.name}: take it from pumice.fixedpoint.formats"


@pytest.mark.parametrize("planted", ["x = 4096", "f(-(1 << 23))", "y = 2**17 - 1", "z = 1 - d / 4096", "w = (0, 62)"])
def test_a_copy_is_found(planted):
    assert copies(planted)


@pytest.mark.parametrize("planted", ["u = a << 6", "v = state / 64", "f(64 * x)", "y = (x * keep) >> 12"])
def test_a_shift_of_a_state_or_decay_is_found(planted):
    assert copies(planted)


def test_text_and_other_numbers_are_none():
    assert not copies('"""4096"""\nx = 255, 0.62, 2**62, "62", 2 / 64, 1 << 20, y << 3, 6 << y')


def test_formats_are_ranges():
    ranges = [value for value in vars(formats).values() if isinstance(value, formats.Format)]
    assert len(ranges) >= 8
    assert all(low < high for low, high in ranges)
