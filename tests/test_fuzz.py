"""Anything at all, to everything that reads: it is refused in one line, or answered rightly.

Each reader is tried with 200 inputs. A traceback of any other kind fails, and so does an answer
that a second way of computing it does not give.
"""

import json
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from sklearn.metrics import roc_auc_score

from vadlib import measure
from vadlib.__main__ import main
from vadlib.data import bags, fetch
from vadlib.data.schema import Manifest, check
from vadlib.errors import VadError
from vadlib.lab.schema import Chapter, Settings, config_from
from vadlib.measure import score
from vadlib.papers.maam.config import MAAMConfig

FUZZ = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    PLAIN, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=8), x, max_size=3)
)
ARRAYS = nps.arrays(
    st.sampled_from([np.float64, np.int64, np.uint8, bool, np.float16, "U3", object, complex]),
    nps.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6),
)
VIDEOS = ARRAYS | PLAIN | st.lists(ARRAYS | PLAIN | st.lists(PLAIN, max_size=4), max_size=3)
NUMBERS = st.integers(-3, 3) | st.floats() | st.none() | st.text(max_size=2)


@contextmanager
def refusal():
    """A VadError with words in both of its parts is a right answer; any other error is not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except VadError as error:
            assert error.problem and error.remedy and len(str(error)) < 2000


# ------------------------------------------------------------------------------------ measures


def plain_pool(scores, labels):
    """Scores and labels of all frames, where they have the one form that is documented."""
    lone = np.ndim(scores[0]) == 0
    series, truth = ([scores], [labels]) if lone else (scores, labels)
    return np.concatenate(list(map(np.asarray, series))), np.concatenate(
        [np.asarray(t) == 1 for t in truth]
    )


@FUZZ
@given(scores=VIDEOS, labels=VIDEOS)
def test_measures_of_anything(scores, labels):
    with refusal():
        value = measure.frame_auc(scores, labels)
        values, truth = plain_pool(scores, labels)
        assert value == pytest.approx(roc_auc_score(truth, values.astype(float)), abs=1e-9)
    for function in (measure.eer, measure.average_precision):
        with refusal():
            assert 0 <= function(scores, labels) <= 1


SERIES = st.integers(2, 8).flatmap(
    lambda n: st.tuples(
        nps.arrays(st.sampled_from([np.float64, np.int8, np.uint8, bool]), n),
        nps.arrays(st.sampled_from([bool, np.uint8, np.float64]), n, elements=st.integers(0, 1)),
    )
)


@FUZZ
@given(videos=st.lists(SERIES, min_size=1, max_size=3), average=st.sampled_from(["micro", "macro"]))
def test_measures_of_scores_of_every_type(videos, average):
    scores, labels = zip(*videos, strict=True)
    with refusal():
        value = measure.frame_auc(list(scores), list(labels), average=average)
        pairs = [(s.astype(float), t == 1) for s, t in videos]
        if average == "macro":
            own = [roc_auc_score(t, s) for s, t in pairs if 0 < t.sum() < len(t)]
            assert value == pytest.approx(np.mean(own), abs=1e-9)
        else:
            s, t = (np.concatenate(x) for x in zip(*pairs, strict=True))
            assert value == pytest.approx(roc_auc_score(t, s), abs=1e-9)
            fpr, tpr, _ = measure.roc_points(list(scores), list(labels))
            assert np.trapezoid(tpr, fpr) == pytest.approx(value, abs=1e-9)


@FUZZ
@given(heat=VIDEOS, masks=VIDEOS, tracks=VIDEOS, number=NUMBERS)
def test_localisation_of_anything(heat, masks, tracks, number):
    for criterion in ("pixel", "ucsd40"):
        with refusal():
            assert 0 <= measure.pixel_auc(heat, masks, criterion) <= 1
    with refusal():
        assert 0 <= measure.rbdc(heat, masks) <= 1
    with refusal():
        measure.detections(heat, masks, tracks, alpha=number, thresholds=number)
    with refusal():
        assert measure.box_tracks(heat, masks).shape[1] == 6


@FUZZ
@given(scores=VIDEOS, labels=VIDEOS, draws=NUMBERS, level=NUMBERS)
def test_intervals_of_anything(scores, labels, draws, level):
    with refusal():
        draws = min(draws, 3) if isinstance(draws, int) else draws
        found = measure.bootstrap(measure.frame_auc, scores, labels, draws=draws, level=level)
        assert found.low <= found.high


@FUZZ
@given(
    scores=st.lists(nps.arrays(float, st.integers(1, 9)), min_size=1, max_size=3),
    kind=st.sampled_from(["none", "gaussian", "median", "mean"]),
    width=st.integers(-2, 7) | st.floats(-2, 7) | st.just(np.nan),
    scope=st.sampled_from(["none", "global", "per_video", "train", "all"]),
)
def test_smoothing_and_normalising(scores, kind, width, scope):
    with refusal():
        found = score.smooth(scores, kind, width)
        assert [len(f) for f in found] == [len(s) for s in scores]
    with refusal():
        for part in score.normalise(scores, scope):
            # sums of numbers near the largest that there is may overflow
            assert scope == "none" or np.nanmax(np.abs(part)) <= 1 + 1e-9 or not part.any()


# ------------------------------------------------------------------------------------- readers


@FUZZ
@given(content=JSON)
def test_manifests(content):
    entry = {"title": "A", "homepage": "http://a.b", "licence": "c", "into": ".", "files": []}
    for made in (content, {"a": content}, {"a": entry | {"makes": content}}):
        with refusal():
            found = check(Manifest, made, "manifest.json", "Restore it.").root
            for one in found.values():
                assert all((Path("/data") / p).resolve().is_relative_to("/data") for p in one.makes)


@FUZZ
@given(name=st.text(st.sampled_from("./\\:ab\0~ "), max_size=10))
def test_places_of_a_manifest_lie_in_its_folder(name):
    entry = {"title": "A", "homepage": "http://a.b", "licence": "c", "into": name, "files": []}
    with refusal():
        found = check(Manifest, {"a": entry | {"makes": [name]}}, "manifest.json", "Restore it.")
        place = (Path("/data") / found.root["a"].into).resolve()
        assert place.is_relative_to("/data")


@FUZZ
@given(content=JSON, field=st.sampled_from(["width", "items", "patch", "train", "psi", "new"]))
def test_configs(content, field):
    from dataclasses import asdict

    whole = json.loads(json.dumps(asdict(MAAMConfig()))) | {"psi": 0.5}
    for given_config in (content, whole | {field: content}):
        with refusal():
            made = config_from(MAAMConfig, given_config, "a.pt", "Train again.")
            assert json.loads(json.dumps(asdict(made))) == given_config


@FUZZ
@given(profile=PLAIN, seed=PLAIN, device=PLAIN)
def test_parameters(profile, seed, device):
    with refusal():
        check(Chapter, {"PROFILE": profile, "SEED": seed, "DEVICE": device}, "parameters", "Set it")
        raise AssertionError("no text of a few letters is a profile")
    with refusal():
        found = check(Settings, {"seed": seed, "epochs": seed}, "the command line", "--help")
        assert found.seed is None or 0 <= found.seed < 2**63


@FUZZ
@given(content=st.binary(max_size=60) | st.text(max_size=40).map(lambda s: s.encode("utf-16")))
def test_lists_of_features(content):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "ucf_crime"
        root.mkdir()
        (root / "train.list").write_bytes(content)
        with refusal():
            bags.load("ucf-crime", "train", folder)
            raise AssertionError("there is no file that the list could name")


ARRAY = nps.arrays(
    st.sampled_from([np.float32, np.float64, np.int16, complex, "U2", [("a", "f4")]]),
    nps.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=11),
)


@settings(FUZZ, max_examples=100)
@given(features=ARRAY, cut=st.integers(0, 200))
def test_files_of_features(features, cut):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "ucf_crime"
        root.mkdir()
        np.save(root / "a.npy", features, allow_pickle=True)
        whole = (root / "a.npy").read_bytes()
        (root / "a.npy").write_bytes(whole[: len(whole) - cut] if cut < 100 else whole)
        (root / "train.list").write_text("a.npy")
        with refusal():
            (bag,) = bags.load("ucf-crime", "train", folder)
            held = np.asarray(bag.features)
            assert bag.features.shape[0] == 10 or features.ndim == 2
            assert sorted(held.ravel()) == sorted(features.astype(np.float32).ravel())


@settings(FUZZ, max_examples=100)
@given(content=st.binary(max_size=300), kind=st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08"]))
def test_archives(content, kind):
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "a.zip"
        archive.write_bytes(kind + content)
        with refusal():
            fetch.extract(archive, Path(folder) / "out")
        assert not list(Path(folder).glob("out/.unpacking*"))


# --------------------------------------------------------------------------------- command line

WORDS = st.sampled_from(
    ["random", "maam", "la-net", "flow-bag", "copy-last", "nothing", "plaza", "ped2", "x.mp4"]
    + ["data", "fit", "score", "reproduce", "status", "new", "--list", "--json", "--data", "--out"]
    + ["--profile", "--seed", "--device", "--epochs", "--size", "--checkpoint", "--folder", "cuda"]
    + ["smoke", "full", "-1", "0", "inf", "nan", "1e99", "9" * 30, "16x16", "0x0", "-3x4", ".", ""]
) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A folder of one's own, in which nothing long may begin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    monkeypatch.setenv("VADLIB_DATA", str(tmp_path / "sets"))
    monkeypatch.setenv("VADLIB_CACHE", str(tmp_path / "cache"))
    from vadlib.lab import run, sets
    from vadlib.press import new

    def refused(*_, **__):
        raise VadError("nothing long in this test", "Run it yourself.")

    monkeypatch.setattr(sets.DataSet, "load", refused)
    monkeypatch.setattr(run, "reproduce", refused)
    monkeypatch.setattr(run, "confirm", refused)
    monkeypatch.setattr(new, "new", refused)
    monkeypatch.setattr(fetch, "fetch", refused)
    return tmp_path


@settings(FUZZ, max_examples=150)
@given(verb=st.sampled_from(["fit", "score", "reproduce", "data", "status", ""]),
       words=st.lists(WORDS, max_size=6))  # fmt: skip
def test_the_command_line_ends_with_0_or_2(nowhere, capfd, verb, words):
    try:
        code = main([verb, *words] if verb else words)
    except SystemExit as end:  # argparse
        code = end.code or 0
    said = capfd.readouterr().err
    assert code in (0, 2) and "Traceback" not in said
    assert code == 0 or said.strip()


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "maam", "--out", "."],
        ["fit", "maam", "--out", "a.pt", "--epochs", "inf"],
        ["fit", "maam", "--out", "a.pt", "--epochs", "nan"],
        ["fit", "maam", "--out", "a.pt", "--epochs", "-1"],
        ["fit", "maam", "--out", "a.pt", "--seed", str(2**64)],
        ["fit", "maam", "--out", "a.pt", "--seed", "-1"],
        ["fit", "maam", "--out", "a.pt", "--profile", "huge"],
        ["fit", "maam", "--out", "a.pt", "--device", "tpu"],
        ["fit", "maam", "--out", "file/a.pt"],
        ["fit", "maam", "--out", "a.pt", "--data", "nowhere"],
        ["score", "copy-last", "film", "--out", "."],
        ["score", "copy-last", "file"],
        ["score", "copy-last", "missing.mp4"],
        ["score", "maam", "file", "--checkpoint", "file"],
        ["score", "maam", "file", "--checkpoint", "."],
        ["reproduce", "maam-ped2-standard", "--seed", str(2**64)],
        ["reproduce", "maam-ped2-standard", "--device", "cuda:x"],
    ],
    ids=" ".join,
)
def test_slips_of_the_pen_are_told_in_one_line(nowhere, capsys, words):
    (nowhere / "file").write_text("not what you think")
    assert main(words) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("vadlib: ") and len(said.splitlines()) == 1
    assert not (nowhere / "a.pt").exists()
