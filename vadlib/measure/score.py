"""From errors to frame scores: PSNR, PSCD, normalisation with a stated scope, smoothing.

Every function keeps the house's direction: higher is more anomalous, except `psnr`, which measures
quality; whoever uses it turns the sign once, with `regularity_to_score`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from vadlib.errors import VadError


def psnr(mse: np.ndarray, peak: float = 1.0) -> np.ndarray:
    """Peak signal-to-noise ratio in decibels, 10 log10(peak^2 / mse). Higher is *better*.

    mse   (N,) mean squared errors, >= 0; an exact match gives +inf
    peak  largest possible difference of two pixels: 1 for images in [0, 1], 2 for [-1, 1]
    Raises VadError for errors that are negative or NaN.
    """
    errors = np.asarray(mse, dtype=np.float64)
    if not (errors >= 0).all():
        raise VadError("a mean squared error is negative or NaN", "Look where it was computed.")
    with np.errstate(divide="ignore"):
        return 10 * np.log10(peak**2 / errors)


def regularity_to_score(regularity: np.ndarray) -> np.ndarray:
    """Turn a quality or regularity (higher is more normal) into a score: its negative."""
    return -np.asarray(regularity)


def stride_of(patch: tuple[int, int]) -> tuple[int, int]:
    """The stride that Algorithm 1 of MAAM-Net gives a patch: a quarter of it, one at least."""
    return max(1, patch[0] // 4), max(1, patch[1] // 4)


def pscd(
    error: Tensor,
    patch: tuple[int, int],
    stride: tuple[int, int] | None = None,
    padding: Literal["same", "valid"] = "same",
) -> Tensor:
    """Patch-based stride convolution: the sum of the error over every patch (Algorithm 1).

    error    (N, H, W) errors, already summed over channels
    patch    (h, w) pixels, about the size of a person
    stride   (vertical, horizontal); a quarter of the patch when None
    padding  "same" lets patches hang over the border (zeros outside), "valid" does not
    returns  (N, h', w') sums; with "same", h' = ceil(H / stride)
    Raises VadError when the patch does not fit.

    MAAM-Net, Algorithm 1, lines 8-12: a convolution with a filter of ones. A sum over a box is
    separable, so two thin convolutions do the work of one fat one.
    """
    (h, w), (sv, sh) = patch, stride or stride_of(patch)
    height, width = error.shape[-2:]
    if h > height or w > width or h < 1 or w < 1:
        raise VadError(
            f"patch {patch} does not fit an error map of {height}x{width}",
            "Choose a patch no larger than the frame.",
        )
    x = error.unsqueeze(1)  # (N, 1, H, W)
    if padding == "same":
        top, left = _same(height, h, sv), _same(width, w, sh)
        x = F.pad(x, (*left, *top))
    x = F.conv2d(x, x.new_ones(1, 1, h, 1), stride=(sv, 1))
    return F.conv2d(x, x.new_ones(1, 1, 1, w), stride=(1, sh)).squeeze(1)


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, so that a strided window yields ceil(size / stride) values."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pool(maps: Tensor, how: Literal["max", "mean"] = "max") -> Tensor:
    """One number for each map: (N, h, w) -> (N,), the largest value or the mean."""
    flat = maps.flatten(1)
    if how == "max":
        return flat.amax(1)
    if how == "mean":
        return flat.mean(1)
    raise VadError(f"unknown pooling {how!r}", "Use 'max' or 'mean'.")


Arrays = Sequence[np.ndarray]


def normalise(
    scores: Arrays,
    scope: Literal["none", "global", "per_video", "train"] = "none",
    how: Literal["minmax", "z"] = "minmax",
    reference: Arrays | None = None,
) -> list[np.ndarray]:
    """Shift and scale the scores of each video, with statistics from a stated scope.

    scores     one (N,) array a video
    scope      "none" leaves them alone; "global" takes the statistics over all these videos;
               "per_video" over each by itself (looks at the whole test video, its future too);
               "train" over `reference`, the scores of the training videos
    how        "minmax" maps to [0, 1] (MAAM-Net, eq. 11); "z" to mean 0 and sd 1
    A constant scope maps to zeros. Raises VadError for unknown options.
    """
    if scope == "none":
        return [np.asarray(s, dtype=np.float64) for s in scores]
    if scope == "per_video":
        return [_rescale(s, s, how) for s in scores]
    if scope == "global":
        basis = np.concatenate([np.asarray(s) for s in scores])
    elif scope == "train":
        if reference is None:
            raise VadError("scope 'train' has no reference", "Pass the training videos' scores.")
        basis = np.concatenate([np.asarray(s) for s in reference])
    else:
        raise VadError(f"unknown scope {scope!r}", "Use 'none', 'global', 'per_video' or 'train'.")
    return [_rescale(s, basis, how) for s in scores]


def _rescale(scores: np.ndarray, basis: np.ndarray, how: str) -> np.ndarray:
    scores, basis = np.asarray(scores, dtype=np.float64), np.asarray(basis, dtype=np.float64)
    if not len(basis) or not (np.isfinite(scores).all() and np.isfinite(basis).all()):
        raise VadError(
            "scores that are empty, NaN or infinite cannot be normalised",
            "Look for a division by zero, or an exact match whose PSNR is infinite.",
        )
    if how == "minmax":
        shift, scale = basis.min(), np.ptp(basis)
    elif how == "z":
        shift, scale = basis.mean(), basis.std()
    else:
        raise VadError(f"unknown normalisation {how!r}", "Use 'minmax' or 'z'.")
    return (scores - shift) / scale if scale > 0 else np.zeros_like(scores)


def smooth(
    scores: Arrays,
    kind: Literal["none", "gaussian", "median"] = "none",
    width: float = 5,
    causal: bool = False,
) -> list[np.ndarray]:
    """Smooth the scores of each video over time; no video's scores touch another's.

    scores  one (N,) array a video
    kind    "gaussian" (width is sigma, in frames) or "median" (width is the window, odd)
    causal  use no future frame: half a Gaussian, or the last `width` frames. A non-causal filter
            cannot run on a live camera, and says so by this flag wherever it is used.
    Ends are handled by repeating the first and last score. Raises VadError for unknown options.
    """
    if kind == "none":
        return [np.asarray(s, dtype=np.float64) for s in scores]
    if not 0 < width < np.inf:
        raise VadError(f"smoothing width {width} is not positive", "Use a width above zero.")
    if kind == "gaussian":
        radius = int(4 * width + 0.5)
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / width) ** 2)
        if causal:
            kernel[radius + 1 :] = 0  # offsets after the present are the future
        kernel /= kernel.sum()
        return [ndimage.correlate1d(_float(s), kernel, mode="nearest") for s in scores]
    if kind == "median":
        size = int(width)
        if size != width or size % 2 == 0:
            raise VadError(f"a median's window of {width} frames", "Use an odd whole number.")
        shift = (size - 1) // 2 if causal else 0  # moves the window wholly into the past
        return [
            ndimage.median_filter(_float(s), size=size, mode="nearest", origin=shift)
            for s in scores
        ]
    raise VadError(f"unknown smoothing {kind!r}", "Use 'none', 'gaussian' or 'median'.")


def _float(scores: np.ndarray) -> np.ndarray:
    return np.asarray(scores, dtype=np.float64)
