"""For tests of backends, ours and others': random graphs and input streams (needs the package hypothesis)."""

from pumice.testing.strategies import cases, example, graphs, streams

__all__ = ["cases", "example", "graphs", "streams"]
