"""Local Patterns: where the book deviates from the paper, or chooses in its place."""

from __future__ import annotations

from vadlib.lab.claims import Difference
from vadlib.lab.deviations import SILENT, Deviation

WORDS, DYNAMICS = "10_local_patterns_words", "11_local_patterns_dynamics"


def against(row: str, other: str = "local-patterns") -> Difference:
    """AUC of a row on Ped2 minus that of another."""
    return Difference(f"{row}-ped2-standard", f"{other}-ped2-standard")


DEVIATIONS = [
    Deviation(
        "The sentences for training are generated with CLIP model [74] with an image encoder and a "
        "text encoder.",
        "3.2",
        "Captions are measured: motion, looks, place and neighbours of a box, in words. "
        "`clip.ClipCaptioner` is ready for those who have the weights.",
        "CLIP's weights cannot be loaded where this book is built.",
        "What a branch can learn from words; all results here concern measured captions.",
        chapter=WORDS,
    ),
    Deviation(
        "Specifically, we adopt the Region Proposal Network (RPN) in [121] which generalizes to "
        "the objects with unknown categories.",
        "3.1",
        "Boxes from the empty scene, the median of the whole video, and from optical flow; "
        "`detect.detect` has a Faster R-CNN.",
        "The weights; besides, the paper names two different networks, here and in 4.2.",
        "What is found at all, above all what stands still or is far away.",
        chapter=WORDS,
    ),
    Deviation(
        "For each detected object, if it is overlapped with neighboring bounding boxes, then we "
        "merge it with neighbors.",
        "4.2",
        "Merged are boxes of one map that share more than a part of the smaller; squares lie on a "
        "grid of four pixels.",
        "Merging all that overlap loses many regions, as a table of the chapter shows.",
        "A cyclist is cut out of a crowd where the paper would join him with it.",
        {"boxes.merge": 0.0},
        chapter=WORDS,
    ),
    Deviation(
        "The backbones in Branch 1 and Branch 2 have Resnet-18 structures with only first two "
        "stages kept, producing a $28 \\times 28 \\times 512$ tensor for each image.",
        "4.2",
        "The same stages, which have 128 channels; nothing is widened to 1408.",
        "The printed size is that of another network.",
        "The width of visual tokens.",
        {"itam.visual": 1408},
        chapter=WORDS,
    ),
    Deviation(
        "Each bounding box is resized to $224 \\times 224$ before being fed into backbones.",
        "4.2",
        "Small crops, few queries, narrow vectors.",
        "Two cores train it, and at 128×192 a person of Ped2 has some twenty pixels.",
        "A map of 4×4 visual tokens instead of 16×16.",
        {"itam.size": 224, "itam.queries": 32, "itam.width": 768, "itam.embed": 256},
        chapter=WORDS,
    ),
    Deviation(
        "Each group involves $B_s$ sentences and only one ground truth.",
        "3.2, (1)",
        "Equal captions are right answers to each other; `targets=\"one_hot\"` is (1) as printed.",
        "In a batch of templates many captions are equal, and true matches would count as wrong.",
        "What the branches learn to tell apart.",
        {"itam.targets": "one_hot"},
        chapter=WORDS,
    ),
    Deviation(
        SILENT,
        "3.2, (1)",
        "A temperature, at first 0.07, that is learned.",
        "Cosines alone make a softmax nearly uniform.",
        "How sharply a crop must find its sentence.",
        chapter=WORDS,
    ),
    Deviation(
        "The warmup stage lasts for 5000 steps. The batch size for training is 120.",
        "4.2",
        "Some hundred steps of smaller batches, without a warm-up.",
        "Time.",
        "How much a branch has learned; more epochs were not recorded.",
        {"itam.train.batch_size": 120, "itam.train.lr": 1e-4},
        chapter=WORDS,
    ),
    Deviation(
        SILENT,
        "the released code",
        "Nothing of it is used.",
        "It is another system, built on BLIP-2 and captions of a large language model.",
        "No number of ours can be compared with that code.",
        chapter=WORDS,
    ),
    Deviation(
        "The learnable weights in SMM include those in the Object Feature Encoder (OFE) with $N_q "
        "E_d$ input channels and O=64 output channels",
        "4.2",
        "$O = 4$ coefficients of $L = 5$ frames.",
        "Five frames hold no more, and with 64 equation (6) overflows, as the chapter shows.",
        "Nothing that five frames could say.",
        {"order": 64},
        chapter=DYNAMICS,
    ),
    Deviation(
        "At each moment, the new-coming $\\mathbf{v}_i(t)$ updates the O weights which show the "
        "importance of motion components.",
        "3.3, (3)",
        "A memory of its own for each of 64 mixtures of the features, and the decoder's answer is "
        "added to the last features. As printed: `predictor=\"smm-paper\"`.",
        "The sum in (3) makes one number of all features.",
        "What can be foreseen; the row `paper` is equations 2 to 6 as printed, one image, single "
        "errors.",
        {"predictor": "smm-paper", "residual": False},
        (against("local-patterns-paper"), against("local-patterns-absolute")),
        DYNAMICS,
    ),
    Deviation(
        "are determined by Legendre bases",
        "3.3, (3)",
        "HiPPO's LegT in orthonormal form, made discrete by zero-order hold.",
        "The paper states neither; its published code trains a model of another measure.",
        "Signs and scales that a decoder can undo.",
        chapter=DYNAMICS,
    ),
    Deviation(
        "The projection is achieved with the Object Feature Encoder in Fig. 2",
        "3.3, (2)",
        "(2) is read as the meaning of $c$, and (3) as its computation.",
        "If $u$ is an encoding of $v$, its decomposition is not free to be chosen.",
        "Nothing that is computed.",
        chapter=DYNAMICS,
    ),
    Deviation(
        "The cross attention layer for combining the outputs from branches is trained together "
        "with SMM.",
        "4.2",
        "Branches are put side by side; the rows `merge` have a cross-attention.",
        "Its form is not given.",
        "What the state machine sees of the second branch.",
        {"features": "merge"},
        (against("local-patterns-merge-space", "local-patterns-space"),),
        DYNAMICS,
    ),
    Deviation(
        "Sequences with abnormal dynamics produce higher prediction error.",
        "3.1",
        "The squared error, whitened, averaged over the last five frames of a box's track; the "
        "worst box; a stated value for frames without boxes.",
        "The paper defines no score, neither of a box nor of a frame.",
        "Much, and rows show each step.",
        measured=(against("local-patterns-mse"), against("local-patterns-frame")),
        chapter=DYNAMICS,
    ),
    Deviation(
        "producing a $28 \\times 28 \\times 512$ tensor for each image",
        "4.2",
        "A branch sees a window as it is and as it was six frames before.",
        "In one image nobody moves, and verbs cannot be seen.",
        "What the first branch can know; the rows `still` show one image.",
        {"lag": 0},
        (against("local-patterns-still"),),
        DYNAMICS,
    ),
    Deviation(
        "All weights are initialized according to distribution N(0, 0.02). Training lasts for 20 "
        "epoches, initial learning rate is $5\\times10^{-5}$ with learning rate decay 0.99.",
        "4.2",
        "PyTorch's usual weights and $C = I$; twenty passes at a larger rate, with a cosine; each "
        "branch sees at most 12,800 crops once.",
        "A minute on one core.",
        "How well features are foreseen.",
        {"train.lr": 5e-5},
        chapter=DYNAMICS,
    ),
    Deviation(
        SILENT,
        "the profile `full`",
        "As printed but for $O = 4$, branches side by side, no warm-up, no decay, and 20,000 "
        "tubes.",
        "100,000 tubes would be 19.7 GB of features; and the printed sizes contradict each other, "
        "so that no version is the letter.",
        "There is no record of `full`.",
        chapter=DYNAMICS,
    ),
]  # fmt: skip
