"""The two plainest networks of the field: what they are shown, and how much they may keep of it."""

from __future__ import annotations

from dataclasses import dataclass

from vadlib.lab.experiment import TrainConfig


@dataclass(frozen=True)
class PainterConfig:
    """An autoencoder, which is shown the frame that it paints, or a predictor, which is not.

    past     frames shown, those before the painted one; 0 shows the painted frame itself
    width    channels after the first convolution, doubled by each of the next two
    code     channels of the bottleneck, at an eighth of the height and width: the narrow place
    skip     lets the decoder see what the encoder saw, around the bottleneck
    patch    (height, width) in pixels of the worst patch, which is a term beside the score
    """

    in_channels: int = 3
    past: int = 0
    width: int = 8
    code: int = 8
    skip: bool = False
    patch: tuple[int, int] = (30, 20)
    train: TrainConfig = TrainConfig(epochs=20, batch_size=8, lr=2e-3, schedule="cosine")
