"""Captions by CLIP, the paper's way: the words that it finds closest to a crop."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.see.attributes import Boxes, rows
from vadlib.see.captions import TEMPLATES

# In the spirit of the Oxford 3000 list, of which the paper uses the verbs, clothes, places, things
WORDS: dict[str, tuple[str, ...]] = {
    "action": ("walking", "standing", "running", "riding", "driving", "sitting", "jumping",
               "falling", "fighting", "carrying", "pushing", "talking"),
    "appearance": ("a coat", "a shirt", "a dress", "a jacket", "a uniform", "a suit", "trousers",
                   "shorts", "a skirt", "a hat", "dark clothes", "white clothes"),
    "place": ("a street", "a park", "a garden", "a path", "a square", "a field", "a station",
              "a building", "the grass", "the shade"),
    "nearby": ("nobody", "a person", "a crowd", "a bicycle", "a car", "a bag", "a tree", "a wall",
               "a bench", "a dog", "a child"),
}  # fmt: skip
FORMS = {
    "action": "a man is {}",
    "appearance": "a man is in {}",
    "place": "a man is in {}",
    "nearby": "there is {}",
}


class ClipCaptioner:
    """The paper's captions: for each template, the word that CLIP finds closest to the crop.

    words    by template, the words to choose from
    model    a model of `open_clip`; weights: the name of its weights, or the path of a file
    """

    def __init__(
        self,
        words: Mapping[str, Sequence[str]] | None = None,
        model: str = "ViT-B-32",
        weights: str = "openai",
        batch: int = 64,
    ):
        self.words, self.model, self.weights, self.batch = words or WORDS, model, weights, batch

    def fit(self, videos: Sequence[Video], boxes: Sequence[Boxes]) -> ClipCaptioner:
        """Nothing to learn: CLIP knows its words."""
        return self

    def captions(self, video: Video, boxes: Boxes) -> np.ndarray:
        """As `AttributeCaptioner.captions`. Raises VadError without open_clip or its weights."""
        net, transform, tokenize = _clip(self.model, self.weights)
        frame, box = rows(video, boxes)
        crops = [_picture(video, t, b) for t, b in zip(frame, box, strict=True)]
        with torch.inference_mode():
            seen = [
                net.encode_image(torch.stack([transform(c) for c in crops[i : i + self.batch]]))
                for i in range(0, len(crops), self.batch)
            ]
            said = {k: self._said(k, net, tokenize) for k in TEMPLATES}
            images = torch.cat(seen) if seen else torch.zeros(0, said["action"].shape[1])
        columns = []
        for name in TEMPLATES:
            best = (images.float() @ said[name].float().T).argmax(1).tolist()
            columns.append([FORMS[name].format(self.words[name][i]) for i in best])
        return np.array(columns, dtype=object).T.reshape(-1, len(TEMPLATES)).astype(str)

    def _said(self, template: str, net: Any, tokenize: Any) -> Tensor:
        """The embeddings of a template's sentences, of length one: (words, D)."""
        found = net.encode_text(tokenize([FORMS[template].format(w) for w in self.words[template]]))
        return torch.nn.functional.normalize(found, dim=1)


@functools.lru_cache(maxsize=2)
def _clip(model: str, weights: str) -> tuple[Any, Any, Any]:
    """CLIP, the transform of its pictures, and its tokenizer."""
    try:
        import open_clip  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise VadError(
            "captions by CLIP need the package open_clip",
            "pip install open_clip_torch, or use AttributeCaptioner.",
        ) from error
    try:
        net, _, transform = open_clip.create_model_and_transforms(model, pretrained=weights)
    except Exception as error:  # what a hub raises without a network has many names
        raise VadError(
            f"the weights {weights!r} of CLIP's {model} cannot be loaded ({error})",
            "Download them where there is a network and give their path as weights=, or use "
            "AttributeCaptioner.",
        ) from error
    return net.eval(), transform, open_clip.get_tokenizer(model)


def _picture(video: Video, t: int, box: np.ndarray) -> Any:
    """The box cut out of its frame as a PIL image."""
    from PIL import Image

    y0, x0, y1, x1 = np.clip(np.round(box), 0, np.tile(video.size, 2)).astype(int)
    crop = video.frames[t, y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    return Image.fromarray(np.array(np.broadcast_to(crop, (*crop.shape[:2], 3))))
