"""A GPU that is not there: tensors on "cuda" have a device, a type and a shape, and no values.

On a machine without a GPU, code for one runs to its end here. What is on the CPU is real, what is
on "cuda" is a FakeTensor, and what is copied back from there comes with values made up. So whatever
mixes devices, types or shapes fails as it would on a GPU; what numbers come out is not asked.
"""

from contextlib import contextmanager

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten


class PretendCuda(TorchDispatchMode):
    """Send what touches "cuda" to a FakeTensorMode, which must be on, and the rest to the CPU."""

    def __init__(self, fake):
        super().__init__()
        self.fake = fake

    def faked(self, x):
        real = isinstance(x, torch.Tensor) and not isinstance(x, FakeTensor)
        return self.fake.from_tensor(x.detach(), static_shapes=True) if real else x

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        fakes = [x for x in leaves if isinstance(x, FakeTensor)]
        if not fakes and not any(isinstance(x, torch.device) and x.type == "cuda" for x in leaves):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        if func is aten._local_scalar_dense.default:  # float(x), bool(x): a value is asked for
            return True if fakes[0].dtype == torch.bool else torch.zeros((), dtype=fakes[0].dtype).item()
        if func is aten.nonzero.default:  # how many there are hangs on values: one is
            return fakes[0].new_zeros((1, fakes[0].ndim), dtype=torch.int64)
        out = func(*tree_map(self.faked, args), **tree_map(self.faked, kwargs))
        if func in (aten.copy_.default, aten.set_.source_Tensor) and not isinstance(args[0], FakeTensor):
            return args[0]
        return tree_map(made_up, out)


def made_up(x):
    """A fake tensor that came to the CPU, with values."""
    if not isinstance(x, FakeTensor) or x.device.type != "cpu":
        return x
    with unset_fake_temporarily():
        real = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype)
        return real.uniform_() if x.is_floating_point() else real.zero_()


def moved(module, fn, recurse=True):
    """`nn.Module._apply` without swapping tensors: one is real, the other has no values."""
    for child in module.children():
        child._apply(fn)
    for name, p in module._parameters.items():
        if p is not None:
            with torch.no_grad():
                new = fn(p)
            same = new.device == p.device and new.dtype == p.dtype
            if not same:
                module._parameters[name] = nn.Parameter(new, p.requires_grad)
    for name, b in module._buffers.items():
        if b is not None:
            module._buffers[name] = fn(b)
    return module


@contextmanager
def pretend_cuda(monkeypatch):
    """A block in which there is one GPU, as far as PyTorch and Fabric can tell."""
    for name, value in {
        "is_available": True,
        "device_count": 1,
        "current_device": 0,
        "is_bf16_supported": True,
        "set_device": None,
        "empty_cache": None,
        "synchronize": None,
        "get_device_capability": (9, 0),
        "get_device_name": "a GPU that is not there",
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *a, value=value, **k: value)
    monkeypatch.setattr(nn.Module, "_apply", moved)
    with FakeTensorMode() as fake, PretendCuda(fake):
        yield
