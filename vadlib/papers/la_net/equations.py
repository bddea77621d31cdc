"""LA-Net with DDL: where each of its equations is."""

from __future__ import annotations

from vadlib.lab.equations import Equation

CH, NET, LOSS = "12_weak_labels", "papers/la_net/network.py", "papers/la_net/losses.py"
HAND = "test_la_net.py:test_attention_by_hand"
EQUATIONS = [
    Equation("1", "attention between snippets", f"{CH}#attention-1", f"{CH}#eq1-check",
             f"{NET}:attend", HAND),
    Equation("2", "location prior", f"{CH}#prior-1", f"{CH}#eq23-check", f"{NET}:location_prior",
             "test_la_net.py:test_the_prior_is_a_band_that_outweighs_a_softmax"),
    Equation("3", "attention and prior are added", f"{CH}#prior-1", f"{CH}#eq23-check",
             f"{NET}:attend", HAND),
    Equation("4", "heads, residual, layer norm", f"{CH}#eq4", f"{CH}#eq4-check",
             f"{NET}:LANetModule.forward", "test_la_net.py:test_equation_4_with_loops"),
    Equation("5", "scores: perceptron and causal convolution", f"{CH}#eq5", f"{CH}#eq5-check",
             f"{NET}:LANetModule.causal", "test_la_net.py:test_the_convolution_by_hand"),
    Equation("6", "loss of the top-k scores", f"{CH}#mil-1", f"{CH}#eq6-check",
             f"{LOSS}:mil_loss", "test_la_net.py:test_mil_loss_by_hand"),
    Equation("7", "energy of the score dynamics", f"{CH}#dr-1", f"{CH}#eq78-check",
             f"{LOSS}:energy", "test_la_net.py:test_energy_by_hand"),
    Equation("8", "ranking of the energies", f"{CH}#dr-1", f"{CH}#eq78-check",
             f"{LOSS}:ranking_loss", "test_la_net.py:test_ranking_by_hand"),
    Equation("9", "feature dynamics", f"{CH}#da-1", f"{CH}#eq910-check",
             f"{LOSS}:feature_dynamics", "test_la_net.py:test_feature_dynamics_by_hand"),
    Equation("10", "alignment of the dynamics", f"{CH}#da-1", f"{CH}#eq910-check",
             f"{LOSS}:alignment_loss",
             "test_la_net.py:test_equation_10_as_printed_falls_below_zero"),
    Equation("11", "the whole loss", f"{CH}#eq11", f"{CH}#eq11-check", f"{LOSS}:losses",
             "test_la_net.py:test_the_total_by_plain_arithmetic"),
]  # fmt: skip
