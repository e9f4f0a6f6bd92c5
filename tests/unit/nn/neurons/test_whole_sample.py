import pytest
import torch

from pumice.nn.neurons.whole_sample import any_step


@pytest.mark.parametrize("by_step", [False, True])
def test_who_was_active_at_all(by_step):
    """In both orders in memory, of zeros of both signs, beyond a block of the compiled loop."""
    x = (torch.rand(2, 700, 9, generator=torch.Generator().manual_seed(0)) < 0.05).float()
    x[0, :3] = torch.tensor([[-0.0], [0.0], [-2.0]])
    x = x.permute(2, 0, 1).contiguous().permute(1, 2, 0) if by_step else x
    found = any_step(x)
    assert torch.equal(found, (x != 0).any(-1, keepdim=True).float())
    assert torch.equal(found, any_step(x.double()).float())
    assert found[0, :3].flatten().tolist() == [0, 0, 1]
