"""MAAM-Net: where each of its equations is."""

from __future__ import annotations

from vadlib.lab.equations import Equation

CH, MEMORY = "07_maam_net", "papers/layers/memory.py"
ARITHMETIC = "test_layers.py:test_equations_1_to_4_by_plain_arithmetic"
LOSSES = "papers/maam/network.py:losses", "test_maam.py:test_losses_by_plain_arithmetic"
EQUATIONS = [
    Equation("1", "cosine of query and item", f"{CH}#memory-1", f"{CH}#eq12-check",
             f"{MEMORY}:similarities", ARITHMETIC),
    Equation("2", "softmax over the items", f"{CH}#memory-1", f"{CH}#eq12-check",
             f"{MEMORY}:Memory.address", ARITHMETIC),
    Equation("3", "shrinkage: what is below the threshold is cut", f"{CH}#eq3",
             f"{CH}#eq34-check", f"{MEMORY}:shrink", "test_layers.py:test_shrink_is_a_threshold"),
    Equation("4", "what the decoders get", f"{CH}#eq3", f"{CH}#eq34-check",
             f"{MEMORY}:Memory.forward", ARITHMETIC),
    Equation("5", "loss of appearance", f"{CH}#losses-1", f"{CH}#eq58-check", *LOSSES),
    Equation("6", "loss of motion", f"{CH}#losses-1", f"{CH}#eq58-check", *LOSSES),
    Equation("7", "generative loss", f"{CH}#losses-1", f"{CH}#eq58-check", *LOSSES),
    Equation("8", "sparsity: the entropy of the weights", f"{CH}#losses-1", f"{CH}#eq58-check",
             f"{MEMORY}:entropy", LOSSES[1]),
    Equation("9", "latent loss", f"{CH}#eq9", f"{CH}#eq10-check",
             "papers/maam/network.py:latent_loss", "test_maam.py:test_the_latent_loss_by_hand"),
    Equation("10", "the whole loss", f"{CH}#eq10", f"{CH}#eq10-check", *LOSSES),
    Equation("11", "scores scaled to 0..1", f"{CH}#eq11", f"{CH}#eq11-check",
             "measure/score.py:normalise", "test_score.py:test_minmax_by_scope"),
    Equation("12", "a threshold decides", f"{CH}#eq11", f"{CH}#eq11-check",
             "measure/frames.py:roc_points",
             "test_metrics.py:test_roc_eer_and_average_precision_are_scikit_learns"),
    Equation("Alg. 1", "errors summed over patches, fused; the largest is the score",
             f"{CH}#psc-1", f"{CH}#pscd-check", "papers/maam/detector.py:MAAM.score",
             "test_maam.py:test_scores_are_algorithm_1"),
]  # fmt: skip
