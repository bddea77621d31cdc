"""The untrained rule for bags: what weak labels have to beat before they have taught anything."""

from __future__ import annotations

import numpy as np

from vadlib.data.bags import Bag
from vadlib.data.base import Video
from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.papers.baselines.rules import Untrained
from vadlib.see import extract
from vadlib.see.extract import SPEEDS, STRIPS, WAYS


class FlowBag(Untrained):
    """The strip of the frame in which most moves: the largest sum of a strip's flow histogram.

    It is to bags of the extractor "flow" what `ZeroFlow` is to videos. The strips are the
    features' own, summed over directions and speeds; nothing is scaled, fitted or chosen.
    """

    name = "flow-bag"

    def score(self, video: Bag | Video) -> Scores:  # type: ignore[override]
        """The mean over crops; each snippet's score speaks for all of its frames.

        The flow of a film's own frames is looked at where it is given one: that needs no network.
        Raises VadError for features that are not the 144 of `extract.flow_histogram`.
        """
        video = extract.bag(video, "flow") if isinstance(video, Video) else video
        if video.features.shape[2] != STRIPS * WAYS * len(SPEEDS):
            raise VadError(
                f"bag {video.dataset}/{video.name} has {video.features.shape[2]} numbers a snippet",
                'The strips of flow are in bags of the extractor "flow": choose such data.',
            )
        crops, snippets, _ = video.features.shape
        strips = np.stack([np.array(video.features[c], np.float64) for c in range(crops)])
        strips = strips.reshape(crops, snippets, STRIPS, -1).sum(3)  # (crops, T, strips)
        index = np.arange(len(video))
        return Scores(video.name, strips.max(2).mean(0)[index // video.span], index)
