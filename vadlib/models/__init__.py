"""One paper, one file. `detector` makes any of them, and the untrained baselines, by name."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from vadlib.detector import Detector
from vadlib.errors import VadError

# name -> module:class; a new method is one line here and one file beside this one
DETECTORS = {
    "random": "vadlib.models.baselines:Random",
    "frame-index": "vadlib.models.baselines:FrameIndex",
    "copy-last": "vadlib.models.baselines:CopyLast",
    "flow-magnitude": "vadlib.models.baselines:FlowMagnitude",
    "zero-flow": "vadlib.models.baselines:ZeroFlow",
    "flow-bag": "vadlib.models.bag_baselines:FlowBag",
    "maam": "vadlib.models.maam:MAAM",
    "local-patterns": "vadlib.models.local_patterns:LocalPatterns",
    "la-net": "vadlib.models.la_net:LANet",
    "mdsf": "vadlib.models.mdsf:MDSF",
    "msti": "vadlib.models.msti:MSTI",
}
BASELINES = ("random", "frame-index", "copy-last", "flow-magnitude", "zero-flow")


def detector(name: str, **options: Any) -> Detector:
    """A detector by its name, untrained.

    name     one of DETECTORS
    options  the arguments of the detector's class
    Raises VadError for an unknown name, naming those that exist, and for an unknown option.
    """
    if name not in DETECTORS:
        raise VadError(f"unknown method {name!r}", f"Use one of: {', '.join(DETECTORS)}.")
    module, cls = DETECTORS[name].split(":")
    make = getattr(importlib.import_module(module), cls)
    signature = inspect.signature(make)
    try:
        signature.bind(**options)
    except TypeError as error:
        raise VadError(f"method {name!r}: {error}", f"It takes {signature}.") from error
    return make(**options)
