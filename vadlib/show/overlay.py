"""A film with its scores: heat over each picture, the last seconds' scores below, alarms in red."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from vadlib.show.pictures import as_rgb, heat_rgb

STRIP = 48  # pixels of the scores below the picture
TICKS = 90_000  # of a second: times as exact as any film's
RED, BLUE, GREY = (213, 50, 0), (0, 114, 178), (120, 120, 120)
FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov"}


class Overlay:
    """A film that is written as it is watched, a picture at a time.

    threshold  drawn as a line; None where there is none
    heat       that gets the full colour at first; it grows to the largest that was seen so far
    """

    def __init__(self, path: Path, kind: str, threshold: float | None, heat: float = 0.0):
        self.file = av.open(str(path), "w", format=kind)
        self.threshold, self.heat, self.last = threshold, heat, -1
        self.range = [threshold, threshold] if threshold is not None else []
        self.stream: Any = None
        self.past: list[float] = []

    def add(
        self,
        picture: np.ndarray,
        time: float,
        score: float,
        heat: np.ndarray | None = None,
        alarm: bool = False,
    ) -> None:
        """The next picture (H, W, C) uint8 at its time in seconds, rising."""
        shown = self.draw(picture, time, score, heat, alarm)
        if self.stream is None:
            options = {"crf": "26", "preset": "veryfast"}
            self.stream = self.file.add_stream("libx264", rate=25, options=options)
            self.stream.height, self.stream.width = shown.shape[:2]
            self.stream.pix_fmt = "yuv420p"
            self.stream.codec_context.thread_count = 1
            self.stream.codec_context.time_base = Fraction(1, TICKS)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="rgb24")
        self.last = max(round(time * TICKS), self.last + 1)
        frame.pts, frame.time_base = self.last, Fraction(1, TICKS)
        self.file.mux(self.stream.encode(frame))

    def draw(
        self,
        picture: np.ndarray,
        time: float,
        score: float,
        heat: np.ndarray | None = None,
        alarm: bool = False,
    ) -> np.ndarray:
        """What is written: (H', W', 3) uint8 with even sides, the scores below the picture."""
        if heat is not None:
            self.heat = max(self.heat, float(np.max(heat)))
        rgb = as_rgb(picture) if heat is None else heat_rgb(picture, heat, self.heat)
        height, width = (side // 2 * 2 for side in rgb.shape[:2])
        out = np.full((height + STRIP, width, 3), 255, np.uint8)
        out[:height] = rgb[:height, :width]
        self.past = [*self.past, score][-width:]
        self.range = [min([*self.range[:1], score]), max([*self.range[1:], score])]
        self._scores(out[height:])
        words = f"{int(time // 3600)}:{int(time // 60) % 60:02d}:{time % 60:04.1f}"
        words += " ALARM" * alarm
        for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(out, words, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thick, 16)
        if alarm:
            cv2.rectangle(out, (0, 0), (width - 1, height - 1), RED, 4)
        return out

    def _scores(self, strip: np.ndarray) -> None:
        """The curve of the last scores, one a column, and the threshold, drawn into (h, w, 3)."""
        low, high = self.range
        scale = (STRIP - 7) / ((high - low) or 1.0)
        y = STRIP - 4 - (np.array(self.past) - low) * scale
        x = np.arange(len(y)) + strip.shape[1] - len(y)
        if self.threshold is not None:
            level = round(STRIP - 4 - (self.threshold - low) * scale)
            cv2.line(strip, (0, level), (strip.shape[1], level), GREY, 1)
        points = np.stack([x, y], 1).round().astype(np.int32)
        cv2.polylines(strip, [points], False, BLUE, 1, cv2.LINE_AA)

    def close(self) -> None:
        """Write what the encoder still holds, and end the file."""
        if self.stream is not None:
            self.file.mux(self.stream.encode())
        self.file.close()
