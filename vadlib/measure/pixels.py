"""From heat maps and masks to the two numbers that go by the name of pixel-level AUC."""

from __future__ import annotations

import numpy as np

from vadlib.errors import VadError
from vadlib.measure.checks import ONE_CLASS, Arrays, _one_of, _paired, _resized
from vadlib.measure.frames import _auc, frame_auc


def pixel_auc(heatmaps: Arrays, masks: Arrays, criterion: str = "pixel") -> float:
    """Two different numbers that both go by the name of pixel-level AUC.

    heatmaps   one (T, h, w) array a video; resized bilinearly to the masks, compared in float32
    masks      one (T, H, W) array of 0/1 a video
    criterion  "pixel": the ROC over all pixels of all frames. Exact: sorted video by video, so
               memory stays at one video's maps at mask size.
               "ucsd40": the criterion of Mahadevan et al. (CVPR 2010) for Ped1 and Ped2. At a
               threshold, an abnormal frame is a true positive when at least 40 % of its abnormal
               pixels reach it; a normal frame is a false positive when any pixel does.
    Returns a fraction in 0..1. Raises VadError as `frame_auc` does, and for shapes that differ.
    """
    _one_of("criterion", criterion, ("pixel", "ucsd40"))
    pairs = _paired(heatmaps, masks, ndim=3, what="heatmaps")
    if criterion == "ucsd40":
        series = [_ucsd_scores(heat, mask) for heat, mask in _resized(pairs)]
        return frame_auc(series, [mask.any((1, 2)) for _, mask in pairs])
    abnormal = np.concatenate([heat[mask] for heat, mask in _resized(pairs)])
    if not 0 < len(abnormal) < sum(mask.size for _, mask in pairs):
        raise VadError("masks: all pixels are of one class", ONE_CLASS)
    return _auc(abnormal, (heat[~mask] for heat, mask in _resized(pairs)))


def _ucsd_scores(heat: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The highest threshold at which each frame is detected (T,), so that frame_auc is the AUC."""
    scores = heat.max((1, 2))
    for t in np.flatnonzero(mask.any((1, 2))):
        pixels = heat[t][mask[t]]
        need = -(-2 * len(pixels) // 5)  # 40 %, rounded up
        scores[t] = np.partition(pixels, len(pixels) - need)[len(pixels) - need]
    return scores
