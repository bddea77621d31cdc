"""Pictures as arrays, and as HTML that carries them with it: heat, flow colours, films, sliders.

What is here knows nothing of Axes; `vadlib.plot` does, and hands these on.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import av
import cv2
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from PIL import Image

from vadlib.errors import VadError


def as_rgb(picture: np.ndarray) -> np.ndarray:
    """Any picture as (H, W, 3) uint8: (H, W), (H, W, 1) or (H, W, 3), uint8 or in [0, 1].

    Raises VadError for numbers outside [0, 1].
    """
    picture = np.atleast_3d(np.asarray(picture))
    if picture.dtype != np.uint8:
        if picture.min() < 0 or picture.max() > 1:
            raise VadError(
                f"a picture with values from {picture.min():.2f} to {picture.max():.2f}",
                "Give uint8, or numbers from 0 to 1.",
            )
        picture = np.round(picture * 255).astype(np.uint8)
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


def heat_rgb(frame: np.ndarray, heat: np.ndarray, limit: float | None = None) -> np.ndarray:
    """A frame with heat laid over it: (H, W, 3) uint8.

    frame  (H, W), (H, W, 1) or (H, W, 3), uint8 or in [0, 1]
    heat   (h, w) of any size, >= 0; stretched over the frame
    limit  the heat that gets the full colour; the map's own maximum when None
    """
    rgb = as_rgb(frame).astype(np.float32) / 255
    top = float(np.max(heat) if limit is None else limit) or 1.0
    big = cv2.resize(np.asarray(heat, np.float32), rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    level = np.clip(big / top, 0, 1)[..., None]
    colour = mpl.colormaps["inferno"](0.35 + 0.6 * level[..., 0])[..., :3]
    return (255 * (rgb * (1 - 0.8 * level) + colour * 0.8 * level)).astype(np.uint8)


def flow_rgb(flow: np.ndarray, limit: float | None = None) -> np.ndarray:
    """Flow as colour: hue is the direction, white is rest. (..., H, W, 2) -> (..., H, W, 3) uint8.

    limit  the speed, in pixels per frame, that gets the full colour; the largest when None

    The colour code of Baker et al. (2011); `flow_wheel` is its legend.
    """
    flow = np.asarray(flow, dtype=np.float32)
    speed = np.hypot(flow[..., 0], flow[..., 1])
    top = float(speed.max() if limit is None else limit) or 1.0
    hue = (np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi)) % 1
    level = np.clip(speed / top, 0, 1)
    colour = hsv_to_rgb(np.stack([hue, level, 1 - 0.15 * level], axis=-1))
    return (255 * colour).astype(np.uint8)


@dataclass(frozen=True)
class Page:
    """A piece of HTML that notebooks show as it is; its text stands in where HTML cannot."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def play(pictures: list[np.ndarray], fps: float, alt: str, width: int) -> Page:
    """Pictures, each (H, W, 3) uint8 with even sides, as a film in the page.

    H.264 where PyAV brings an encoder for it, else VP9, else an animated image. What it shows is
    said below it, for those who see it too.
    """
    text, css = html.escape(alt, quote=True), f"width:{width}px;max-width:100%"
    said = f"<figcaption>{text}</figcaption>"
    for codec, kind, options in (
        ("libx264", "mp4", {"crf": "26", "preset": "medium"}),
        ("libvpx-vp9", "webm", {"crf": "36", "b:v": "0"}),
    ):
        if codec in av.codecs_available:
            source = _data(f"video/{kind}", _encode(pictures, fps, codec, kind, options))
            tag = "controls loop muted playsinline preload=auto"
            body = f'<video {tag} style="{css}" aria-label="{text}" src="{source}">{text}</video>'
            return Page(f'<figure style="margin:0">{body}{said}</figure>', alt)
    images, memory = [Image.fromarray(p) for p in pictures], io.BytesIO()
    images[0].save(
        memory,
        "WEBP",
        save_all=True,
        append_images=images[1:],
        duration=round(1000 / fps),
        loop=0,
        quality=70,
    )
    source = _data("image/webp", memory.getvalue())
    return Page(
        f'<figure style="margin:0"><img style="{css}" alt="{text}" src="{source}">{said}</figure>',
        alt,
    )


def _encode(
    pictures: list[np.ndarray], fps: float, codec: str, kind: str, options: dict[str, str]
) -> bytes:
    memory = io.BytesIO()
    with av.open(memory, "w", format=kind) as file:
        stream: Any = file.add_stream(codec, rate=round(fps), options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"  # the one format that every browser plays
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return memory.getvalue()


def _data(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def slider(
    images: Sequence[np.ndarray | Figure], captions: Sequence[str], alt: str = "", width: int = 640
) -> Page:
    """Pictures behind a slider that works in a static page, by mouse, touch and arrow keys.

    images    (H, W), (H, W, 1) or (H, W, 3), uint8 or in [0, 1]; or figures, which are closed
    captions  one for each picture; the current one stands below the slider
    alt       what the slider changes; with the captions, what a screen reader says
    Raises VadError when there are no pictures, or not one caption for each.
    """
    if len(images) == 0 or len(images) != len(captions):
        raise VadError(
            f"slider: {len(images)} pictures and {len(captions)} captions",
            "Give one caption for each picture.",
        )
    texts = [html.escape(str(caption), quote=True) for caption in captions]
    label = html.escape(alt or "choose a picture", quote=True)
    pictures = "".join(
        f'<img src="{_data("image/webp", _webp(image, width))}" alt="{label}: {text}" '
        f'data-caption="{text}" style="width:100%"{" hidden" if i else ""}>'
        for i, (image, text) in enumerate(zip(images, texts, strict=True))
    )
    # No ids and no script element: any number of sliders live on one page, in Colab's frames too.
    act = (
        "const f=this.closest('figure');f.querySelectorAll('img').forEach((m,i)=>"
        "{m.hidden=i!=this.value;if(!m.hidden){f.querySelector('figcaption').textContent="
        "this.ariaValueText=m.dataset.caption}})"
    )
    control = (
        f'<input type="range" min="0" max="{len(images) - 1}" value="0" step="1" '
        f'aria-label="{label}" aria-valuetext="{texts[0]}" style="width:100%" oninput="{act}">'
    )
    css = f"margin:0;width:{width}px;max-width:100%"
    caption = f'<figcaption aria-live="polite">{texts[0]}</figcaption>'
    return Page(f'<figure style="{css}">{pictures}{control}{caption}</figure>', alt or texts[0])


def _webp(image: np.ndarray | Figure, width: int) -> bytes:
    memory = io.BytesIO()
    if isinstance(image, Figure):
        image.savefig(memory, format="webp", dpi=130)
        plt.close(image)
        return memory.getvalue()
    rgb = as_rgb(image)
    size = (width, round(width * rgb.shape[0] / rgb.shape[1]))
    Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC).save(memory, "WEBP", quality=85)
    return memory.getvalue()
