"""A GPU that is not there: tensors on "cuda:0" have a device, a type and a shape, and no values.

What is on the CPU is real; what is on the GPU is a FakeTensor; what is copied back from there has
values that are made up. So code for a GPU runs to its end without one, in its own autocast, and
fails where it mixes devices, types or shapes as it would on a GPU. What numbers come out is not
asked. The backward pass alone is left out: there PyTorch's engine asks the driver for a stream.
"""

from contextlib import contextmanager

import torch
from lightning.fabric.plugins.precision import MixedPrecision
from lightning.fabric.strategies import SingleDeviceStrategy
from lightning.fabric.wrappers import _FabricModule
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from vadlib.lab import train as training
from vadlib.papers.local_patterns import alignment
from vadlib.see import extract

DEVICE = "cuda:0"
aten = torch.ops.aten


class PretendCuda(TorchDispatchMode):
    """Send what touches the GPU to a FakeTensorMode, which must be on, and the rest to the CPU."""

    def __init__(self, fake):
        super().__init__()
        self.fake = fake

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        leaves = tree_leaves((args, kwargs or {}))
        there = [x for x in leaves if isinstance(x, FakeTensor)]
        named = any(isinstance(x, torch.device) and x.type == "cuda" for x in leaves)
        if not there and not named:
            with unset_fake_temporarily():
                return func(*args, **(kwargs or {}))
        if func is aten._local_scalar_dense.default:  # float(x), bool(x): a value is asked for
            return True if there[0].dtype == torch.bool else 0.5 * there[0].is_floating_point()
        if func is aten.nonzero.default:  # how many there are hangs on values: one is
            return there[0].new_zeros((1, there[0].ndim), dtype=torch.int64)
        out = func(*tree_map(self.faked, args), **tree_map(self.faked, kwargs or {}))
        if func is aten.copy_.default and not isinstance(args[0], FakeTensor):
            return args[0]
        return tree_map(made_up, out)

    def faked(self, x):
        """A tensor without its values."""
        if isinstance(x, FakeTensor) or not isinstance(x, torch.Tensor):
            return x
        with unset_fake_temporarily():
            return self.fake.from_tensor(x.detach(), static_shapes=True)


def made_up(x):
    """What came to the CPU from the GPU gets values."""
    if not isinstance(x, FakeTensor) or x.device.type != "cpu":
        return x
    with unset_fake_temporarily():
        real = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype)
        return real.uniform_() if x.is_floating_point() else real.zero_()


def moved(module, fn, recurse=True):
    """`nn.Module._apply`, which would swap a real parameter for one without values, and cannot."""
    for child in module.children():
        child._apply(fn)
    for name, p in module._parameters.items():
        if p is not None:
            with torch.no_grad():
                new = fn(p)
            if new.device != p.device:
                module._parameters[name] = nn.Parameter(new, p.requires_grad)
    for name, b in module._buffers.items():
        if b is not None:
            module._buffers[name] = fn(b)
    return module


class PretendFabric:
    """Fabric's own wrapper and precision for a GPU; `backward` makes gradients of zero."""

    device, global_rank, world_size, is_global_zero = torch.device(DEVICE), 0, 1, True

    def setup(self, net, optimizer):
        precision = MixedPrecision("bf16-mixed", "cuda")
        strategy = SingleDeviceStrategy(self.device, precision=precision)
        self.net = net
        return _FabricModule(net, strategy, original_module=net), optimizer

    def backward(self, total):
        assert total.device == self.device and total.shape == () and total.requires_grad
        assert total.dtype == torch.float32
        for p in self.net.parameters():
            if p.requires_grad:
                assert p.device == self.device
                p.grad = torch.zeros_like(p)

    def barrier(self):
        pass


@contextmanager
def pretend_cuda(monkeypatch):
    """A block in which `train` and networks can be on `DEVICE`."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *a, **k: True)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(nn.Module, "_apply", moved)
    monkeypatch.setattr(alignment, "pick_device", lambda device: device)
    monkeypatch.setattr(training, "make_fabric", lambda *a, **k: PretendFabric())
    networks = extract.effnet, extract.video_network
    try:
        with FakeTensorMode() as fake, PretendCuda(fake):
            yield
    finally:
        for network in networks:  # what was loaded in here is not real
            network.cache_clear()
