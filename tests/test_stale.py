"""Edits that change numbers leave just the right records stale: those whose numbers they change."""

import itertools
import os
import shutil
from pathlib import Path

import pytest

from vadlib import papers
from vadlib.lab import sets, source
from vadlib.lab.experiment import stamp_of

ROOT = Path(__file__).parents[1]
CLOCK = itertools.count(1)
# one experiment for everything that can differ: data set, protocol, method
NAMES = (
    "zero-flow-ped2-standard",
    "zero-flow-plaza-standard",
    "zero-flow-ped2-weak-videos-standard",
    "copy-last-plaza-joint-standard",
    "copy-last-plaza-kinds-standard",
    "random-ped2-standard",
    "maam-ped2-standard",
    "maam-nomemory-ped2-standard",
    "maam-plaza-smoke",
    "msti-ped2-standard",
    "mdsf-ped2-standard",
    "local-patterns-plaza-standard",
    "la-net-plaza-bags-standard",
    "la-net-ped2-weak-flow-standard",
    "flow-bag-plaza-bags-standard",
)
TRAINED = {n for n in NAMES if n.startswith(("maam", "msti", "mdsf", "la-net", "local"))}
PED2 = {n for n in NAMES if "ped2" in n}
PLAZA = {n for n in NAMES if "plaza" in n}
BAGS = {n for n in NAMES if "bags" in n or "weak" in n}
FLOW_BAGS = {n for n in BAGS if "videos" not in n}


def having(*parts):
    return {n for n in NAMES if any(part in n for part in parts)}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree") / "vadlib"
    shutil.copytree(ROOT / "vadlib", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def stamps():
    return {name: stamp_of(papers.experiments()[name]) for name in NAMES}


@pytest.fixture(scope="module")
def stale(copy):
    """The names that an edit of the sources would leave stale."""
    patch = pytest.MonkeyPatch()
    patch.setattr(source, "top_of", lambda package: copy / "__init__.py")
    before = stamps()

    def after(file, old, new):
        path = copy / file
        text = path.read_text()
        assert text.count(old) >= 1, f"{file} no longer says {old!r}"
        path.write_text(text.replace(old, new, 1))
        os.utime(path, ns=(0, next(CLOCK)))
        try:
            now = stamps()
        finally:
            path.write_text(text)
            os.utime(path, ns=(0, next(CLOCK)))
        return {name for name in NAMES if now[name] != before[name]}

    yield after
    patch.undo()


EDITS = {
    "labels off by one": (
        ("data/frames.py", "labels[first - 1 : last] = 1", "labels[first:last] = 1"),
        PED2,
    ),
    "nearest-neighbour resizing": (
        ("data/video.py", "cv2.INTER_AREA if shrinks", "cv2.INTER_NEAREST if shrinks"),
        PED2,
    ),
    "Plaza's label rule": (
        ("data/plaza/__init__.py", "np.any(masks, axis=(1, 2))", "np.all(masks, axis=(1, 2))"),
        PLAZA,
    ),
    "test bags = training bags": (
        ("see/weak.py", 'TEST_FROM if split == "test" else 0', "0"),
        having("plaza-bags"),
    ),
    "Ped2's draw": (
        ("see/weak.py", "np.random.default_rng(seed), []", "np.random.default_rng(0), []"),
        having("ped2-weak"),
    ),
    "feature scale": (("see/extract.py", "1000 * STRIPS", "10 * STRIPS"), FLOW_BAGS),
    "testing on the training set": (
        ("lab/run.py", 'exp.load("test", seed)', 'exp.load("train", seed)'),
        set(NAMES),
    ),
    "seed + 7": (
        ("lab/experiment.py", "seed=seed, share=share", "seed=7, share=share"),
        set(NAMES),
    ),
    "a loss": (("papers/maam/network.py", "F.mse_loss", "F.l1_loss"), having("maam")),
    "the memory": (
        ("papers/layers/memory.py", "F.threshold(weights, threshold, 0.0)", "weights"),
        having("maam"),
    ),
    "the training loop": (("lab/train.py", "math.pi * step / total", "0.0"), TRAINED),
    "optical flow": (
        ("see/motion.py", "dis.setFinestScale(0)", "dis.setFinestScale(2)"),
        having("zero-flow", "maam", "msti", "local", "bags", "ped2-weak-flow"),
    ),
    "a rule": (
        ("papers/baselines/rules.py", "heat.mean((1, 2))", "heat.max((1, 2))"),
        having("copy-last"),
    ),
    "how AUC counts ties": (
        ("measure/frames.py", 'np.searchsorted(piece, abnormal, "right")', "0 * abnormal"),
        set(NAMES),
    ),
    "the protocol of bags": (
        ("measure/evaluate.py", "np.array([s.max() for s in frames])", "np.zeros(len(frames))"),
        BAGS,
    ),
}


@pytest.mark.parametrize("edit,expected", EDITS.values(), ids=EDITS.keys())
def test_an_edit_that_changes_numbers_leaves_its_records_stale_and_no_others(stale, edit, expected):
    assert stale(*edit) == expected


SETTINGS = {
    "SIZES": (sets.SIZES, "standard", (96, 144), set(NAMES) - having("smoke", "plaza-bags")),
    "Plaza's counts": (
        sets.PLAZA,
        "standard",
        {"train": (8, 200), "test": (12, 151)},
        having("plaza-standard"),
    ),
    "the size of bags": (
        sets.PLAZA_BAGS,
        "standard",
        {"train": {"count": 100}, "test": {"count": 58}},
        having("plaza-bags"),
    ),
}


@pytest.mark.parametrize("table,key,value,expected", SETTINGS.values(), ids=SETTINGS.keys())
def test_so_does_what_a_profile_asks_of_a_data_set(table, key, value, expected, monkeypatch):
    before = stamps()
    monkeypatch.setitem(table, key, value)
    assert {n for n, now in stamps().items() if now != before[n]} == expected


def test_the_joint_reader_is_one_of_them(monkeypatch):
    before = stamps()
    monkeypatch.setattr(sets, "KINDS", ("motion", "joint"))
    expected = having("plaza-joint", "plaza-kinds")
    assert {n for n, now in stamps().items() if now != before[n]} == expected


@pytest.mark.parametrize(
    "file,old,new",
    [
        ("papers/maam/network.py", '"""What the network returns', '"""What a network returns'),
        ("show/plot.py", "WIDTH = 6.5", "WIDTH = 7"),
        ("press/publish.py", "seconds < 100", "seconds < 90"),
        ("lab/records.py", "def commit() -> str:", "def commit(x=1) -> str:"),
        ("papers/maam/rows.py", "no latent loss", "without the latent loss"),
    ],
)
def test_what_decides_no_number_leaves_no_record_stale(stale, file, old, new):
    assert stale(file, old, new) == set()
