"""Boxes by a trained detector, in place of those by what moves (`see.objects`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torchvision.models import detection
from tqdm.auto import tqdm

from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.see.objects import Boxes, ProposalConfig, distinct, frame_boxes, merge


def detect(
    video: Video,
    weights: str | Path,
    config: ProposalConfig | None = None,
    score: float = 0.3,
    device: str = "cpu",
) -> Boxes:
    """Boxes of torchvision's Faster R-CNN (MobileNet v3, 320 pixels), as `propose` gives them.

    weights  a file with its state dict, or "DEFAULT" for torchvision's, trained on COCO
    score    boxes of at least this confidence stay, whatever their class
    Raises VadError where the weights cannot be had; `propose` is never used in their place.
    """
    config = config or ProposalConfig()
    model = _faster_rcnn(weights).to(device).eval()
    found = []
    for frame in tqdm(video.frames, desc=f"boxes of video {video.name}", leave=False, delay=0.5):
        image = torch.from_numpy(np.array(np.moveaxis(frame, -1, 0))).float() / 255
        with torch.no_grad():
            out = model([image.expand(3, -1, -1).to(device)])[0]
        xyxy = out["boxes"][out["scores"] >= score].cpu().numpy()
        tight = xyxy[:, [1, 0, 3, 2]].astype(np.float32)
        tight = merge(tight, config.merge)
        tight = distinct(tight, config.duplicate)
        found.append(frame_boxes(tight, config, video.size[0] / 128))
    return found


def _faster_rcnn(weights: str | Path) -> torch.nn.Module:
    make = detection.fasterrcnn_mobilenet_v3_large_320_fpn
    remedy = "Use objects.propose, which needs no weights, or give the file of a state dict."
    try:
        if str(weights) == "DEFAULT":
            return make(weights="DEFAULT", progress=False)
        model = make(weights=None, weights_backbone=None)
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return model
    except Exception as error:  # no network, no file, another architecture: one remedy
        text = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise VadError(f"Faster R-CNN weights {weights} cannot be loaded: {text}", remedy) from (
            error
        )
