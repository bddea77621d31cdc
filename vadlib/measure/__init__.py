"""From errors to numbers: scores, frames, pixels, regions, and how far each could be off.

Everywhere a higher score is more anomalous, label 1 is abnormal, and lists hold one array a video
(a lone array is one video). Bad input raises VadError: no function here answers it with a number.
"""

from vadlib.measure.frames import average_precision, eer, frame_auc, roc_points
from vadlib.measure.intervals import Interval, bootstrap
from vadlib.measure.pixels import pixel_auc
from vadlib.measure.regions import (
    Detections,
    box_detections,
    box_tracks,
    detections,
    hit,
    mask_tracks,
    rbdc,
    tbdc,
)

__all__ = [
    "Detections",
    "Interval",
    "average_precision",
    "bootstrap",
    "box_detections",
    "box_tracks",
    "detections",
    "eer",
    "frame_auc",
    "hit",
    "mask_tracks",
    "pixel_auc",
    "rbdc",
    "roc_points",
    "tbdc",
]
