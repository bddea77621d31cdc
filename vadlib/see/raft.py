"""RAFT (Teed and Deng, 2020): optical flow by a trained network, where its weights can be had."""

from __future__ import annotations

import functools

import numpy as np
import torch
import torchvision
import torchvision.models.optical_flow as zoo

from vadlib.errors import VadError
from vadlib.see.hub import published


def weights_of(method: str):
    """The published weights of a method, as torchvision names them."""
    small = method == "raft_small"
    return zoo.Raft_Small_Weights.DEFAULT if small else zoo.Raft_Large_Weights.DEFAULT


@functools.cache
def _raft_model(method: str) -> torch.nn.Module:
    """RAFT with the published weights, in evaluation mode, on the GPU where there is one."""
    weights = weights_of(method)
    try:
        model = torchvision.models.get_model(method, weights=None)
        model.load_state_dict(published(weights))
    except (OSError, RuntimeError) as error:  # no network, or a file that is not whole
        folder = f"{torch.hub.get_dir()}/checkpoints"
        raise VadError(
            f"the weights of {method} cannot be loaded ({error})",
            f"Put the file from {weights.url} into {folder}, or use method 'dis'.",
        ) from error
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def flow(method: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What `motion.compute` returns, by RAFT; raises VadError without its weights."""
    model = _raft_model(method)
    height, width = a.shape[:2]
    # RAFT wants multiples of 8, and at least 128 so that its coarsest correlation has two cells
    down, right = (max(128, -(-n // 8) * 8) - n for n in (height, width))
    pad = (0, right, 0, down)
    pair = [_to_raft(frame, pad, next(model.parameters()).device) for frame in (a, b)]
    with torch.inference_mode():
        result = model(*pair)[-1][0]  # the last of RAFT's refinements: (2, H', W')
    return result[:, :height, :width].permute(1, 2, 0).cpu().numpy()


def _to_raft(frame: np.ndarray, pad: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """(1, 3, H', W') in [-1, 1], its border repeated to RAFT's size."""
    channels = np.atleast_3d(frame)  # (H, W, 1 or 3)
    rgb = np.array(np.broadcast_to(channels, (*channels.shape[:2], 3)))
    x = torch.from_numpy(rgb).permute(2, 0, 1)[None].to(device).float() / 127.5 - 1
    return torch.nn.functional.pad(x, pad, mode="replicate")
