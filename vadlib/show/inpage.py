"""A detector that runs in the page: what `book/_static/inpage.js` needs, and the film before it.

As a page is read first, a film plays. Where the book was built with a runtime (see
`vadlib.press.inpage`), a button below it loads the network, on a click; else the film stays.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vadlib.errors import VadError
from vadlib.show.pictures import Page, _data

UNIT = 1 / 32  # pixels: the step in which a page holds flow
EVERY = 383  # a prime: one in so many numbers of an output is compared in the page
STANDS = (
    "The film stands in place of the detector. This copy of the book was built without the "
    "runtime that would run it here (npm was missing, or the registry out of reach), or scripts "
    "are off in this browser."
)


@dataclass(frozen=True, eq=False)
class Clip:
    """N frames that the page can show its network, and what PyTorch makes of each.

    frames    (N, H, W, 3) uint8
    flow      (N, H, W, 2) to the next frame, in pixels; whole multiples of UNIT
    labels    (N,), 1 where abnormal; index (N,) the frames' numbers in their film
    painted   (N, 3, H, W) and expected (N, 2, H, W): the network's two outputs
    scores    (N,) by PyTorch
    near      (N,) bool: a rounding may decide what the memory keeps, so that outputs may differ
    Raises VadError where lengths differ, or the flow is no multiple of UNIT.
    """

    frames: np.ndarray
    flow: np.ndarray
    labels: np.ndarray
    index: np.ndarray
    painted: np.ndarray
    expected: np.ndarray
    scores: np.ndarray
    near: np.ndarray

    def __post_init__(self):
        wrong = [name for name, part in vars(self).items() if len(part) != len(self.frames)]
        if wrong:
            raise VadError(f"not one {wrong[0]} for each frame", "Cut all to the same frames.")
        if not np.array_equal(in_steps(self.flow), self.flow):
            raise VadError("a flow that a page cannot hold", "Round it with `in_steps` first.")


def in_steps(flow: np.ndarray) -> np.ndarray:
    """A flow of any shape rounded to multiples of UNIT, as float32: what a page holds."""
    return (np.round(np.asarray(flow, np.float32) / UNIT) * UNIT).astype(np.float32)


def inpage(
    film: Page,
    clip: Clip,
    psi: float,
    patch: tuple[int, int],
    stride: tuple[int, int],
    usual: Sequence[float],
) -> Page:
    """The film, and what the page needs to run MAAM-Net in its place.

    psi, patch, stride  as in Algorithm 1
    usual               the appearance score of normal frames: the lowest and the highest
    """
    outputs = np.concatenate(
        [clip.painted.reshape(len(clip.frames), -1), clip.expected.reshape(len(clip.frames), -1)], 1
    )
    data = {
        "size": list(clip.frames.shape[1:3]),
        "frames": [_data("image/webp", _lossless(f)) for f in clip.frames],
        "flow": _packed(np.round(clip.flow / UNIT).astype("<i2")),
        "unit": UNIT,
        "labels": clip.labels.astype(int).tolist(),
        "index": clip.index.astype(int).tolist(),
        "scores": [float(f"{s:.7g}") for s in clip.scores],
        "near": clip.near.astype(int).tolist(),
        "every": EVERY,
        "outputs": _packed(outputs[:, ::EVERY].astype("<f4")),
        "psi": psi,
        "patch": list(patch),
        "stride": list(stride),
        "usual": [float(u) for u in usual],
    }
    packed = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    body = (
        f'<figure class="vad-move vad-inpage"><div class="vad-film">{film.html}</div>'
        f'<script type="application/json">{packed}</script>'
        f'<figcaption class="vad-said">{STANDS}</figcaption></figure>'
    )
    return Page(body, f"{film.text}. {STANDS}")


def _lossless(frame: np.ndarray) -> bytes:
    memory = io.BytesIO()
    Image.fromarray(frame).save(memory, "WEBP", lossless=True)
    return memory.getvalue()


def _packed(values: np.ndarray) -> str:
    """Numbers for a page, which unpacks them by DecompressionStream("deflate")."""
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode()
