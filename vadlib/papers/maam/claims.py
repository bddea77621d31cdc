"""What the paper claims, what we ran, and its printed tables beside ours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vadlib.lab.claims import UNJUDGED, WAITING, Claim, Difference, Printed, Value
from vadlib.lab.compare import seeds_of
from vadlib.measure.intervals import Interval

SINCE = "2026-11-25"
SCALE = "Ped2 at 128×192, 8 channels in the first layer, four passes"
ELSEWHERE = "Neither Avenue nor ShanghaiTech is part of this book."


def on(row: str) -> str:
    """The record of a row on Ped2."""
    return f"{row}-ped2-standard"


def differ(first: str, second: str, term: str = "score", other: str | None = None) -> Difference:
    """AUC of one row minus that of another, or of another term."""
    return Difference(on(first), on(second), term, other)


@dataclass(frozen=True)
class Fewer:
    """How much less of the memory a row reads than another: a count, not a score of videos.

    The interval is that of the seeds, from the smallest difference to the largest.
    """

    first: str
    second: str

    @property
    def records(self) -> tuple[str, ...]:
        """Both."""
        return on(self.first), on(self.second)

    def interval(self) -> Interval | None:
        """Share that the second reads minus that of the first, of their common seeds; None without
        records."""
        rows = [Value(name, "memory used").row() for name in self.records]
        if None in rows:
            return None
        few, many = (
            dict(zip(seeds_of(name), row["values"], strict=True))
            for name, row in zip(self.records, rows, strict=True)
            if row
        )
        common = [seed for seed in few if seed in many]
        gaps = np.array([many[seed] - few[seed] for seed in common])
        return Interval(float(gaps.mean()), float(gaps.min()), float(gaps.max()), gaps)


@dataclass(frozen=True)
class Controlled(Claim):
    """A claim about a part, which can be judged only where the whole shows something.

    control  must lie above zero: a branch that loses to one fixed image says nothing of memory
    """

    control: Difference | None = None

    def judged(self) -> tuple[str, Interval | None]:
        """As `Claim`'s, but where the control is not above zero the claim cannot be judged."""
        needed = self.control.interval() if self.control else None
        if needed is None:
            return WAITING, None
        verdict, found = super().judged()
        return (verdict if needed.low > 0 or found is None else UNJUDGED), found


# what appearance, and the fused score, have to beat before their parts can be judged
IMAGE = differ("maam-app", "mean-image", "app", "patch")
REST = differ("maam", "zero-flow")

MEMORY = (
    "In summary, the memory module can further improve the ability of our MAAM-Net in "
    "distinguishing abnormal and normal events."
)
NECESSARY = (
    "Moreover, our method can further obtain a 1.5% gain in AUC when competing with the "
    "appearance-motion model that lacks of the memory module [6], which demonstrate the necessity "
    "and effectiveness of the combination of them."
)
FEWER = (
    "Meanwhile, the abnormal events are much more difficult to reintegrate with fewer items, "
    "incurring a much larger reconstruction error."
)
LOSSES = (
    "By using the sparse loss and the latent loss, the performance outperforms all variants that "
    "use the appearance-motion architecture."
)
SELECTED = "It indicates that the new latent loss largely reduces the number of selected items."
SPARSE = (
    "Furthermore, with the sparse loss, the number of the selected items proceeds to be reduced."
)
PATCHES = (
    "Even if the generative error in a distant abnormal area is high, the averaged error of the "
    "scene tends to be low, which means the generative error in a particular region is better than "
    "the whole frame for detecting anomalies."
)
MOTION = (
    "motion branch can better model the anomaly, and thus can achieve higher performance than the "
    "appearance branch."
)
FUSION = "The combination of them further boosts the performance."

# sentence, place, what is compared, evidence
TRIED = {
    "patch-fused": (PATCHES, "§3.4", "largest patch − mean, fused", ("score", "mean")),
    "patch-app": (PATCHES, "§3.4", "largest patch − mean, appearance", ("app", "app mean")),
    "patch-mot": (PATCHES, "§3.4", "largest patch − mean, motion", ("mot", "mot mean")),
    "motion": (MOTION, "§4.6.1", "motion − appearance", ("mot", "app")),
    "fusion-mot": (FUSION, "§4.6.1", "fused − motion", ("score", "mot")),
    "fusion-app": (FUSION, "§4.6.1", "fused − appearance", ("score", "app")),
}
LOSS_ROWS = {
    "neither": "both losses − neither",
    "none": "both losses − the sparse one alone",
    "nosparse": "both losses − the latent one alone",
}
READ = {
    "latent": (SELECTED, "maam", "maam-none", "the latent loss beside the sparse one"),
    "latent-alone": (SELECTED, "maam-nosparse", "maam-neither", "the latent loss by itself"),
    "sparse": (SPARSE, "maam", "maam-nosparse", "the sparse loss beside the latent one"),
    "alpha": (SPARSE, "maam-alpha3e-1", "maam-nosparse", "the same, a thousand times α"),
}

COSTS = (
    "The latent loss has no say in it: similarities to all items are computed before any is left "
    "out, and the whole memory is about one percent of the network's operations."
)
# sentence, place, what was run, verdict, evidence
GIVEN = {
    "headline": (
        "Our MAAM-Net achieves an AUC of 0.977 on the Ped2 dataset, which outperforms all previous "
        "methods.",
        "§4.4.1",
        SCALE,
        UNJUDGED,
        Value(on("maam")),
    ),
    "avenue": (
        "On this dataset, our MAAM-Net still outperforms all competing methods in AUC performance "
        "and improves the AUC to a new stage.",
        "§4.4.2",
        "nothing",
        UNJUDGED,
        ELSEWHERE,
    ),
    "shanghaitech": (
        "We achieve competitive performance with recent methods [1–3,10] in AUC.",
        "§4.4.3",
        "nothing",
        UNJUDGED,
        ELSEWHERE,
    ),
    "eer": (
        "Our MAAM-Net also achieves a considerable EER performance of 6.3%, which outperforms "
        "recent methods [9,37,38] and is 0.3% lower than NM-GAN [16] using an additional "
        "discriminator.",
        "§4.4.1",
        "the subtraction, from its Table 3",
        "contradicted by the paper itself",
        "An EER is better when it is lower, and 6.3 is 0.3 above NM-GAN's 6.0.",
    ),
    "slightly": (
        "(2) the performance is slightly improved, as shown in Table 3, while the inference speed "
        "is also improved accordingly due to the reduction of the computation costs of the memory "
        "module.",
        "§3.3.2",
        "a reading of its tables",
        "contradicted by the paper itself",
        "Table 3 has no row without the latent loss. Table 5 has: with it, 0.974 becomes 0.977 "
        "where both branches are fused, and 0.855 becomes 0.778 in appearance.",
    ),
    "costs": (
        "Thus, the computation costs brought by the dissimilar items decrease significantly.",
        "§1",
        "a count of operations",
        "does not hold here",
        COSTS,
    ),
    "speed": (
        "Apart from the model parameter, our model is faster than all competing methods as it can "
        "infer 63.6 FPS on Ped2, 78.38 FPS on Avenue, and 79.76 FPS on ShanghaiTech, verifying the "
        "intuition that improving the feature generalization of the memory module is efficient to "
        "accelerate the inference speed.",
        "§4.5",
        "a count of operations; no competitor was timed",
        UNJUDGED,
        "Whatever makes it fast, it is not how many items are selected. " + COSTS,
    ),
    "beta": (
        "Such phenomenon validates the necessity of the introduction of our latent loss.",
        "§4.6.4",
        "a reading of the sentences before it",
        "contradicted by the paper itself",
        "The phenomenon is that the AUC does not move with the loss's weight as long as that is "
        "smaller than 1. That shows no need of the loss.",
    ),
    "zeta": (
        r"We can see that our model is not sensitive to the variation of the margin parameter ζ",
        "§4.6.4",
        f"ζ = 0.5; {SCALE}",
        UNJUDGED,
        Value(on("maam-zeta5e-1")),
    ),
    "locates": (
        "we can see that our method perfectly locates the spatial location of the abnormal events",
        "§4.7.2",
        f"region-based detection (RBDC), of which perfect is 100; {SCALE}",
        UNJUDGED,
        Value(on("maam"), "rbdc"),
    ),
}

CLAIMS = [
    Controlled(
        "maam-memory-app",
        MEMORY,
        "§3.2.2",
        f"appearance alone, with memory − without; {SCALE}",
        "auto",
        SINCE,
        differ("maam-app", "maam-app-nomemory", "app"),
        control=IMAGE,
    ),
    Controlled(
        "maam-memory-fused",
        NECESSARY,
        "§4.4.1",
        f"fused, with memory − without; {SCALE}",
        "auto",
        SINCE,
        differ("maam", "maam-nomemory"),
        control=REST,
    ),
    Controlled(
        "maam-fewer",
        FEWER,
        "§1",
        f"appearance alone, α = 0.3 − α = 0.0003; {SCALE}",
        "auto",
        SINCE,
        differ("maam-app-alpha3e-1", "maam-app", "app"),
        control=IMAGE,
    ),
    *(
        Controlled(
            f"maam-losses-{row}",
            LOSSES,
            "§4.6.2",
            f"{what}, fused; {SCALE}",
            "auto",
            SINCE,
            differ("maam", f"maam-{row}"),
            control=REST,
        )
        for row, what in LOSS_ROWS.items()
    ),
    *(
        Claim(
            f"maam-read-{key}",
            sentence,
            "§4.6.3",
            f"percent of the memory saved by {what}, lowest and highest of the seeds; {SCALE}",
            "auto",
            SINCE,
            Fewer(few, many),
        )
        for key, (sentence, few, many, what) in READ.items()
    ),
    *(
        Claim(
            f"maam-{key}",
            sentence,
            place,
            f"{what}; {SCALE}",
            "auto",
            SINCE,
            differ("maam", "maam", *terms),
        )
        for key, (sentence, place, what, terms) in TRIED.items()
    ),
    *(
        Claim(f"maam-{key}", sentence, place, ran, verdict, SINCE, evidence)
        for key, (sentence, place, ran, verdict, evidence) in GIVEN.items()
    ),
]

DATA = ("Ped2", "Avenue", "SHTech")
SMALL = "8 channels, four passes"


def ped2_only(row: str, metric: str = "auc", term: str = "score") -> tuple[Value | None, ...]:
    """A number of ours on Ped2, and nothing on the other two."""
    return (Value(on(row), metric, term), None, None)


def thousandths(*aucs: int) -> tuple[str, ...]:
    """AUCs in thousandths, as the paper writes them."""
    return tuple(f"0.{auc}" for auc in aucs)


def branches(row: str) -> tuple[Value, Value, Value]:
    """Appearance, motion and both."""
    app, mot, both = (Value(on(row), term=term) for term in ("app", "mot", "score"))
    return app, mot, both


TABLES = {
    "Table 2": Printed(
        "AUC of other methods as printed; ours in percent.",
        DATA,
        {
            "ConvAE [3]": ("0.900", "0.702", "0.609"),
            "AbnormalGAN [12]": ("0.935", "–", "–"),
            "ConvLSTM-AE [13]": ("0.881", "0.770", "–"),
            "TSC [1]": ("0.910", "0.806", "0.680"),
            "sRNN [1]": ("0.922", "0.817", "0.680"),
            "Zhao et al. [39]": ("0.912", "0.771", "–"),
            "Liu et al. [11]": ("0.954", "0.851", "0.728"),
            "Nguyen et al. [6]": ("0.962", "0.869", "–"),
            "MemAE [2]": ("0.941", "0.833", "0.712"),
            "Abati et al. [18]": ("0.954", "–", "0.725"),
            "RIAD [40]": ("0.925", "0.889", "–"),
            "LRCCDL [37]": ("0.827", "0.887", "–"),
            "FSCN [38]": ("0.928", "0.855", "–"),
            "NM-GAN [16]": ("0.963", "0.886", "0.853"),
            "Chang et al. [30]": ("0.962", "0.860", "0.733"),
            "Park et al. [10]": ("0.902", "0.828", "0.698"),
            "MAAM-Net without memory": ("0.947", "0.895", "0.681"),
            "MAAM-Net": ("0.977", "0.909", "0.713"),
        },
        {
            f"without memory, {SMALL}": ped2_only("maam-nomemory"),
            SMALL: ped2_only("maam"),
            "untrained, zero flow": ped2_only("zero-flow"),
        },
    ),
    "Table 3": Printed(
        "EER of other methods as printed; lower is better.",
        DATA,
        {
            "Sabokrou et al. [9]": ("13%", "–", "–"),
            "LRCCDL [37]": ("9.44%", "–", "–"),
            "FSCN [38]": ("12.5%", "20.7%", "–"),
            "NM-GAN [16]": ("6.0%", "15.3%", "17.0%"),
            "MAAM-Net": ("6.3%", "14.6%", "33.9%"),
        },
        {
            SMALL: ped2_only("maam", "eer"),
            "untrained, zero flow": ped2_only("zero-flow", "eer"),
        },
    ),
    "Table 4": Printed(
        "Parameters in millions, and frames a second on an RTX 2080 Ti.",
        ("Parameters (M)", *DATA),
        {
            "Liu et al. [11]": ("7.7", "32.76", "20.97", "16.17"),
            "MemAE [2]": ("6.5", "59.14", "–", "–"),
            "AMMC-Net [19]": ("25.1", "37.03", "44.11", "40.18"),
            "MAAM-Net": ("8.5 (9.22)", "63.6", "78.38", "79.76"),
        },
        {"counted, not timed": ("8.45 (9.22)", None, None, None)},
    ),
    "Table 5": Printed(
        "AUC of branches and losses. Ours are in percent.",
        ("spa", "lat", *(f"{data}, {part}" for data in DATA for part in ("App.", "Mot.", "both"))),
        {
            "neither": (
                "",
                "",
                *thousandths(826, 972, 974, 782, 828, 891, 511, 713, 711),
            ),
            "sparse": (
                "✓",
                "",
                *thousandths(855, 972, 974, 784, 823, 899, 509, 712, 707),
            ),
            "latent": (
                "",
                "✓",
                *thousandths(830, 972, 975, 779, 834, 889, 507, 711, 709),
            ),
            "both": (
                "✓",
                "✓",
                *thousandths(778, 972, 977, 773, 820, 909, 539, 712, 713),
            ),
        },
        {
            "neither": ("", "", *branches("maam-neither"), *[None] * 6),
            "sparse": ("✓", "", *branches("maam-none"), *[None] * 6),
            "latent": ("", "✓", *branches("maam-nosparse"), *[None] * 6),
            "both": ("✓", "✓", *branches("maam"), *[None] * 6),
        },
    ),
}
