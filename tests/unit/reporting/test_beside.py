import re
from dataclasses import replace

from pumice.reporting.beside import beside


def test_samples_that_are_answered_differently_are_listed(image_findings):
    evaluation = image_findings.evaluation
    predictions = evaluation.predictions.copy()
    predictions[3] = (predictions[3] + 1) % 3
    other = replace(image_findings, evaluation=replace(evaluation, predictions=predictions))
    drawn = beside(image_findings, other, same_samples=True).content
    assert "Answered differently: 1 of 5 samples" in drawn
    assert re.findall(r"sample (\d+)</th>", drawn) == ["3"]
    assert "0 of 5 samples" in beside(image_findings, image_findings, same_samples=True).content


def test_figures_of_both_stand_in_one_row(image_findings, plain_findings):
    drawn = beside(image_findings, plain_findings, same_samples=False).content
    assert re.search(r"neurons</th><td>27</td><td>8</td>", drawn)
    assert re.search(r"steps of a sample</th><td>6</td><td>32</td>", drawn)
    assert re.search(r"weights</th><td>90</td><td>45</td>", drawn)


def test_outputs_of_other_latency_are_told_apart(plain_findings):
    both = plain_findings.source.graph.replace(outputs=("dense0", "dense1"))
    other = replace(plain_findings, source=replace(plain_findings.source, graph=both))
    drawn = beside(plain_findings, other, same_samples=True).content
    assert "latency in steps</th><td>2</td><td>1, 2</td>" in drawn


def test_numbers_that_differ(numbers_findings):
    evaluation = numbers_findings.evaluation
    predictions = evaluation.predictions.copy()
    predictions[2] += 0.5
    other = replace(numbers_findings, evaluation=replace(evaluation, predictions=predictions))
    drawn = beside(numbers_findings, other, same_samples=True).content
    assert "sample 2</th><td>0.5</td>" in drawn
    assert "1 of 6 samples" in drawn
