"""Attributes: what the paper claims, what we ran, and its printed numbers beside ours."""

from __future__ import annotations

from vadlib.lab.claims import UNJUDGED, Claim, Difference, Printed, Value

SINCE = "2026-11-26"
PAPER, RAW = "attributes-paper-ped2-standard", "attributes-paper-raw-ped2-standard"
COMBINED = (
    "Combining our attribute-based representations with an off-the-shelf, pretrained deep "
    "representation yields state-of-the-art performance with a 99.1%, 93.7%, and 85.9% AUROC on "
    "Ped2, Avenue, and ShanghaiTech, respectively."
)
ENOUGH = (
    "Surprisingly, this simple representation is sufficient to achieve state-of-the-art "
    "performance in ShanghaiTech, the most commonly used VAD dataset."
)
CLAIMS = [
    Claim(
        "attributes-combined",
        COMBINED,
        "Abstract",
        "velocity and deep features minus velocity alone; Ped2, boxes by what moves, "
        "EfficientNet-Lite0, no smoothing",
        "auto",
        SINCE,
        Difference(RAW, RAW, other="velocity"),
    ),
    Claim(
        "attributes-ped2",
        COMBINED,
        "Abstract",
        "Ped2 in its protocol, without its detector of objects, FlowNet2, CLIP and poses",
        UNJUDGED,
        SINCE,
        Value(PAPER),
    ),
    Claim(
        "attributes-enough",
        ENOUGH,
        "Abstract",
        "nothing",
        UNJUDGED,
        SINCE,
        "ShanghaiTech and the network for poses were not to be had",
    ),
]

TABLES = {
    "Abstract": Printed(
        "AUROC (%) of velocity, pose and deep features; micro, smoothed over time.",
        ("Ped2", "Avenue", "ShanghaiTech", "Plaza, clear (here)"),
        {"Reiss and Hoshen (the paper's)": ("99.1", "93.7", "85.9", "")},
        {
            name: (Value(f"{row}-ped2-standard"), None, None, Value(f"{row}-plaza-clear-standard"))
            for name, row in {
                "velocity and deep features, its protocol": "attributes-paper",
                "so, not smoothed": "attributes-paper-raw",
                "the largest of five measured views": "attributes",
                "their sum": "attributes-sum",
                "their sum, with deep features": "attributes-deep",
            }.items()
        },
    ),
}
