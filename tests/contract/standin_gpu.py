"""A GPU played on the CPU: which tensors lie on it is remembered, values are the CPU's.

Code that asks a tensor where it lies, moves tensors, or makes them on "cuda" gets the answers of a machine with one
GPU; an operation on tensors of both sides is an error, as there; kernels are Triton's, under its interpreter. So
paths through "cuda" can be run to their end where no GPU is, and their numbers compared. It knows nothing of speed,
streams, autocast, CUDA graphs, and of what cuDNN and cuBLAS make of a sum.
"""

import importlib
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from pumice.nn.kernels import operators

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
TENSOR = torch.Tensor
KERNELS = [f"pumice.nn.kernels.{name}" for name in ("cuda_norm", "cuda_surrogate", "cuda_credit", "cuda")]
LARGEST_BLOCK = 1024  # the interpreter takes its time for each
OF_TORCH_CUDA = {
    "is_available": lambda: True,
    "device_count": lambda: 1,
    "current_device": lambda: 0,
    "set_device": lambda *_: None,
    "synchronize": lambda *_: None,
    "empty_cache": lambda: None,
    "get_device_capability": lambda *_: (7, 0),
    "get_device_name": lambda *_: "stand-in",
    "mem_get_info": lambda *_: (1 << 36, 1 << 36),
    "is_current_stream_capturing": lambda: False,
    "get_rng_state": lambda *_: torch.get_rng_state(),
    "set_rng_state": lambda state, *_: torch.set_rng_state(state),
    "manual_seed_all": lambda *_: None,
}


def storage_of(x):
    """Where its numbers are, also of sparse tensors."""
    if x.layout is torch.sparse_coo:
        x = x._values()
    elif x.layout is not torch.strided:
        x = x.values()
    return x.untyped_storage()


def tensors_in(*values):
    return [x for x in tree_leaves(values) if isinstance(x, TENSOR)]


class Memory:
    """What lies on the GPU: storages, which are kept, so that no other gets their place."""

    def __init__(self):
        self._storages = {}

    def __contains__(self, x):
        return storage_of(x)._cdata in self._storages

    def add(self, x):
        storage = storage_of(x)
        self._storages[storage._cdata] = storage

    def check_one_side(self, what, tensors):
        """A number on the CPU goes with everything."""
        if len({x in self for x in tensors if x.ndim or x in self}) == 2:
            raise RuntimeError(f"Expected all tensors to be on the same device, but found two: {what}")

    def moved(self, x, to_gpu):
        return x if (x in self) == to_gpu else _Move.apply(x, self, to_gpu)

    def copy(self, x, to_gpu):
        with torch._C.DisableTorchFunction(), _disable_current_modes():
            y = x.detach().clone()
        if to_gpu:
            self.add(y)
        return y


class _Move(torch.autograd.Function):
    """A copy on the other side, and its gradient back."""

    @staticmethod
    def forward(ctx, x, memory, to_gpu):
        ctx.memory, ctx.back = memory, not to_gpu
        return memory.copy(x, to_gpu)

    @staticmethod
    def backward(ctx, g):
        return ctx.memory.copy(g, ctx.back), None, None


class _Operations(TorchDispatchMode):
    """Each operation below autograd: its tensors lie on one side, and what comes of it lies there."""

    def __init__(self, memory):
        super().__init__()
        self.memory, self.makes_on_gpu = memory, False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors, name = tensors_in(args, kwargs), func._schema.name.split("::")[1].strip("_")
        indexes_gpu = name in {"index", "index_put", "index_put_impl"} and tensors[0] in self.memory
        if name not in {"copy", "to_copy"} and not indexes_gpu:  # indices may lie on the CPU
            self.memory.check_one_side(func, tensors)
        on_gpu = any(x in self.memory for x in tensors) if tensors else self.makes_on_gpu
        out = func(*args, **(kwargs or {}))
        if on_gpu:
            known = {storage_of(x)._cdata for x in tensors}
            for x in tensors_in(out):
                if storage_of(x)._cdata not in known:
                    self.memory.add(x)
        return out


class _Functions(TorchFunctionMode):
    """Each function of torch above autograd: devices are what the stand-in says."""

    def __init__(self, memory, operations):
        super().__init__()
        self.memory, self.operations = memory, operations

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, memory = kwargs or {}, self.memory
        if func in {torch.device, torch._C._nn._parse_to}:
            return func(*args, **kwargs)
        if func in GETTERS:
            return GETTERS[func](args[0] in memory)
        if func is TENSOR.numpy and args[0] in memory and not kwargs.get("force"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
        if func in {TENSOR.cuda, TENSOR.cpu}:
            return memory.moved(args[0], func is TENSOR.cuda)
        if func is TENSOR.pin_memory:
            return args[0]
        to_gpu = self._is_gpu_named(func, args, kwargs)
        args, kwargs = tree_map(_without_gpu, (args, kwargs))
        if func is TENSOR.to and to_gpu is not None:
            args = (memory.moved(args[0], to_gpu), *args[1:])
        on_gpu = any(x in memory for x in tensors_in(args, kwargs)) if to_gpu is None else to_gpu
        before, self.operations.makes_on_gpu = self.operations.makes_on_gpu, on_gpu
        try:
            out = func(*args, **kwargs)
        finally:
            self.operations.makes_on_gpu = before
        if func is TENSOR.__deepcopy__ and on_gpu:
            memory.add(out)  # its storage is copied below all operations
        if to_gpu is None or func is TENSOR.to:
            return out
        return tree_map(lambda x: memory.moved(x, to_gpu) if isinstance(x, TENSOR) else x, out)

    def _is_gpu_named(self, func, args, kwargs):
        """Whether the GPU is asked for; None if no device is."""
        if func is TENSOR.to:
            for x in (*args[1:2], *kwargs.values()):
                if isinstance(x, TENSOR):
                    return x in self.memory
        for x in (*args, kwargs.get("device")):
            if isinstance(x, torch.device) or (isinstance(x, str) and x.partition(":")[0] in {"cuda", "cpu"}):
                return torch.device(x).type == "cuda"
        return None


def _without_gpu(x):
    named = isinstance(x, torch.device) or (isinstance(x, str) and x.partition(":")[0] == "cuda")
    return CPU if named else x


GETTERS = {
    TENSOR.device.__get__: lambda on_gpu: GPU if on_gpu else CPU,
    TENSOR.is_cuda.__get__: lambda on_gpu: on_gpu,
    TENSOR.is_cpu.__get__: lambda on_gpu: not on_gpu,
    TENSOR.get_device: lambda on_gpu: 0 if on_gpu else -1,
}


def load_kernels():
    """For Triton or its interpreter, which is chosen when kernels are defined."""
    return [importlib.reload(importlib.import_module(name)) for name in KERNELS]


@contextmanager
def standin_gpu():
    """A machine with one GPU, as long as the context lasts."""
    memory = Memory()
    below = _Operations(memory)
    above = _Functions(memory, below)
    run_backward, run_kernels = torch.autograd._engine_run_backward, operators.Operator.run

    def with_answers(*args, **kwargs):  # a function that runs Python of its own
        with above:
            return run_backward(*args, **kwargs)

    def checked(operator, *args):
        memory.check_one_side(operator.name, tensors_in(args))
        run_kernels(operator, *args)

    with ExitStack() as stack:
        stack.callback(load_kernels)  # as they were, once the environment is
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("TRITON_INTERPRET", "1")
        for module in load_kernels():
            if hasattr(module, "BLOCK"):
                module.BLOCK = LARGEST_BLOCK
        for name, answer in OF_TORCH_CUDA.items():
            patch.setattr(torch.cuda, name, answer)
        if hasattr(torch, "accelerator"):
            patch.setattr(torch.accelerator, "current_stream", lambda *_: SimpleNamespace(is_capturing=lambda: False))
        patch.setattr(torch.autograd, "_engine_run_backward", with_answers)
        patch.setattr(operators.Operator, "run", checked)
        stack.enter_context(below)
        stack.enter_context(above)
        yield memory
