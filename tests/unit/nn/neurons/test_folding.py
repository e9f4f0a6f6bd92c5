"""What is folded computes the same, and nothing is left to fold."""

import numpy as np
import torch

from pumice import nn
from pumice.quantization import is_quantized, quantize_
from pumice.quantization.synapse_view import synapse_views

X = (torch.rand(8, 3, 6, generator=torch.Generator().manual_seed(0)) > 0.5).float()


def normed():
    lif = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.5}
    torch.manual_seed(0)
    return nn.Dense({**lif, "norm": nn.TDBN}, 3, 4)


def test_folding_preserves_the_normalised_current():
    layer = normed()
    for _ in range(5):
        layer(X)
    layer.eval()
    (view,) = synapse_views(layer)
    current = layer.synapse(X)
    folded = torch.einsum("oi,bit->bot", view.folded_rows(), X) + layer.neuron.offset().reshape(-1, 1)
    expected = layer.neuron.norm(current)
    assert (expected - current).abs().max() > 0.1  # the norm does something
    np.testing.assert_allclose(folded.detach(), expected.detach(), atol=1e-5)


def test_a_folded_network_has_no_norm_left_to_fold():
    """Deploying again changes no parameter, no buffer and no spike; and what is deployed says so."""
    model = torch.nn.Sequential(normed())
    model(X)
    assert not is_quantized(model)
    first = quantize_(model, X)(X)
    assert is_quantized(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert torch.equal(quantize_(model, X)(X), first)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
