"""Project 1, a start: how much of a number is the method's, and how much the protocol's?

Reads the scores that the book's runs left (data/scores), measures them under every protocol, and
says where the order of two methods turns. Trains nothing; takes seconds. Run it in the root of the
repository: python book/projects/whose_number.py
"""

from itertools import combinations

from vadlib.lab.records import read_records, read_scores, read_truth
from vadlib.measure.evaluate import PROTOCOLS, frame_rows

DATA = "ped2"  # the data set whose records are compared
METHODS = ("maam", "msti", "mdsf", "local-patterns", "zero-flow", "flow-magnitude", "median-z")


def measured(name: str, seed: int) -> dict[str, float]:
    """Protocol -> AUC of one run, from its scores."""
    scores, truth = read_scores(name, seed), read_truth(name, seed)
    labels = [s.labels(t) for s, t in zip(scores, truth, strict=True)]
    rows = frame_rows([s.frame for s in scores], labels, "score", list(PROTOCOLS))
    return {row["protocol"]: row["value"] for row in rows if row["metric"] == "auc"}


def turned(table: dict[str, dict[str, float]]) -> list[tuple[str, str]]:
    """Pairs of methods whose order is not the same under every protocol."""
    found = []
    for one, other in combinations(table, 2):
        if len({table[one][p] > table[other][p] for p in PROTOCOLS}) > 1:
            found.append((one, other))
    return found


def main() -> None:
    wanted = {f"{method}-{DATA}-standard": method for method in METHODS}
    known = {r["name"]: r for r in read_records() if r["name"] in wanted}
    table = {wanted[n]: measured(n, known[n]["seeds"][0]) for n in wanted if n in known}
    print(f"{'AUC in percent':<16}" + "".join(f"{p:>19}" for p in PROTOCOLS))
    for method, row in table.items():
        print(f"{method:<16}" + "".join(f"{100 * row[p]:>19.1f}" for p in PROTOCOLS))
    pairs = turned(table)
    print(f"\n{len(pairs)} pairs change places with the protocol:")
    for one, other in pairs:
        print(f"  {one} and {other}")
    # Yours: an interval for each difference (vadlib.measure.bootstrap), other seeds, other data.


if __name__ == "__main__":
    main()
