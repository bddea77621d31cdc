"""MSTI-Net: where the book deviates from the paper, or chooses in its place.

The paper names neither MNAD nor Park et al.; whatever is taken from there is our reading.
"""

from __future__ import annotations

from vadlib.lab.claims import Difference
from vadlib.lab.deviations import SILENT, Deviation

ON = "{}-ped2-standard".format
DEVIATIONS = [
    Deviation(
        "In our implementation, each video frame is resized to 256×256 dimensions and normalized "
        "to fit the range of [-1, 1].",
        "III-A",
        "Frames of 128×192 with few channels; `full` has 64 on frames of 240×360, unsqueezed.",
        "Two cores train it; there is no record of `full`.",
        "Everything that sharp prediction decides.",
    ),
    Deviation(
        "Adam optimizer is employed for model optimization with an initial learning rate set at "
        "$2×10^{-4}$.",
        "III-A",
        "A larger rate with cosine decay, and three passes over Ped2; `full` takes MNAD's 60 "
        "passes.",
        "The paper states neither batch nor passes.",
        "How well the next frame is foreseen, and so the weight of PSNR.",
        {"train.lr": 2e-4},
    ),
    Deviation(
        "For input data, a series of frames and their corresponding optical flow (calculated by "
        "well-trained Flownet [23]) are fed into the appearance stream and motion stream "
        "respectively.",
        "II-A",
        "Four frames and the three flows between them, by OpenCV's DIS.",
        "How many frames, the paper does not say; a fourth flow would lead to the answer.",
        "What motion can tell the prediction.",
        {"flow": "flownet"},
    ),
    Deviation(
        "The symbols $j_1$ and $j_2$ stand for the weight sets associated with the first and "
        "second convolutional layers, respectively.",
        "II-B, (1), (2)",
        "Two different $g$: one for the map, one for the vector of means.",
        "One pair of weights cannot serve a map and a vector.",
        "The channel attention.",
    ),
    Deviation(
        "$\\mathcal{F}$ is a nonlinear mapping represented by convolutional filter weights",
        "II-B, (3)",
        "Two 1×1 convolutions, a ReLU between them and a sigmoid at the end.",
        "The sentence before it speaks of fully connected layers; the form is open.",
        "Where appearance is kept; the row without it fuses directly.",
        measured=(Difference(ON("msti-concat"), ON("msti")),),
    ),
    Deviation(
        SILENT,
        "Table II, model B",
        "Two streams without interaction meet after the third level.",
        "Somewhere two streams must become one prediction.",
        "The rung that the first claim is measured against.",
        measured=(Difference(ON("msti-apart"), ON("msti")),),
    ),
    Deviation(
        "is a normalized weight vector computed by cosine similarity between every query",
        "II-C, (4)",
        "A softmax without temperature over ten items.",
        "MNAD's; the paper names neither.",
        "How nearly the weights are uniform, and what a memory can select.",
    ),
    Deviation(
        "Then, the item $p_i$ in memory undergoes an update to capture robust patterns of normal "
        "events by the following computation:",
        "II-C, (5)",
        "Only queries whose nearest item it is move an item, with weights divided by their "
        'largest; `update="paper"` is (5) as printed.',
        "As printed, all items are pulled to one mean.",
        "Whether items stay apart.",
        {"update": "paper"},
    ),
    Deviation(
        SILENT,
        "II, Fig. 1",
        "The decoder reads $[y; \\hat y]$ and connections from the encoder, both MNAD's.",
        "Without them little can be rebuilt; with them the memory can be gone around, so there is "
        "a second ladder without, `bare`.",
        "Whether the memory matters at all.",
        {"skip": False, "read": "replace"},
        (Difference(ON("msti-bare"), ON("msti")),),
    ),
    Deviation(
        "we employ two distinct losses: the separateness loss",
        "II-D, (7), (8)",
        'As printed; MNAD\'s own losses of these names are `memory_loss="mnad"`.',
        "(8) pushes apart what its name would bring together.",
        "Two small terms of the loss.",
    ),
    Deviation(
        "$f(\\cdot)$ is a normalization function.",
        "II-E, (10)",
        "For the headline, $f$ is measured on training frames; each test video's min-max is the "
        "paper's protocol, beside it.",
        "The scope is not stated; a scope of the test video looks into its future.",
        "Points, as the protocols of the chapter's table show.",
    ),
]
