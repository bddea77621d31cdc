"""The faults that `make mutants` makes: what they are, and that each changes one place only."""

import ast
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from mutations import faults  # noqa: E402

SOURCE = '''
"""A module."""
WIDTH: int = 3

@decorated(size=1)
def mean(x: "int | str", y, scale=0.5):
    """What it does."""
    if not x or len(y) > 2:
        raise ValueError(f"no {x + 1}")
    z = np.abs(x, axis=1)
    self.z = rescale(z, y)
    return x.max() - min(z, y)
'''


def told(source):
    return {f"{f.text} {'in' if f.inside else 'at import'}" for f in faults(ast.parse(source))}


def test_each_kind_of_fault_is_made_and_words_are_left_alone():
    assert told(SOURCE) == {
        "(module): 3 -> 4 at import",
        "mean: 0.5 -> 1.0 at import",
        "mean: if not x or len(y) > 2: raise ValueError(f'no {x + 1}') -> "
        "if not (not x or len(y) > 2): raise ValueError(f'no {x + 1}') in",
        "mean: not x or len(y) > 2 -> not x and len(y) > 2 in",
        "mean: not x -> x in",
        "mean: len(y) > 2 -> len(y) <= 2 in",
        "mean: len(y) > 2 -> len(y) >= 2 in",
        "mean: 2 -> 3 in",
        "mean: raise ValueError(f'no {x + 1}') -> pass in",
        "mean: np.abs(x, axis=1) -> np.abs(x) in",
        "mean: np.abs(x, axis=1) -> x in",
        "mean: 1 -> 2 in",
        "mean: self.z = rescale(z, y) -> pass in",
        "mean: rescale(z, y) -> rescale(y, z) in",
        "mean: rescale(z, y) -> z in",
        "mean: x.max() - min(z, y) -> x.max() + min(z, y) in",
        "mean: x.max() -> x in",
        "mean: x.max -> x.min in",
        "mean: min(z, y) -> z in",
        "mean: min -> max in",
    }


def test_a_fault_changes_its_place_and_nothing_else():
    whole = ast.unparse(ast.parse(SOURCE))
    for number in range(len(faults(ast.parse(SOURCE)))):
        tree = ast.parse(SOURCE)
        fault = faults(tree)[number]
        fault.make()
        compile(tree, "faulty", "exec")
        changed = ast.unparse(tree).splitlines()
        same = [a == b for a, b in zip(changed, whole.splitlines(), strict=False)]
        assert ast.unparse(tree) != whole
        if len(changed) == len(same):
            assert same.count(False) == 1, fault.text
