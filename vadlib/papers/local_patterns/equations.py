"""Local Patterns: where each of its equations is."""

from __future__ import annotations

from vadlib.lab.equations import Equation

CH = "11_local_patterns_dynamics"
MACHINE = "papers/local_patterns/dynamics.py:SMM"
STEPS = "test_local_patterns.py:test_the_state_machine_is_its_equations"
EQUATIONS = [
    Equation("1", "images and sentences are aligned", "10_local_patterns_words#loss-1",
             "10_local_patterns_words#loss-check", "papers/local_patterns/words.py:itam_loss",
             "test_itam.py:test_equation_1_by_loops"),
    Equation("2", "features in a window, as a sum of polynomials", f"{CH}#smm-1",
             f"{CH}#exact-check", MACHINE,
             "test_legendre.py:test_a_polynomial_of_lower_degree_is_kept_exactly"),
    Equation("3", "the state, step by step", f"{CH}#smm-1", f"{CH}#forms",
             "papers/layers/legendre.py:LegendreMemory.recurrent",
             "test_legendre.py:test_equation_5_is_the_recursion_of_equation_3"),
    Equation("4", "what is read from the state", f"{CH}#smm-1", f"{CH}#smm-check",
             f"{MACHINE}.forward", STEPS),
    Equation("5", "the state, all at once", f"{CH}#forms-1", f"{CH}#forms",
             "papers/layers/legendre.py:LegendreMemory.forward",
             "test_legendre.py:test_equation_5_is_the_recursion_of_equation_3"),
    Equation("6", "one step ahead of the window", f"{CH}#smm-1", f"{CH}#smm-check",
             f"{MACHINE}.forward",
             "test_local_patterns.py:test_what_is_ahead_is_one_step_outside_the_window"),
]  # fmt: skip
