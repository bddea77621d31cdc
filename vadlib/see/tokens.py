"""Sentences as numbers for a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vadlib.errors import VadError


class Tokenizer:
    """Sentences as numbers: one for each word, 0 for padding, 1 at every beginning.

    The number at the beginning is where the text encoder gathers the meaning of the sentence.
    """

    PAD, BEGIN = 0, 1

    def __init__(self, sentences: Sequence[str]):
        words = sorted({w for s in sentences for w in s.split()})
        if not words:
            raise VadError("there is no word to number", "Give some sentences.")
        self.words = ("<pad>", "<begin>", *words)
        self.number = {w: i for i, w in enumerate(self.words)}
        self.length = 1 + max(len(s.split()) for s in sentences)

    def __len__(self) -> int:
        return len(self.words)

    def __call__(self, captions: Any) -> tuple[Tensor, Tensor]:
        """Any shape of sentences -> numbers (..., length) int64, and mask, True at real words.

        Raises VadError for a word without a number, and for a sentence that is too long.
        """
        captions = np.asarray(captions)
        tokens = np.full((captions.size, self.length), self.PAD, np.int64)
        said, which = np.unique(captions.ravel(), return_inverse=True)
        coded = [self._encode(str(s)) for s in said]
        for row, i in zip(tokens, which, strict=True):
            row[: len(coded[i])] = coded[i]
        out = torch.from_numpy(tokens).view(*captions.shape, self.length)
        return out, out != self.PAD

    def _encode(self, sentence: str) -> list[int]:
        words = sentence.split()
        unknown = [w for w in words if w not in self.number]
        if unknown:
            raise VadError(
                f"the word {unknown[0]!r} has no number",
                f"Known words: {' '.join(self.words[2:])}.",
            )
        if len(words) >= self.length:
            raise VadError(f"{sentence!r} is too long", f"Use {self.length - 1} words at most.")
        return [self.BEGIN, *(self.number[w] for w in words)]

    def sentence(self, tokens: Tensor) -> str:
        """The sentence that one row of numbers stands for."""
        return " ".join(self.words[i] for i in tokens.tolist() if i > self.BEGIN)


def groups(captions: np.ndarray) -> Tensor:
    """Equal sentences of a column get equal numbers: (n, s) str -> (n, s) int64.

    Two boxes with one sentence are both right answers to it: `itam_loss` needs to know.
    """
    columns = [np.unique(c, return_inverse=True)[1] for c in np.asarray(captions).T]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.int64))
