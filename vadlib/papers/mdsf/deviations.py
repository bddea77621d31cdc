"""MDSF: where the book deviates from the paper, or chooses in its place."""

from __future__ import annotations

from vadlib.lab.claims import Difference
from vadlib.lab.deviations import SILENT, Deviation


def against(row: str) -> Difference:
    """AUC of a row on Ped2 minus that of the method."""
    return Difference(f"{row}-ped2-standard", "mdsf-ped2-standard")


DEVIATIONS = [
    Deviation(
        "Input video frames were uniformly resized to a fixed spatial resolution of $256 \\times "
        "256$ pixels to ensure consistency across different datasets.",
        "4.2",
        "Frames of 128×192 and three narrow scales; `full` has four, about the paper's "
        "parameters, on frames of 240×360.",
        "Two cores train it; there is no record of `full`.",
        "What two networks can know of a frame.",
    ),
    Deviation(
        "The Teacher-Student structure in our model leverages the reconstruction capabilities of a "
        "robust teacher network to guide a relatively lightweight student network.",
        "3.2",
        "The teacher is trained first: it rebuilds the frame with half of its patches hidden.",
        "The only loss that the paper names is the student's; as printed the teacher is random.",
        "Nearly everything: the row with a random teacher, and a student that only rebuilds, is "
        "the method to the letter.",
        {"teacher": "random"},
        (against("mdsf-printed"),),
    ),
    Deviation(
        "Specifically, the Mean Squared Error (MSE) loss was employed to measure reconstruction "
        "errors between the input frames and reconstructed outputs from the student network.",
        "4.2",
        "A second term: the likeness of the student's features to the teacher's, through 1×1 "
        "convolutions.",
        "Features of two networks that nobody has made alike cannot be subtracted.",
        "Nearly everything: the natural reading does without.",
        {"distil": 0.0},
        (against("mdsf-natural"),),
    ),
    Deviation(
        "relatively lightweight student network",
        "3.2",
        "Three quarters of the teacher's channels.",
        "How light, the paper does not say.",
        "What a student cannot follow; the row `equal` has one as large.",
        measured=(against("mdsf-equal"),),
    ),
    Deviation(
        SILENT,
        "3.1",
        "Half of the 8×8 patches are hidden while the teacher trains; none for the student, none "
        "in testing.",
        "The method is named after masked autoencoders; ratio and patch are not given. Hiding in "
        "testing would make scores random.",
        "How much of a frame a teacher must guess.",
    ),
    Deviation(
        "where GAP( $\\cdot$ ) denotes Global Average Pooling across spatial dimensions, MLP( "
        "$\\cdot$ ) is a multilayer perceptron capturing nonlinear dependencies among channels",
        "3.3, (6) to (8)",
        "Gates and saliency learn from pseudo-anomalies; rows with random and with constant gates "
        "stand beside.",
        "No loss of the paper reaches them.",
        "Where the heat lies, and with it the score.",
        {"gate": "random"},
        (against("mdsf-random"), against("mdsf-fixed")),
    ),
    Deviation(
        "Subsequently, a saliency-guided fusion is conducted via weighted aggregation:",
        "3.4, (9)",
        "1×1 projections to one width, and enlargement to the finest scale.",
        "Tensors of different shapes cannot be added.",
        "How the scales weigh; the projections are trained with the gates.",
    ),
    Deviation(
        "We used the Adam optimizer with an initial learning rate of $1 \\times 10^{-4}$ , which "
        "was reduced by a factor of 0.1 when validation performance plateaued.",
        "4.2",
        "A larger rate with cosine decay, batches of eight.",
        "Time; and the validation data are not described.",
        "How far each part is trained.",
        {"train.lr": 1e-4},
    ),
    Deviation(
        "typically ranging from 50 to 100 epochs to ensure sufficient model convergence",
        "4.2",
        "Six passes for the teacher, eight for the student, three for the gates; `long` has ten "
        "times as many.",
        "Time.",
        "The chapter's curve of AUC over training shows it.",
        {"train.epochs": 50, "student_epochs": 50},
    ),
    Deviation(
        "Data augmentation techniques, including random cropping and horizontal flipping, were "
        "utilized during the training phase to enhance model robustness and generalization "
        "capability.",
        "4.2",
        "Windows of 96×128 anywhere that they touch the frame, pushed inside, and mirroring. "
        "Changed after heat maps of test videos had shown what windows drawn inside leave out.",
        "The paper gives neither size nor rule.",
        "Where a detector looks: corners that training hardly shows are hot for ever.",
    ),
    Deviation(
        "We employ adaptive thresholding techniques determined from validation data to identify "
        "anomalous frames:",
        "3.5, (11)",
        "A quantile of training scores.",
        "There are no validation data.",
        "Alarms, and no AUC.",
    ),
]
