"""MSTI-Net: where each of its equations is."""

from __future__ import annotations

from vadlib.lab.equations import Equation

CH = "08_msti_net"
MEMORY = "papers/layers/memory.py:PrototypeMemory"
ATTENTION = (
    "papers/msti/network.py:ChannelAttention",
    "test_msti.py:test_equations_1_and_2_by_loops",
)
LOSSES = "papers/msti/network.py:losses", "test_msti.py:test_equations_6_to_9_by_hand"
EQUATIONS = [
    Equation("1", "attention to motion channels", f"{CH}#leak-1", f"{CH}#eq12-check", *ATTENTION),
    Equation("2", "two convolutions and a ReLU", f"{CH}#leak-1", f"{CH}#eq12-check", *ATTENTION),
    Equation("3", "motion weighs appearance", f"{CH}#eq3", f"{CH}#eq3-check",
             "papers/msti/network.py:ASTFM", "test_msti.py:test_equation_3_by_hand"),
    Equation("4", "what is read from the memory", f"{CH}#count-read", f"{CH}#eq4-check",
             f"{MEMORY}.forward", "test_msti.py:test_equation_4_by_hand"),
    Equation("5", "items follow the queries", f"{CH}#eq4-read", f"{CH}#eq5-check",
             f"{MEMORY}.update", "test_msti.py:test_equation_5_by_hand"),
    Equation("6", "intensity loss", f"{CH}#loss-1", f"{CH}#eq69-check", *LOSSES),
    Equation("7", "separateness", f"{CH}#loss-1", f"{CH}#eq69-check", *LOSSES),
    Equation("8", "compactness", f"{CH}#loss-1", f"{CH}#eq69-check", *LOSSES),
    Equation("9", "the whole loss", f"{CH}#loss-1", f"{CH}#eq69-check", *LOSSES),
    Equation("10", "regularity: PSNR and distance to the memory", f"{CH}#score-1", f"{CH}#eq10",
             "papers/msti/detector.py:regularity",
             "test_msti.py:test_equation_10_is_a_mean_of_two_regularities"),
]  # fmt: skip
