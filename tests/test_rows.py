"""What each row of a table changes of its method, written down a second time; and its record."""

import json

import pytest

from vadlib import papers
from vadlib.lab import records

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
