"""The faults that `make mutants` makes: what they are, and that each changes one place only."""

import ast
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[1] / "tools"
sys.path.insert(0, str(TOOLS))
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
        "(module): 3 -> 4 in WIDTH: int = 3 at import",
        "mean: 0.5 -> 1.0 in def mean(x: 'int | str', y, scale=0.5): at import",
        "mean: if not x or len(y) > 2: raise ValueError(f'no {x + 1}') -> "
        "if not (not x or len(y) > 2): raise ValueError(f'no {x + 1}') in",
        "mean: not x or len(y) > 2 -> not x and len(y) > 2 in",
        "mean: not x -> x in if not x or len(y) > 2: in",
        "mean: len(y) > 2 -> len(y) <= 2 in",
        "mean: len(y) > 2 -> len(y) >= 2 in",
        "mean: 2 -> 3 in if not x or len(y) > 2: in",
        "mean: raise ValueError(f'no {x + 1}') -> pass in",
        "mean: np.abs(x, axis=1) -> np.abs(x) in",
        "mean: np.abs(x, axis=1) -> x in",
        "mean: 1 -> 2 in z = np.abs(x, axis=1) in",
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


def test_what_is_written_down_still_stands_in_the_code():
    """A fault that nothing fits any more is tried by nobody."""
    text = (TOOLS / "named.txt").read_text(encoding="utf-8")
    for block in text.strip().split("\n\n")[1:]:
        title, path, *change = block.split("\n")
        old = "".join(f"{line[1:]}\n" for line in change if line[0] == "-")
        source = (TOOLS.parent / path).read_text(encoding="utf-8")
        assert old and source.count(old) == 1, title
    for line in (TOOLS / "equivalent.txt").read_text(encoding="utf-8").splitlines()[1:]:
        path, text, why = line.split(" | ")
        tree = ast.parse((TOOLS.parent / path).read_text(encoding="utf-8"))
        assert why and [f.text for f in faults(tree)].count(text) == 1, line
