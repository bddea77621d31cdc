"""A detector's state against one from a file: of one kind before it is taken up, equal after."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor


def unlike(own: Any, given: Any, where: str = "state") -> Iterator[str]:
    """In what a state differs in kind from a detector's own."""
    if isinstance(own, dict):
        if not isinstance(given, dict) or not own.keys() <= given.keys():
            yield f"{where} does not have {', '.join(map(str, own))}"
            return
        for key, value in own.items():
            yield from unlike(value, given[key], f"{where}.{key}")
    elif isinstance(own, list | tuple):
        if not isinstance(given, list | tuple) or len(given) != len(own):
            yield f"{where} is not {len(own)} values"
            return
        for i, (a, b) in enumerate(zip(own, given, strict=True)):
            yield from unlike(a, b, f"{where}.{i}")
    elif isinstance(own, Tensor):
        if not isinstance(given, Tensor) or given.ndim != own.ndim:
            yield f"{where} is not a tensor of {own.ndim} dimensions"
    elif isinstance(own, float):
        if type(given) not in (int, float) or not math.isfinite(given):
            yield f"{where} is not a finite number"
    elif own is not None and type(given) is not type(own):
        yield f"{where} is not of the type {type(own).__name__}"


def different(own: Any, given: Any, where: str = "state") -> Iterator[str]:
    """What of a state a detector has not taken up, or holds otherwise; and what is no number."""
    if isinstance(own, dict) and isinstance(given, dict):
        for key in own.keys() ^ given.keys():
            yield f"{where}.{key} is in one of the two alone"
        for key in own.keys() & given.keys():
            yield from different(own[key], given[key], f"{where}.{key}")
    elif isinstance(own, list | tuple) and isinstance(given, list | tuple):
        if len(own) != len(given):
            yield f"{where} has another length"
        for i, (a, b) in enumerate(zip(own, given, strict=False)):
            yield from different(a, b, f"{where}.{i}")
    elif isinstance(own, Tensor) and isinstance(given, Tensor):
        if not given.isfinite().all():
            yield f"{where} holds NaN or infinity"
        elif own.shape != given.shape or not own.cpu().to(given.dtype).equal(given):
            yield f"{where} differs"
    elif isinstance(own, Tensor) or isinstance(given, Tensor) or own != given:
        yield f"{where} is {str(given)[:40]} in one, {str(own)[:40]} in the other"


def shared_fields(own: Any, given: Any) -> Any:
    """A config without the fields that another does not have."""
    if isinstance(own, dict) and isinstance(given, dict):
        return {k: shared_fields(v, given[k]) for k, v in own.items() if k in given}
    return own
