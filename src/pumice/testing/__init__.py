"""For tests of backends, ours and others': a battery of cases, random graphs and input streams.

Needs the packages pytest and hypothesis.
"""

from pumice.testing.battery import BackendBattery
from pumice.testing.strategies import cases, example, graphs, streams

__all__ = ["BackendBattery", "cases", "example", "graphs", "streams"]
