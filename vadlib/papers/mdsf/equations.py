"""MDSF: where each of its equations is."""

from __future__ import annotations

from vadlib.lab.equations import Equation

CH, NET = "09_mdsf", "papers/mdsf/network.py"
REBUILDS = "test_mdsf.py:test_the_teacher_rebuilds_what_it_does_not_see"
GATES = "test_mdsf.py:test_equations_6_and_7_by_hand"
SCALES = "test_mdsf.py:test_equations_8_and_9_by_hand"
LIGHTER = "test_mdsf.py:test_the_student_is_lighter_and_sees_as_far"
EQUATIONS = [
    Equation("1", "features of the teacher", f"{CH}#teacher-1", f"{CH}#eq1-check",
             f"{NET}:Encoder", LIGHTER),
    Equation("2", "features of the student", f"{CH}#teacher-1", f"{CH}#eq1-check",
             f"{NET}:Encoder", LIGHTER),
    Equation("3", "the frame, rebuilt by the teacher", f"{CH}#teacher-1", f"{CH}#eq1-check",
             f"{NET}:Decoder", REBUILDS),
    Equation("4", "the frame, rebuilt by the student", f"{CH}#teacher-1", f"{CH}#eq1-check",
             f"{NET}:Decoder", REBUILDS),
    Equation("5", "discrepancy at each scale", f"{CH}#light-1", f"{CH}#eq5-check",
             f"{NET}:MDSFNet.difference",
             "test_mdsf.py:test_equation_5_is_the_absolute_difference_at_every_scale"),
    Equation("6", "weights of the channels", f"{CH}#gate-1", f"{CH}#eq67-check",
             f"{NET}:ChannelGate.weights", GATES),
    Equation("7", "amplified discrepancy", f"{CH}#gate-1", f"{CH}#eq67-check",
             f"{NET}:ChannelGate.forward", GATES),
    Equation("8", "saliency of each scale", f"{CH}#eq89-1", f"{CH}#eq89-check",
             f"{NET}:Fusion.saliency", SCALES),
    Equation("9", "sum over the scales", f"{CH}#eq89-1", f"{CH}#eq89-check",
             f"{NET}:Fusion", SCALES),
    Equation("10", "the score: a norm", f"{CH}#eq10-1", f"{CH}#eq10",
             "papers/mdsf/detector.py:MDSF.score",
             "test_mdsf.py:test_the_score_is_equation_10_and_its_terms_are_what_they_say"),
    Equation("11", "a threshold decides", f"{CH}#theta-1", f"{CH}#theta",
             "papers/mdsf/detector.py:MDSF.threshold",
             "test_mdsf.py:test_the_threshold_is_a_quantile_of_training_scores"),
]  # fmt: skip
