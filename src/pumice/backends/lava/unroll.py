"""A convolution written out as a sparse matrix."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from pumice.ir import Conv, Graph


def unroll_conv(graph: Graph, synapse: Conv) -> tuple[csr_matrix, csr_matrix]:
    """Weights and delays between single neurons, both shapes (x, y, channel) flattened in C order.

    Args:
        graph: Knows the shapes.
        synapse: The convolution.

    Returns:
        weight: Shape (n_target, n_source), int32.
        delay: The same shape, int64.
    """
    n_x, n_y, n_in = graph.shape_of(synapse.source)
    out_shape = graph.shape_of(synapse.target)
    out_x, out_y, out = np.indices(out_shape).reshape(3, -1)
    per_group_in, per_group_out = synapse.weight.shape[3], out_shape[2] // synapse.groups
    rows, columns, values, delays = [], [], [], []
    channel_delay = np.broadcast_to(np.asarray(synapse.delay_steps, dtype=np.int64), (n_in,))
    for i, j, c in np.ndindex(synapse.weight.shape[1:]):
        x = out_x * synapse.stride[0] - synapse.padding[0] + i * synapse.dilation[0]
        y = out_y * synapse.stride[1] - synapse.padding[1] + j * synapse.dilation[1]
        channel = out // per_group_out * per_group_in + c
        weight = synapse.weight[out, i, j, c]
        kept = (x >= 0) & (x < n_x) & (y >= 0) & (y < n_y) & (weight != 0)
        rows.append(np.flatnonzero(kept))
        columns.append(np.ravel_multi_index((x[kept], y[kept], channel[kept]), (n_x, n_y, n_in)))
        values.append(weight[kept])
        delays.append(channel_delay[channel[kept]])
    place = (np.concatenate(rows), np.concatenate(columns))
    shape = (out.size, n_x * n_y * n_in)
    weights = csr_matrix((np.concatenate(values).astype(np.int32), place), shape)
    delay = csr_matrix((np.concatenate(delays), place), shape)
    delay.eliminate_zeros()
    return weights, delay
