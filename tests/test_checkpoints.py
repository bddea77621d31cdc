"""What a checkpoint may hold: the state of its detector, and nothing else; not a bit flipped."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_local_patterns import TINY as LOCAL

from vadlib import papers
from vadlib.detector import History
from vadlib.errors import VadError
from vadlib.lab import checkpoints
from vadlib.lab import train as training
from vadlib.lab.experiment import TrainConfig

# the smallest config of each trained method
TINY = {
    "maam": {"width": 2, "items": 5, "patch": (6, 6)},
    "msti": {"width": 2, "items": 3, "patch": (6, 6)},
    "mdsf": {"widths": (4, 4), "crop": (16, 16), "patch": (6, 6), "reduction": 4},
    "la-net": {"features": 6, "width": 8, "heads": 2, "widths": (4, 3)},
}


def tiny(name):
    method = papers.method(name)
    config = replace(method.config(), **TINY[name], train=TrainConfig(epochs=1, batch_size=2))
    return method.make(config=config, device="cpu")


def content_of(name):
    history = {"seconds": 1.0, "samples": 2, "steps": [0], "terms": {"total": [0.5]}}
    made = {"experiment": "x", "stamp": "s", "data_sha": "", "history": history}
    return {"state": copy.deepcopy(tiny(name).state())} | made


@pytest.mark.parametrize("name", TINY)
def test_what_was_saved_is_what_is_loaded(tmp_path, name):
    model, path = tiny(name), tmp_path / "a.pt"
    checkpoints.save_checkpoint(path, model, "x", "s", "", History())
    again = checkpoints.from_checkpoint(papers.method(name), path, "cpu")
    assert again.config == model.config
    pairs = zip(model.net.state_dict().items(), again.net.state_dict().items(), strict=True)
    assert all(a == b and x.equal(y) for (a, x), (b, y) in pairs)


def at(*keys, **change):
    """An edit of the part of a checkpoint that the keys lead to."""

    def edit(content):
        for key in keys:
            content = content[key]
        content.update(change)

    return edit


def gone(*keys):
    """An edit that takes out what the keys lead to."""

    def edit(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return edit


CONFIG = ("state", "config")
EDITS = {
    "state a tensor": at(state=torch.zeros(3)),
    "state a list": at(state=[1]),
    "state none": at(state=None),
    "state an int": at(state=3),
    "no state": gone("state"),
    "no stamp": gone("stamp"),
    "no history": gone("history"),
    "experiment a number": at(experiment=3),
    "an unknown field": at(surprise=1),
    "history a list": at(history=[]),
    "history without terms": gone("history", "terms"),
    "history of text": at("history", steps=["a"]),
    "history of NaN": at("history", seconds=math.nan),
    "seconds below zero": at("history", seconds=-1.0),
    "no net": gone("state", "net"),
    "net a list": at("state", net=[]),
    "net none": at("state", net=None),
    "net of text": at("state", "net", another="x"),
    "another entry": at("state", another=1),
    "balance missing": gone("state", "balanced_psi"),
    "balance text": at("state", balanced_psi="0.5"),
    "balance none": at("state", balanced_psi=None),
    "balance NaN": at("state", balanced_psi=math.nan),
    "no config": gone(*CONFIG),
    "config a list": at("state", config=[]),
    "config none": at("state", config=None),
    "config of tensors": at(*CONFIG, width=torch.ones(1)),
    "unknown field": at(*CONFIG, depth=4),
    "missing field": gone(*CONFIG, "patch"),
    "width text": at(*CONFIG, width="8"),
    "width a fraction": at(*CONFIG, width=2.5),
    "width zero": at(*CONFIG, width=0),
    "width another": at(*CONFIG, width=3),
    "items negative": at(*CONFIG, items=-5),
    "items none": at(*CONFIG, items=None),
    "dropout NaN": at(*CONFIG, dropout=math.nan),
    "dropout 2": at(*CONFIG, dropout=2.0),
    "memory a number": at(*CONFIG, memory=1),
    "no such choice": at(*CONFIG, latent="push"),
    "patch of one": at(*CONFIG, patch=(6,)),
    "patch of text": at(*CONFIG, patch=("6", "6")),
    "train none": at(*CONFIG, train=None),
    "train another": at(*CONFIG, "train", momentum=0.9),
    "epochs infinite": at(*CONFIG, "train", epochs=math.inf),
    "train missing": gone(*CONFIG, "train"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_another_form_is_refused_with_the_file_and_the_remedy(tmp_path, edit):
    path, content = tmp_path / "a.pt", content_of("maam")
    edit(content)
    training.write(path, content)
    with pytest.raises(VadError, match="a.pt") as error:
        checkpoints.from_checkpoint(papers.method("maam"), path, "cpu")
    assert "Delete it" in str(error.value) or "vadlib fit maam" in str(error.value)


@pytest.mark.parametrize("content", [None, 3, [1], torch.zeros(2), "x"], ids=str)
def test_what_is_no_dict_is_refused(tmp_path, content):
    training.write(tmp_path / "a.pt", content)
    with pytest.raises(VadError, match="a.pt is not a checkpoint"):
        checkpoints.read_checkpoint(tmp_path / "a.pt")


def test_nan_in_the_weights_is_refused(tmp_path):
    path, content = tmp_path / "a.pt", content_of("maam")
    next(iter(content["state"]["net"].values()))[0] = math.nan
    training.write(path, content)
    with pytest.raises(VadError, match="holds NaN"):
        checkpoints.from_checkpoint(papers.method("maam"), path, "cpu")


def tensors(content):
    """All tensors of floats in a state that hold any, however deep."""
    if isinstance(content, torch.Tensor):
        return [content] if content.numel() and content.is_floating_point() else []
    parts = content.values() if isinstance(content, dict) else content
    known = isinstance(content, dict | list | tuple)
    return [found for part in parts for found in tensors(part)] if known else []


NONE = [(name, value) for name in (*TINY, "local-patterns") for value in (math.nan, -math.inf)]


@pytest.mark.parametrize("name, value", [*NONE, ("maam", 1e5)])
def test_numbers_that_are_none_are_refused_wherever_they_stand(tmp_path, monkeypatch, name, value):
    """Local Patterns would answer them with scores. In 16 bits 100,000 is infinite."""
    if name == "local-patterns":
        model = papers.method(name).make(config=LOCAL, device="cpu")
    else:
        model = tiny(name)
    whole = model.state()
    for place in (0, -1):
        path, state = tmp_path / f"{place}.pt", copy.deepcopy(whole)
        tensors(state)[place][..., -1] = value
        monkeypatch.setattr(model, "state", lambda state=state: state)
        checkpoints.save_checkpoint(path, model, "x", "s", "", History(), half=value == 1e5)
        with pytest.raises(VadError, match=f"{path.name} .*holds NaN or infinity"):
            checkpoints.from_checkpoint(papers.method(name), path, "cpu")


@pytest.mark.parametrize("name", sorted(set(TINY) - {"maam"}))
def test_a_checkpoint_of_another_method_is_refused(tmp_path, name):
    path = tmp_path / "a.pt"
    training.write(path, content_of(name))
    with pytest.raises(VadError, match="a.pt: config of maam: .*`vadlib fit maam`"):
        checkpoints.from_checkpoint(papers.method("maam"), path, "cpu")


def test_flipped_bits_are_noticed_or_change_nothing(tmp_path):
    path, content = tmp_path / "a.pt", content_of("maam")
    training.write(path, content)
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    weights = next(iter(content["state"]["net"].values()))
    data = whole.index(weights.numpy().tobytes())
    for place in [data, data + 1, *rng.integers(len(whole), size=60)]:
        bits = bytearray(whole)
        bits[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bits)
        try:
            found = checkpoints.read_checkpoint(path)
        except VadError as error:
            assert "a.pt" in str(error)
            refused += 1
            continue
        assert place not in (data, data + 1)
        for key, value in content["state"]["net"].items():  # it was in the zip's padding
            assert value.equal(found["state"]["net"][key])
        assert found["state"]["config"] == content["state"]["config"]
    assert refused > 30


def test_code_in_a_checkpoint_does_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"state": Trap()}, tmp_path / "a.pt")
    with pytest.raises(VadError, match="a.pt is not a readable checkpoint"):
        checkpoints.read_checkpoint(tmp_path / "a.pt")
    assert not (tmp_path / "ran").exists()
