"""Which GPU of several: it is chosen before PyTorch looks, and is then the only one."""

from __future__ import annotations

import os

from vadlib.errors import VadError

SEEN = "CUDA_VISIBLE_DEVICES"


def only(device: str) -> str:
    """ "cuda:1" becomes "cuda", of which the second GPU is the only one; others stay as they are.

    Counted are those that CUDA_VISIBLE_DEVICES names, where it is set. It must be called before
    PyTorch first asks for a GPU. Raises VadError where fewer are named.
    """
    kind, _, index = device.partition(":")
    if not index:
        return device
    named = os.environ[SEEN].split(",") if SEEN in os.environ else None
    if named is not None and int(index) >= len(named):
        raise VadError(
            f"no {device} among the GPUs that {SEEN}={os.environ[SEEN]} names",
            "They are counted from 0: cuda:0 is the first.",
        )
    os.environ[SEEN] = named[int(index)] if named else index
    return kind
