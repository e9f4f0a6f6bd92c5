from xml.etree import ElementTree

import pytest

from pumice.reporting.charts import BOTTOM, HEIGHT, TOP, Line, bars, line_chart, scatter, share, ticks


def points(chart):
    tree = ElementTree.fromstring(chart)
    return [
        [tuple(map(float, pair.split(","))) for pair in line.get("points").split()] for line in tree.iter("polyline")
    ]


def test_a_curve_runs_from_left_to_right_and_is_high_where_its_values_are():
    chart = line_chart("t", [Line("a", [1.0, 4.0, 2.0])], x_label="epoch", shaded_from=None, alt="x")
    ((first, second, third),) = points(chart)
    assert first[0] < second[0] < third[0]
    assert second[1] == TOP < third[1] < first[1] < HEIGHT - BOTTOM


def test_places_without_a_value_are_left_out():
    chart = line_chart(
        "t", [Line("a", [None, 4.0, float("nan")]), Line("b", [1.0])], x_label="e", shaded_from=2, alt=""
    )
    assert [len(line) for line in points(chart)] == [1, 1]
    assert 'class="shade"' in chart


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [-3.0, -1.0]])
def test_values_that_span_nothing_or_lie_below_0(values):
    ((*drawn,),) = points(line_chart("t", [Line("a", values)], x_label="e", shaded_from=None, alt=""))
    assert all(TOP - 1 <= y <= HEIGHT for _, y in drawn)


def test_no_text_lies_outside_its_chart():
    for chart in (
        scatter("t", [(-0.4, 0.1), (0.3, -0.8)], x_label="target", y_label="answer", alt=""),
        line_chart("t", [Line("a", [1.0, 2.0])], x_label="epoch", shaded_from=None, alt=""),
    ):
        tree = ElementTree.fromstring(chart)
        (svg,) = tree.iter("svg")
        height = float(svg.get("viewBox").split()[3])
        assert all(10 <= float(text.get("y")) <= height for text in tree.iter("text"))


def test_ticks_are_round():
    assert ticks(0, 1) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(3, 3) == [3]
    assert ticks(-1, 250) == [0.0, 100.0, 200.0]


def test_a_scatter_has_a_dot_for_each_point_and_equal_ones_on_the_line():
    tree = ElementTree.fromstring(
        scatter("t", [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0)], x_label="x", y_label="y", alt="")
    )
    at = [(float(c.get("cx")), float(c.get("cy"))) for c in tree.iter("circle")]
    assert at[0][0] == at[2][0] < at[1][0]
    assert at[1][1] == at[2][1] < at[0][1]


def test_a_histogram_has_a_bar_for_each_part_that_is_not_empty():
    tree = ElementTree.fromstring(bars([0, 1, 4], alt="x"))
    assert [float(rect.get("height")) for rect in tree.iter("rect")] == [5.0, 20.0]


def test_a_share_is_at_most_all():
    assert "--share:100.0%" in share(1.3, "a")
    assert "--share:25.0%" in share(0.25, "a")
