"""Settings of torch that must not change an integer, as Python."""

from __future__ import annotations

SETTINGS: dict[str, str] = {
    "bfloat16": 'torch.autocast("cpu", dtype=torch.bfloat16)',
    "float16": 'torch.autocast("cpu", dtype=torch.float16)',
    "inference": "torch.inference_mode()",
    "no grad": "torch.no_grad()",
    "no oneDNN": "torch.backends.mkldnn.flags(enabled=False)",
    "float64": "setting(torch.get_default_dtype, torch.set_default_dtype, torch.float64)",
    "one thread": "setting(torch.get_num_threads, torch.set_num_threads, 1)",
    "three threads": "setting(torch.get_num_threads, torch.set_num_threads, 3)",
    "deterministic": "setting(torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, True)",
    "medium precision": ('setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium")'),
}
"""Name -> a context manager."""

LAYOUTS: dict[str, str] = {
    "plain": "{}",
    "channels last": "{}.movedim(1, -1).contiguous().movedim(-1, 1)",
    "time first": "{}.movedim(-1, 0).contiguous().movedim(0, -1)",
    "strided": "{}.repeat_interleave(2, -1)[..., ::2]",
    "expanded": "expanded({})",
    "backwards": "{}.transpose(0, 1).contiguous().transpose(0, 1)",
}
"""Name -> what brings a tensor into that order in memory."""
