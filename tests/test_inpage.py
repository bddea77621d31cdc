"""A detector in the page: its graph is the network, its runtime is the one that was pinned, and
what Chromium computes is what PyTorch computes."""

import importlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vadlib import papers
from vadlib.data import plaza
from vadlib.errors import VadError
from vadlib.lab.checkpoints import checkpoint_of, load_checkpoint
from vadlib.measure.score import pool, pscd, stride_of
from vadlib.papers.layers.inputs import to_input
from vadlib.papers.maam import graph
from vadlib.papers.maam.detector import MAAM, fuse
from vadlib.papers.maam.network import MAAMNet
from vadlib.press import inpage
from vadlib.see import motion
from vadlib.show import inpage as shown
from vadlib.show.pictures import Page

ROOT = Path(__file__).parent.parent
EDGE = 4 * np.finfo(np.float32).eps
USUAL = (1.0, 2.0)


@pytest.fixture(scope="module")
def model():
    made = MAAM(papers.method("maam").config_of("standard"), "cpu")
    load_checkpoint(checkpoint_of(inpage.NETWORK, 0), made)
    made.net.eval()
    return made


@pytest.fixture(scope="module")
def frames():
    return plaza.videos("test", count=1, length=40, size=(128, 192), level="clear")[0].frames[:24]


@pytest.fixture(scope="module")
def clip(model, frames):
    """Four frames that lie on no edge, and what PyTorch makes of them."""
    flow = shown.in_steps([motion.compute(a, b) for a, b in zip(frames, frames[1:], strict=False)])
    with torch.no_grad():
        far = graph.margin(model.net, model.net(inputs(frames)).z).numpy()
    at = np.flatnonzero(far[:-1] > EDGE)[:4]
    with torch.no_grad():
        out = model.net(inputs(frames[at]))
    errors = (
        (inputs(frames[at]) - out.frame).square().sum(1),
        (torch.from_numpy(flow[at]).permute(0, 3, 1, 2) - out.flow).abs().sum(1),
    )
    scores = pool(fuse(*(pscd(e, model.config.patch) for e in errors), model.psi)).numpy()
    outputs = out.frame.numpy(), out.flow.numpy()
    return shown.Clip(frames[at], flow[at], at % 2, at, *outputs, scores, np.zeros(len(at), bool))


def inputs(frames):
    return to_input(torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2), 3)


# -------------------------------------------------------------------------------------- the graph


def test_the_graph_addresses_as_the_memory_does_also_where_nothing_is_selected():
    torch.manual_seed(0)
    net = MAAMNet(memory_items=6, width=2).eval()
    queries = torch.randn(50, 16)
    made = graph.Graph(net)
    assert torch.equal(made.address(queries), net.memory.address(queries))
    net.memory.threshold = 0.2  # above many of the largest weights: these rows come out empty
    got, wanted = made.address(queries), net.memory.address(queries)
    alone = (wanted > 0).sum(1) == 1
    assert 5 < alone.sum() < 50 and torch.equal(got, wanted)


def test_the_graph_is_the_network(model, frames):
    raw = torch.from_numpy(frames[:1].copy()).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        painted, flow = graph.Graph(model.net)(raw)
        out = model.net(inputs(frames[:1]))
    assert torch.equal(painted, out.frame) and torch.equal(flow, out.flow)


def test_onnx_computes_what_pytorch_computes(model, frames):
    """To 1e-4 on every frame where no rounding decides what the memory keeps: nearly all."""
    runtime = pytest.importorskip("onnxruntime")
    file = inpage.network()
    assert 5e5 < len(file) < 1e6
    session, sure = runtime.InferenceSession(file), 0
    for frame in frames:
        given = np.array(frame.transpose(2, 0, 1)[None], np.float32)
        painted, flow = session.run(None, {"frame": given})
        with torch.no_grad():
            out = model.net(inputs(frame[None]))
            far = graph.margin(model.net, out.z).item()
        if far > EDGE:
            sure += 1
            assert np.abs(painted - out.frame.numpy()).max() < 1e-4
            assert np.abs(flow - out.flow.numpy()).max() < 1e-4
    assert sure > len(frames) / 2


def test_margin_by_hand():
    net = MAAMNet(memory_items=2, width=1)
    net.memory.items.data = torch.eye(8)[:2]
    z = torch.zeros(2, 8, 1, 2)
    z[0, 0] = 1.0  # cosines 1 and 0
    z[1, :2, 0, 0] = 1.0  # one position between both items, where the weights are 1/2, the cut
    z[1, 0, 0, 1] = 1.0
    far = graph.margin(net, z)
    assert far[0].item() == pytest.approx((np.e - 1) / (np.e + 1), rel=1e-5)
    assert far[1].item() == pytest.approx(0, abs=1e-6)


def test_a_network_without_the_papers_memory_has_no_graph():
    with pytest.raises(VadError, match="no graph"):
        graph.Graph(MAAMNet(memory_items=0, width=2))
    with pytest.raises(VadError, match="no cut"):
        graph.margin(MAAMNet(memory_items=0, width=2), torch.zeros(1, 16, 1, 1))


# ------------------------------------------------------------------------------------ the runtime


def npm_that(folder, monkeypatch, script):
    """A program named npm, and nothing else to be found by that name."""
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(inpage.shutil, "which", lambda name: str(program))


def test_without_npm_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(inpage.shutil, "which", lambda name: None)
    assert inpage.write(tmp_path / "ort", tmp_path / "npm") == "npm is not on this machine"
    assert not list(tmp_path.iterdir())


def test_where_npm_fails_its_first_words_are_passed_on(tmp_path, monkeypatch):
    npm_that(tmp_path, monkeypatch, "echo 'no such host' >&2; exit 1")
    said = inpage.write(tmp_path / "ort", tmp_path / "cache")
    assert "could not fetch" in said and "no such host" in said
    assert not (tmp_path / "ort").exists() and not list((tmp_path / "cache").iterdir())


def test_another_package_than_the_pinned_one_is_refused(tmp_path, monkeypatch):
    name = inpage.PACKAGE.replace("@", "-") + ".tgz"
    npm_that(tmp_path, monkeypatch, f"echo something else > {name}")
    with pytest.raises(VadError, match="as it was pinned"):
        inpage.write(tmp_path / "ort", tmp_path / "cache")
    assert not (tmp_path / "ort").exists()


def test_only_a_page_with_a_runtime_carries_the_script(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    head = importlib.import_module("head")
    for name in ("moving.js", "inpage.js"):
        shutil.copy(ROOT / "book" / "_static" / name, tmp_path)
    assert "InferenceSession" not in head.scripts(tmp_path, True)
    (tmp_path / "ort").mkdir()
    (tmp_path / "ort" / "a").write_bytes(bytes(7_600_000))
    assert 'MEGABYTES = "8"' in head.scripts(tmp_path, True)
    assert "InferenceSession" not in head.scripts(tmp_path, False)


# --------------------------------------------------------------------------------------- the page


def test_a_clip_whose_parts_do_not_fit_is_refused(clip):
    parts = dict(vars(clip))
    with pytest.raises(VadError, match="scores"):
        shown.Clip(**parts | {"scores": clip.scores[1:]})
    with pytest.raises(VadError, match="cannot hold"):
        shown.Clip(**parts | {"flow": clip.flow + 0.01})
    assert np.array_equal(shown.in_steps([0.02, -0.04, 1.0]), np.float32([1, -1, 32]) / 32)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the scripts, the real runtime and the network."""
    package, why = inpage.fetch(ROOT / "_build" / "npm")
    if package is None:
        pytest.skip(f"no runtime: {why}")
    root = tmp_path_factory.mktemp("site")
    static = root / "_static"
    (static / "ort").mkdir(parents=True)
    for name in ("moving.js", "inpage.js"):
        shutil.copy(ROOT / "book" / "_static" / name, static)
    inpage.unpack(package, static / "ort")
    (static / "ort" / "maam.onnx").write_bytes(inpage.network())
    return root


@pytest.fixture
def opened(chromium, served, site, clip, model, monkeypatch):
    """Opens a page with the clip; at the end, nothing may have been asked of any other address."""
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    script = importlib.import_module("head").scripts(site / "_static", True)
    config, address, asked, pages = model.config, served(site), [], []

    def open_(edit=lambda text: text, scripts=True):
        film = Page('<figure><b class="film">film</b><figcaption>A film</figcaption></figure>', "")
        stride = stride_of(config.patch)
        figure = shown.inpage(film, clip, model.psi, config.patch, stride, USUAL).html
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><style>[hidden]{display:none}'
        text = f'{head}</style>{figure}<script type="module">{script}</script>'
        (site / "page.html").write_text(edit(text), encoding="utf-8")
        pages.append(chromium.new_page(java_script_enabled=scripts))
        pages[-1].on("request", lambda r: asked.append(r.url))
        pages[-1].goto(f"{address}page.html")
        return pages[-1]

    yield open_
    for page in pages:
        page.close()
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]


def caption(page):
    return page.locator("figure.vad-inpage > figcaption").inner_text()


def loaded(page):
    page.locator("button").press("Enter")
    page.wait_for_selector("[name=frame]:focus", timeout=120_000)
    return page


def test_chromium_computes_what_pytorch_computes(opened, clip):
    """Every number of both outputs, and the score; by keyboard alone."""
    page = loaded(opened())
    made = page.evaluate(
        "() => document.querySelector('figure.vad-inpage').detector.looks"
        ".map(l => [Array.from(l.painted), Array.from(l.flow), l.score])"
    )
    assert len(made) == len(clip.frames) == 4
    for (painted, flow, score), p, f, s in zip(
        made, clip.painted, clip.expected, clip.scores, strict=True
    ):
        assert np.abs(np.array(painted) - p.ravel()).max() < 1e-4
        assert np.abs(np.array(flow) - f.ravel()).max() < 1e-4
        assert score == pytest.approx(s, rel=1e-4)
    first = caption(page)
    said = float(re.search(r"score ([\d.]+) here", first)[1])
    assert said == pytest.approx(clip.scores[0], rel=1e-4) and "Checked" not in first
    assert "Checked: on 4 frames" in page.locator(".vad-checked").inner_text()
    page.locator("[name=frame]").press("ArrowRight")
    assert caption(page) != first and f"Frame {clip.index[1]}," in caption(page)
    assert not page.locator(".film").is_visible()


def test_a_picture_of_the_readers_is_scored_by_appearance(opened, clip, model, tmp_path):
    Image.fromarray(clip.frames[0]).save(tmp_path / "mine.png")
    error = (inputs(clip.frames[:1]) - torch.from_numpy(clip.painted[:1])).square().sum(1)
    app = pool(pscd(error, model.config.patch)).item()
    page = loaded(opened())
    page.locator("[name=picture]").set_input_files(tmp_path / "mine.png")
    page.wait_for_function("document.querySelector('.vad-said').textContent.startsWith('Your p')")
    found = float(re.search(r"worst patch scores ([\d.]+)", caption(page))[1])
    assert found == pytest.approx(app, abs=0.06) and "above the 1.0 to 2.0" in caption(page)
    page.locator(".vad-dials > button").press("Enter")  # Chromium's own moving test picture
    page.wait_for_function("document.querySelector('.vad-said').textContent.startsWith('Your f')")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page.locator("[name=picture]").set_input_files(tmp_path / "broken.png")
    page.wait_for_function("document.querySelector('.vad-said').textContent.startsWith('No p')")


def test_other_numbers_than_pytorchs_are_not_shown(opened, clip):
    """Here the page expects something else than the network says: it says so, and the film stays"""
    other = shown._packed(np.zeros((4, 321), "<f4"))
    page = opened(lambda text: re.sub(r'"outputs":"[^"]*"', f'"outputs":"{other}"', text))
    page.locator("button").click()
    page.wait_for_function("document.querySelector('.vad-said').textContent.startsWith('It did')")
    assert "away from PyTorch's" in caption(page)
    assert page.locator(".film").is_visible() and page.locator("button").is_enabled()


def test_where_a_file_is_missing_the_film_stays(opened):
    page = opened(lambda text: text.replace('"maam.onnx"', '"missing.onnx"'))
    page.locator("button").click()
    page.wait_for_function("document.querySelector('.vad-said').textContent.startsWith('It did')")
    assert page.locator(".film").is_visible()


def test_without_scripts_and_from_a_file_the_film_stands_and_says_so(chromium, opened, site):
    page = opened(scripts=False)
    assert page.locator(".film").is_visible() and caption(page) == shown.STANDS
    offline = chromium.new_page()
    offline.goto((site / "page.html").as_uri())
    assert offline.locator(".film").is_visible() and "opened from a file" in caption(offline)
    assert not offline.locator("button").count()
    offline.close()
