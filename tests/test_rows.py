"""What each row of a table changes of its method, written down a second time; and its record."""

import json
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path

import pytest

from vadlib import papers
from vadlib.lab import records
from vadlib.papers.local_patterns import rows as local_patterns_rows

FREE = {"lambda_m": 0.0}
BARE = {"skip": False, "read": "replace"}
RANDOM, THREE = {"gate": "random"}, {"frames": 3}
# a row's name without its data set and profile -> the fields that differ from its method's
CHANGED = {
    "maam": {},
    "maam-pull": {"latent": "pull"},
    "maam-none": {"latent": "none"},
    "maam-nomemory": {"memory": False},
    "maam-nosparse": {"sparse": "none"},
    "maam-neither": {"sparse": "none", "latent": "none"},
    "maam-alpha3e-3": {"alpha": 0.003},
    "maam-alpha3e-2": {"alpha": 0.03},
    "maam-alpha3e-1": {"alpha": 0.3},
    "maam-app": FREE,
    "maam-app-nomemory": FREE | {"memory": False},
    "maam-app-alpha3e-1": FREE | {"alpha": 0.3},
    "maam-beta1e-2": {"beta": 0.01},
    "maam-beta1": {"beta": 1.0},
    "maam-zeta0": {"zeta": 0.0},
    "maam-zeta5e-1": {"zeta": 0.5},
    "msti": {},
    "msti-nomemory": {"memory": False},
    "msti-concat": {"fusion": "concat"},
    "msti-apart": {"fusion": "none"},
    "msti-appearance": {"motion": False},
    "msti-mnad": {"memory_loss": "mnad", "lambda_s": 0.1, "lambda_c": 0.1},
    "msti-noskip": {"skip": False},
    "msti-bare": BARE,
    "msti-bare-nomemory": BARE | {"memory": False},
    "msti-bare-concat": BARE | {"fusion": "concat"},
    "msti-bare-apart": BARE | {"fusion": "none"},
    "msti-bare-appearance": BARE | {"motion": False},
    "mdsf": {},
    "mdsf-random": RANDOM,
    "mdsf-printed": RANDOM | {"distil": 0.0, "teacher": "random"},
    "mdsf-natural": RANDOM | {"distil": 0.0},
    "mdsf-natural-equal": RANDOM | {"distil": 0.0, "student": 1.0},
    "mdsf-fixed": {"gate": "fixed"},
    "mdsf-oneplus": {"gate": "one_plus_sigmoid"},
    "mdsf-plain": {"amplify": False},
    "mdsf-unguided": {"scales": "unguided"},
    "mdsf-neither": {"amplify": False, "scales": "unguided"},
    "mdsf-single": {"scales": "single"},
    "mdsf-equal": {"student": 1.0},
    "mdsf-mask0": {"mask": 0.0},
    "mdsf-three": THREE,
    "mdsf-three-random": THREE | RANDOM,
    "mdsf-three-fixed": THREE | {"gate": "fixed"},
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_row_changes_what_its_name_says_and_nothing_else(name):
    row = papers.experiments()[f"{name}-ped2-standard"]
    assert row.method.name == name.split("-")[0] and row.seeds == (0, 1, 2)
    whole = row.method.config_of("standard", CHANGED[name])
    assert row.method.config_of("standard", row.config) == whole


MIL = {"lambda_dr": 0.0, "lambda_da": 0.0}
PLAIN = MIL | {"attention": False}
LADDER = {
    "la-net": {},
    "la-net-kl": {"da": "kl"},
    "la-net-mil": MIL,
    "la-net-dr": {"lambda_da": 0.0},
    "la-net-da": {"lambda_dr": 0.0},
    "la-net-da-kl": {"lambda_dr": 0.0, "da": "kl"},
    "la-net-noprior": MIL | {"prior": "none"},
    "la-net-logit": MIL | {"prior": "logit"},
    "la-net-renorm": MIL | {"prior": "renorm"},
    "la-net-blur": MIL | {"prior": "only"},
    "la-net-wide": {"sigma": 16.0, "causal_kernel": 10},
    "mil": PLAIN,
    "sultani": PLAIN | {"causal_kernel": 1, "mil": "ranking"},
}
SOME = ("la-net", "la-net-noprior", "mil", "sultani")
LONG = {"train.epochs": 240}  # Ped2 has six pairs of bags, Plaza sixteen
XD = {"width": 128, "sigma": 6.0, "causal_kernel": 5, "lambda_dr": 2.0}
WEAK = {  # data set and profile -> rows, seeds, numbers a snippet, and what all rows change
    "plaza-bags-smoke": (LADDER, 5, 144, {}),
    "plaza-bags-standard": (LADDER, 5, 144, {}),
    "plaza-bags-effnet-standard": (SOME, 5, 1424, {"features": 1424}),
    "ped2-weak-flow-standard": (LADDER, 10, 144, LONG),
    "ped2-weak-standard": (SOME, 10, 1424, LONG | {"features": 1424}),
    "ped2-weak-brightness-standard": (["mil"], 10, 1, LONG | {"features": 1}),
    "ucf-crime-full": (["la-net"], 3, 1024, {}),
    "xd-violence-full": (["la-net"], 3, 1024, XD),
}


def changed(row):
    """What a row's config says otherwise than its profile: by dotted names."""
    whole = (row.method.config_of(row.profile, how) for how in ({}, row.config))
    own, now = (json.loads(json.dumps(asdict(config))) for config in whole)
    found = {}
    for key in unlike(own, now):
        value = now
        for part in key.split("."):
            value = value[part]
        found[key] = value
    return found


def test_what_git_keeps_is_what_chapters_load():
    lines = (Path(__file__).parents[1] / ".gitignore").read_text(encoding="utf-8").splitlines()
    start = "!data/checkpoints/"
    kept = [x.removeprefix(start) for x in lines if x.startswith(start) and x.endswith(".pt")]
    rows = papers.experiments().values()
    loaded = [f"{exp.name}-s{seed}.pt" for exp in rows for seed in exp.committed]
    assert all(any(fnmatch(name, pattern) for pattern in kept) for name in loaded)
    assert all(any(fnmatch(name, pattern) for name in loaded) for pattern in kept)


@pytest.mark.parametrize("profile", ["smoke", "standard", "long", "full"])
def test_mdsfs_crops_halve_without_remainder(profile):
    config = papers.method("mdsf").config_of(profile)
    assert all(side % 2 ** len(config.widths) == 0 for side in config.crop)


def test_la_nets_rows_are_these_and_each_changes_what_its_name_says():
    rows = {n: e for n, e in papers.experiments().items() if e.method.name == "la-net"}
    wanted = {f"{row}-{place}" for place, (names, *_) in WEAK.items() for row in names}
    assert rows.keys() == wanted
    for place, (names, seeds, features, always) in WEAK.items():
        for name in names:
            row = rows[f"{name}-{place}"]
            assert changed(row) == LADDER[name] | always, row.name
            assert row.seeds == tuple(range(seeds)) and f"{row.data}-{row.profile}" == place
            assert row.method.config_of(row.profile, row.config).features == features


def test_full_la_net_learns_as_its_paper_says():
    """Section 3.2: 50 passes over 128 bags a step, 64 pairs, at 5e-4."""
    for name in ("la-net-ucf-crime-full", "la-net-xd-violence-full"):
        train = papers.experiment(name).config_dict["train"]
        assert (train["epochs"], train["batch_size"], train["lr"]) == (50, 64, 5e-4)
        assert train["schedule"] == "cosine"


PRINTED = {"smooth": 1, "predictor": "smm-paper", "residual": False, "error": "mse", "lag": 0}
RUNGS = {
    "": {},
    "-branch1": {"features": "branch1"},
    "-branch2": {"features": "branch2"},
    "-still": {"lag": 0},
    "-still-branch1": {"lag": 0, "features": "branch1"},
    "-still-random": {"lag": 0, "features": "random"},
    "-frame": {"smooth": 1},
    "-mse": {"error": "mse"},
    "-absolute": {"residual": False},
    "-paper": PRINTED,
    "-last": {"predictor": "last"},
    "-linear": {"predictor": "linear"},
    "-random": {"features": "random"},
    "-effnet": {"features": "effnet"},
    "-velocity": {"predictor": "velocity"},
}
FEATURES = {
    "-space": {"score": "space"},
    "-random-space": {"score": "space", "features": "random"},
    "-random-wide-space": {"score": "space", "features": "random", "itam.queries": 16},
    "-branch1-space": {"score": "space", "features": "branch1"},
    "-branch2-space": {"score": "space", "features": "branch2"},
    "-union": {"score": "union"},
    "-gaussian": {"score": "space", "space": "gaussian"},
    "-union-velocity": {"score": "union", "predictor": "velocity"},
    "-shuffled-space": {"score": "space", "words": "shuffled"},
    "-classes-space": {"score": "space", "itam.targets": "classes"},
    "-effnet-space": {"score": "space", "features": "effnet", "itam.size": 96},
    "-effnet224-space": {"score": "space", "features": "effnet", "itam.size": 224},
    "-merge": {"features": "merge"},
    "-merge-space": {"score": "space", "features": "merge"},
}
EVERYWHERE = [
    "ped2-standard",
    "ped2-full",
    "plaza-smoke",
    "plaza-standard",
    "plaza-full",
    "plaza-joint-standard",
    "plaza-clear-smoke",
    "plaza-clear-standard",
]
ON_KINDS = ["ped2-standard", "plaza-standard", "plaza-kinds-standard", "plaza-clear-standard"]
PATTERNS = {f"{row}-{place}": how for row, how in RUNGS.items() for place in EVERYWHERE}
PATTERNS |= {f"{row}-{place}": how for row, how in FEATURES.items() for place in ON_KINDS}
PATTERNS |= {f"{row}-plaza-kinds-standard": RUNGS[row] for row in ("", *list(RUNGS)[1:3])}
PATTERNS |= {"-random-plaza-kinds-standard": RUNGS["-random"]}


def test_local_patterns_rows_are_these_and_each_changes_what_its_name_says():
    rows = {e.name: e for e in local_patterns_rows.ROWS if e.method.name == "local-patterns"}
    assert rows.keys() == {f"local-patterns{name}" for name in PATTERNS}
    for name, how in PATTERNS.items():
        row = rows[f"local-patterns{name}"]
        if row.profile == "full":  # it is as printed already
            how = {key: value for key, value in how.items() if PRINTED.get(key) != value}
        assert changed(row) == how and name.endswith(f"-{row.data}-{row.profile}"), name
        assert row.seeds == ((0,) if name.startswith("-velocity") else (0, 1, 2)), name


def test_full_local_patterns_are_as_printed_and_learn_for_as_long():
    """Section 4: 20 passes at a rate of 5e-5; the batch is not in the paper."""
    config = papers.experiment("local-patterns-ped2-full").config_dict
    assert {key: config[key] for key in PRINTED} == PRINTED and config["tubes"] == 20_000
    train = config["train"]
    assert (train["epochs"], train["batch_size"], train["lr"]) == (20, 64, 5e-5)
    assert train["schedule"] == "constant" and config["itam"]["train"]["batch_size"] == 120


def unlike(old, now):
    """Fields that both have, and that differ."""
    for key in old.keys() & now.keys():
        if isinstance(old[key], dict) and isinstance(now[key], dict):
            yield from (f"{key}.{inner}" for inner in unlike(old[key], now[key]))
        elif old[key] != now[key]:
            yield key


def test_a_record_was_made_with_the_config_of_its_row():
    """Also of one that is stale by its code; fields that came later than a record are not in it."""
    rows, differ = papers.experiments(), []
    for record in records.read_records():
        row = rows[record["name"]]
        now = json.loads(json.dumps(row.config_dict))
        differ += [f"{record['name']}: {key}" for key in unlike(record["config"], now)]
    assert not differ
