"""The chip's number formats are written down once, in `pumice.fixedpoint.formats`."""

import ast
from pathlib import Path

import pytest

import pumice
from pumice.fixedpoint import formats

SOURCE = Path(pumice.__file__).parent
OWN = {4096, 4095, 62, 2**17, 2**17 - 1, 2**23, 2**23 - 1, 2**24, 254}
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


def copies(source):
    """Lines and values of numbers that are a format's."""

    def found(node):
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


def test_text_and_other_numbers_are_none():
    assert not copies('"""4096"""\nx = 255, 0.62, 2**62, "62"')


def test_formats_are_ranges():
    ranges = [value for value in vars(formats).values() if isinstance(value, formats.Format)]
    assert len(ranges) >= 8
    assert all(low < high for low, high in ranges)
