"""The whole road: train, lower, write, certify, run everywhere, compare."""

from pumice.backends.compare import LayerComparison
from pumice.pipeline.lowered import lower_trained, plan_trained
from pumice.pipeline.result import PipelineResult
from pumice.pipeline.run import run_pipeline

__all__ = ["LayerComparison", "PipelineResult", "lower_trained", "plan_trained", "run_pipeline"]
