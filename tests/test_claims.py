"""Claims: evidence by hand, verdicts that follow from it, sentences that stand in the papers."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vadlib import book, measure, papers
from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.lab import claims, compare
from vadlib.lab.records import Truth
from vadlib.measure.evaluate import PROTOCOLS, apply
from vadlib.measure.intervals import Interval

TEXTS = Path(__file__).parents[2] / "shared" / "papers"
FILES = {"maam": "maam-net", "msti": "msti-net", "la_net": "la-net-ddl", "mdsf": "mdsf"}
FILES |= {"local_patterns": "local-patterns"}
ALL = [(paper, claim) for paper in papers.PAPERS for claim in papers.claims_of(paper)]


def watched(*videos):
    """(scores, labels, kind) of each video, as one seed has tested them."""
    return [
        (
            Scores(f"v{i}", np.array(s, float), np.arange(len(s)), terms={"other": -np.array(s)}),
            Truth(f"v{i}", np.array(y, np.uint8), {"kind": np.array([kind] * len(s))}),
        )
        for i, (s, y, kind) in enumerate(videos)
    ]


VIDEOS = watched(([0, 3, 2], [0, 1, 0], "a"), ([5, 9], [1, 0], "b"), ([1, 1, 4], [0, 1, 1], "a"))
ONCE = np.ones((1, 3))


def test_a_measure_is_that_of_the_videos_drawn():
    scores, labels = zip(*((s.frame, t.labels) for s, t in VIDEOS), strict=True)
    assert compare.term_auc()(VIDEOS)(ONCE)[0] == measure.frame_auc(scores, labels)
    twice = compare.term_auc()(VIDEOS)(np.array([[2, 0, 1]]))[0]
    many = [0, 0, 2]
    assert twice == measure.frame_auc([scores[i] for i in many], [labels[i] for i in many])
    other = compare.term_auc("other")(VIDEOS)(ONCE)[0]
    assert other == pytest.approx(1 - measure.frame_auc(scores, labels))


def test_a_kind_is_measured_on_its_own_videos_and_a_protocol_is_applied():
    own = [VIDEOS[0], VIDEOS[2]]
    assert compare.term_auc(kind="a")(VIDEOS)(ONCE)[0] == compare.term_auc()(own)(ONCE[:, :2])[0]
    stretched = [(s.frame - s.frame.min()) / np.ptp(s.frame) for s, _ in VIDEOS]
    got = compare.term_auc(protocol="per-video min-max")(VIDEOS)(ONCE)[0]
    assert got == measure.frame_auc(stretched, [t.labels for _, t in VIDEOS])


def test_a_mean_over_videos_is_that_of_the_library():
    videos = watched(([0, 3, 2], [0, 1, 0], "a"), ([5, 9], [0, 0], "b"), ([1, 1, 4], [0, 1, 1], ""))
    scores, labels = zip(*((s.frame, t.labels) for s, t in videos), strict=True)
    for name in ("macro", "macro padded"):
        how = PROTOCOLS[name]
        expected = measure.frame_auc(apply(how, scores), labels, "macro", how["single_class"])
        assert compare.term_auc(protocol=name)(videos)(ONCE)[0] == pytest.approx(expected)
    drawn = compare.term_auc(protocol="macro")(videos)(np.array([[0, 3, 0], [2, 1, 1]]))
    assert np.isnan(drawn[0]) and drawn[1] == pytest.approx((2 * 1.0 + 0.75) / 3)
    with pytest.raises(VadError, match="unknown protocol 'micro'"):
        compare.term_auc(protocol="micro")


class Known:
    def __init__(self, low, high):
        self.found = Interval((low + high) / 2, low, high, np.zeros(1))
        self.records = ()

    def interval(self):
        return self.found


@pytest.mark.parametrize(
    "low,high,verdict",
    [(0.01, 0.05, claims.HOLDS), (-0.01, 0.05, claims.FAILS), (-0.05, -0.01, claims.FAILS)],
)
def test_a_verdict_follows_from_its_interval(low, high, verdict):
    claim = claims.Claim("x", "s", "p", "r", "auto", "2026-11-25", Known(low, high))
    assert claim.judged()[0] == verdict


def test_a_written_verdict_may_not_contradict_its_interval():
    def claim(verdict, evidence):
        return claims.Claim("x", "s", "p", "r", verdict, "2026-11-25", evidence)

    above = Known(0.01, 0.05)
    assert claim(claims.HOLDS, above).judged() == (claims.HOLDS, above.found)
    for verdict in (claims.UNJUDGED, claims.CONTRADICTED):
        assert claim(verdict, above).judged() == (verdict, above.found)
    with pytest.raises(VadError, match="'does not hold here', and its interval says 'holds'"):
        claim(claims.FAILS, above).judged()
    with pytest.raises(VadError, match="'perhaps' is no verdict"):
        claim("perhaps", above)
    with pytest.raises(VadError, match="no interval to judge by"):
        claim("auto", "words")


def test_what_has_no_records_has_not_been_run(tmp_path, monkeypatch):
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    monkeypatch.setattr("vadlib.lab.records.INSTALLED", tmp_path / "none")
    nothing = claims.Difference("a", "b")
    assert nothing.interval() is None and claims.Value("a").row() is None
    assert claims.Claim("x", "s", "p", "r", "auto", "d", nothing).judged() == ("not run yet", None)
    assert book.difference_text(None) == "not run yet"
    assert book.difference_text(Interval(0.033, 0.014, 0.0605, np.zeros(1))) == (
        "+3.3 (+1.4 to +6.0)"
    )


each_claim = pytest.mark.parametrize("paper,claim", ALL, ids=[c.id for _, c in ALL])


@each_claim
def test_every_claim_is_well_formed(paper, claim):
    assert claim.sentence and claim.place and claim.ran
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", claim.since)
    assert claim.evidence, f"{claim.id}: a verdict needs evidence"
    assert isinstance(claim.evidence, str) == (not claim.records)
    for name in claim.records:
        assert name in papers.experiments(), f"no experiment {name}"


def test_every_claim_has_a_name_of_its_own():
    names = [claim.id for _, claim in ALL]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("paper", [p for p in papers.PAPERS if papers.claims_of(p)])
def test_verdicts_agree_with_the_records(paper):
    for claim in papers.claims_of(paper):
        assert claim.judged()[0] in (*claims.VERDICTS, claims.WAITING)


@each_claim
def test_every_claim_quotes_its_paper(paper, claim):
    text = TEXTS / f"{FILES.get(paper, paper)}.txt"
    if not text.exists():
        pytest.skip("the papers' texts are not part of the repository")
    assert letters(claim.sentence) in letters(text.read_text()), claim.sentence


def letters(text):
    """A text without white space and signs, which extraction from a PDF scatters."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def test_tables_have_a_cell_for_each_column():
    for paper in papers.PAPERS:
        for name, table in papers.tables_of(paper).items():
            for row in [*table.rows.values(), *table.ours.values()]:
                assert len(row) == len(table.columns), f"{paper}, {name}"
            for value in (v for row in table.ours.values() for v in row):
                known = not isinstance(value, claims.Value) or value.record in papers.experiments()
                assert known, f"{paper}, {name}: no experiment {value.record}"


def test_claims_are_read_without_pytorch():
    code = "import sys, vadlib.lab.claims; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def shop(monkeypatch):
    """A paper of two claims and a table; its record "old" is stale, "new" is not there."""
    found = [
        claims.Claim("a", "$A$ < B.", "§1", "ran", "auto", "2026-11-25", Known(0.01, 0.05)),
        claims.Claim("b", "Fast.", "§2", "none", claims.UNJUDGED, "2026-11-25", "no machine"),
    ]
    ours = {"one": (claims.Value("old"), None), "two": (claims.Value("new"), "same")}
    table = claims.Printed("Of all.", ("AUC", "note"), {"Theirs": ("95.3", "printed")}, ours)
    row = {"metric": "auc", "mean": 0.9, "sd": 0.01}
    monkeypatch.setattr(papers, "claims_of", lambda paper: found)
    monkeypatch.setattr(papers, "tables_of", lambda paper: {"Table 1": table})
    monkeypatch.setattr(claims.Value, "row", lambda v: row if v.record == "old" else None)
    monkeypatch.setattr(book, "records", lambda: [{"name": "old", "stale": True}])


def test_claims_are_shown_with_their_evidence(shop, capsys):
    book.claims_table("x")
    said = capsys.readouterr().out
    assert "“$A$ < B.” (§1) | holds | +3.0 (+1.0 to +5.0) | ran | 2026-11-25" in said
    assert "cannot be judged at this scale | no machine" in said
    book.claims_table("x", only=["b"])
    assert "< B" not in capsys.readouterr().out
    with pytest.raises(VadError, match="no claim 'c'"):
        book.claims_table("x", only=["b", "c"])


def test_a_printed_table_has_ours_below_and_marks_what_is_stale(shop, capsys):
    book.printed_table("x", "Table 1")
    *_, theirs, one, two = capsys.readouterr().out.splitlines()
    assert theirs == "Theirs | 95.3 | printed"
    assert one == "ours: one | 90.0 ± 1.0† | –" and two == "ours: two | – | same"
    with pytest.raises(VadError, match="no 'Table 9'"):
        book.printed_table("x", "Table 9")


def test_on_a_page_tables_scroll_and_are_escaped(shop, monkeypatch):
    shown = []
    monkeypatch.setattr(book, "_in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda page: shown.append(page.data))
    book.claims_table("x")
    book.printed_table("x", "Table 1")
    assert all('class="vad-scroll" tabindex="0"' in page for page in shown)
    assert r'<span class="math notranslate nohighlight">\(A\)</span> &lt; B.' in shown[0]
    assert "†" not in shown[0] and "made by older code" in shown[1]


def test_the_ledger_has_every_line_with_its_records(capsys):
    book.ledger({paper: paper.upper() for paper in papers.PAPERS if papers.claims_of(paper)})
    lines = capsys.readouterr().out.splitlines()[2:]
    assert len(lines) == len(ALL)
    for line, (paper, claim) in zip(lines, ALL, strict=True):
        name, verdict, _, ran, _, records, known = line.split(" | ")
        assert (name, known) == (paper.upper(), f"{claim.id}, {claim.dated}")
        assert (verdict, ran) == (claim.judged()[0], claim.scale) and records == (
            ", ".join(claim.records) or "–"
        )


@pytest.fixture
def kept(monkeypatch):
    """What each (name, seed) has tested; a record's seeds are those given."""
    tested = {}
    monkeypatch.setattr(compare, "seeds_of", lambda name: [s for n, s in tested if n == name])
    monkeypatch.setattr(compare, "_kept", lambda name, seed, *_: tested[name, seed])
    return tested


def test_a_difference_is_a_paired_bootstrap_over_the_common_seeds(kept):
    rng = np.random.default_rng(3)
    truth = [rng.integers(2, size=9) for _ in range(5)]
    noise = [[rng.normal(size=9).round(1) for _ in truth] for _ in range(4)]
    for (name, seed), scores in zip([("a", 0), ("a", 1), ("b", 1), ("b", 2)], noise, strict=True):
        kept[name, seed] = watched(*((s, y, "") for s, y in zip(scores, truth, strict=True)))
    got = claims.Difference("a", "b").interval()
    expected = measure.bootstrap(measure.frame_auc, noise[1], truth, other=noise[2])
    assert len(got.draws) == 1000 and got.draws == pytest.approx(expected.draws)
    assert (got.value, got.low, got.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )
    kept["b", 0] = kept["b", 2]
    both = claims.Difference("a", "b").interval()
    first = measure.frame_auc(noise[0], truth) - measure.frame_auc(noise[3], truth)
    assert both.value == pytest.approx((first + got.value) / 2)
    assert claims.Difference("b", "a").interval().value == pytest.approx(-both.value)


def test_one_trained_seed_stands_against_its_own_and_a_rule_against_all(kept, monkeypatch):
    for run in [("net", 0), ("net", 1), ("rule", 0), ("once", 0)]:
        kept[run] = []
    monkeypatch.setattr(compare, "_drawn", lambda name: name != "rule")
    assert compare.seeds_between("net", "rule") == [(0, 0), (1, 0)]
    assert compare.seeds_between("net", "once") == [(0, 0)]
    assert compare.seeds_between("once", "rule", "net") == [(0, 0, 0)]
    assert compare.seeds_between("rule") == [(0,)] and compare.seeds_between("net", "none") == []


def test_what_is_drawn_is_known_by_its_cost():
    names = ("zero-flow", "attributes", "local-patterns-velocity", "maam", "maam-neither")
    found = [compare._drawn(f"{name}-ped2-standard") for name in names]
    assert found == [False, False, False, True, True]


def test_a_claim_tells_its_seeds_and_the_date_of_its_newest_record():
    ours = claims.Difference("maam-ped2-standard", "zero-flow-ped2-standard")
    claim = claims.Claim("x", "s", "p", "ran so", "auto", "2026-11-01", ours)
    assert claim.scale == "ran so; 3 seeds"
    made = (compare.read_record(compare.kept("results") / f"{n}.json") for n in ours.records)
    assert claim.dated == max(record["created"][:10] for record in made) > "2026-11-01"
    said = claims.Claim("x", "s", "p", "ran so", claims.UNJUDGED, "2026-11-01", "words")
    assert (said.scale, said.dated) == ("ran so", "2026-11-01")


def test_a_value_that_was_never_measured_has_no_verdict():
    claim = claims.Claim("x", "s", "p", "r", claims.UNJUDGED, "2026-11-25", claims.Value("no-such"))
    assert claim.judged() == (claims.WAITING, None) and claim.scale == "r"


@pytest.mark.parametrize("protocol,kind", [("headline", "a"), ("macro", ""), ("macro", "a")])
def test_a_difference_asks_both_sides_for_its_protocol_and_kind(kept, protocol, kind):
    kept["a", 0] = VIDEOS
    found = claims.Difference("a", "a", other="other", protocol=protocol, kind=kind).interval()
    asked = [compare.term_auc(t, protocol, kind)(VIDEOS)(ONCE)[0] for t in ("score", "other")]
    assert found.value == pytest.approx(asked[0] - asked[1]) and asked[0] != asked[1]


def test_draws_of_one_class_are_drawn_again(kept):
    kept["a", 0] = watched(([0, 3], [1, 1], ""), ([1, 2], [0, 0], ""))
    kept["b", 0] = watched(([9, 9], [1, 1], ""), ([1, 2], [0, 0], ""))
    found = claims.Difference("a", "b").interval()
    assert len(found.draws) == 1000 and set(found.draws) == {-0.5}


def test_only_frames_that_both_have_scored_are_compared(kept):
    kept["a", 0] = watched(([5, 3, 2, 9], [0, 1, 0, 0], ""), ([1, 2, 0], [0, 1, 0], ""))
    late = [(replace(s, frame=s.frame[1:], index=s.index[1:], terms={}), t) for s, t in VIDEOS[:1]]
    kept["b", 0] = [*late, kept["a", 0][1]][::-1]  # and their order does not matter
    found = claims.Difference("a", "b").interval()
    assert found.value == 0 and not found.draws.any()


def test_records_of_other_videos_are_not_compared(kept):
    kept["a", 0], kept["b", 0] = VIDEOS, VIDEOS[:2]
    assert compare.compared(compare.term_auc(), "a", "a").value == 0
    with pytest.raises(VadError, match="a and b have tested different videos with seed 0"):
        compare.compared(compare.term_auc(), "a", "b")
    with pytest.raises(VadError, match="no term 'nothing'"):
        claims.Difference("a", "a", other="nothing").interval()
