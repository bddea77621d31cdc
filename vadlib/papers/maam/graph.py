"""MAAM-Net as an ONNX graph: what a runtime without PyTorch can run, such as a browser."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vadlib.errors import VadError
from vadlib.papers.layers.memory import rows, similarities
from vadlib.papers.maam.network import MAAMNet


class Graph(nn.Module):
    """The network of a frame as a camera gives it, without branches that depend on its values.

    `Memory` asks whether any row came out empty, and a graph cannot ask: here every row is given
    what it needs. Raises VadError for a network without memory, or that reads beside it.
    """

    def __init__(self, net: MAAMNet):
        super().__init__()
        if net.memory is None or net.memory.read != "replace" or net.memory.empty_row != "argmax":
            raise VadError("this network has no graph yet", "Export one with the paper's memory.")
        self.net, self.memory = net, net.memory

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 3, H, W) in 0..255 -> frame (1, 3, H, W) in [-1, 1] and flow (1, 2, H, W)."""
        z, sizes = self.net.encoder(frame / 127.5 - 1)
        read = self.address(rows(z)) @ self.memory.items
        z_hat = read.view(z.shape[0], z.shape[2], z.shape[3], -1).permute(0, 3, 1, 2)
        return self.net.appearance(z_hat, sizes), self.net.motion(z_hat, sizes)

    def address(self, queries: Tensor) -> Tensor:
        """Equations 1-3 as `Memory.address`: (Q, C) -> weights (Q, N)."""
        m = self.memory
        weights = (similarities(queries, m.items, m.similarity) / m.temperature).softmax(1)
        best, place = weights.max(1, keepdim=True)
        largest = torch.arange(weights.shape[1], device=weights.device) == place
        keep = (weights > m.threshold) | (largest & (best <= m.threshold))
        kept = torch.where(keep, weights, 0.0)
        return kept / kept.sum(1, keepdim=True)


def margin(net: MAAMNet, z: Tensor) -> Tensor:
    """How near a frame's weights come to the cut of equation 3, in units of lambda.

    z (B, C, h, w) as `Output.z` -> (B,), >= 0. The cut is a step: where this is no more than a few
    roundings of float32, two machines that are both right may keep different items.
    """
    m = net.memory
    if m is None:
        raise VadError("a network without memory has no cut", "Ask one with memory.")
    weights = (similarities(rows(z), m.items, m.similarity) / m.temperature).softmax(1)
    return (weights / m.threshold - 1).abs().view(len(z), -1).amin(1)


def onnx(net: MAAMNet, size: tuple[int, int]) -> bytes:
    """The network as an ONNX file for frames of (height, width) `size`: input "frame", outputs
    "painted" and "flow", as `Graph.forward` has them. The network is left on the CPU, in eval mode.
    Raises VadError as `Graph` does.
    """
    made = torch.onnx.export(
        Graph(net.cpu()).eval(),
        (torch.zeros(1, 3, *size),),
        input_names=["frame"],
        output_names=["painted", "flow"],
        dynamo=True,
        verbose=False,
    )
    assert made is not None  # as it would be without dynamo
    return made.model_proto.SerializeToString()
