"""What turns a graph into one that a chip can run, one file per pass; `order.py` has all of them in order.

Batch norm is folded and weights are quantised before there is a graph, in `pumice.nn`; `order.py` says where and why.
"""
