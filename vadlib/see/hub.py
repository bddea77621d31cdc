"""Published weights: of a known hash and without code, or not at all."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import torch

from vadlib.errors import VadError


def published(weights: Any) -> dict[str, torch.Tensor]:
    """The state of a network whose weights torchvision names; downloaded on first use.

    The file's name ends in the beginning of its sha256. A file that lies in torch's cache already
    is held against it too, and whatever is in it is read as numbers, never run.
    Raises VadError for another file; OSError and RuntimeError where it cannot be had.
    """
    name = PurePosixPath(urlsplit(weights.url).path).name
    known = re.search(r"-([0-9a-f]{8,64})\.pth$", name)
    if known is None:
        raise VadError(f"{name} has no hash in its name", "Use weights that have.")
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if path.exists():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not found.startswith(known[1]):
            raise VadError(
                f"{path} has the sha256 {found}, which does not begin with {known[1]}",
                f"Delete it, and get it from {weights.url}.",
            )
    return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
