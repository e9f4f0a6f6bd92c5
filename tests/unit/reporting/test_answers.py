import re
from dataclasses import replace

import numpy as np

from pumice.reporting.answers import answers
from pumice.reporting.page import as_page


def test_the_matrix_counts_rows_as_truth(image_findings):
    evaluation = replace(image_findings.evaluation, labels=np.array([0, 2, 2, 2]), predictions=np.array([0, 1, 2, 1]))
    drawn = answers(replace(image_findings, evaluation=evaluation)).content
    cells = re.findall(r'<td class="(\w+)"[^>]*>(\d*)</td>', drawn)
    assert cells == [
        *[("right", "1"), ("none", ""), ("none", "")],
        *[("none", ""), ("right", ""), ("none", "")],
        *[("none", ""), ("mistake", "2"), ("right", "1")],
    ]
    assert "2 mistakes" in drawn


def test_many_classes_are_listed_by_their_mistakes(image_findings, monkeypatch):
    monkeypatch.setattr("pumice.reporting.answers.MOST_CLASSES", 2)
    drawn = answers(image_findings).content
    assert "confusion" not in drawn


def test_numbers_have_one_picture_each(numbers_findings):
    drawn = answers(numbers_findings).content
    assert drawn.count("<svg") == 2
    errors = [float(value) for value in re.findall(r"error ([\d.]+)<", drawn)]
    assert np.sqrt(np.mean(np.square(errors))) > 0
    assert "root mean squared error" in as_page(numbers_findings)


def test_without_labels_nothing_is_right_or_wrong(plain_findings):
    assert answers(plain_findings) is None
    assert "no labels" in as_page(plain_findings)
