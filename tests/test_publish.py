"""The runner on tiny notebooks: executed, cached, merged, and clear when something is wrong."""

import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from vadlib.errors import VadError
from vadlib.press import inpage, pages, publish, runner

ROOT = Path(__file__).parent.parent
API = (ROOT / "book" / "api.md").read_text()
V4 = nbformat.v4
HEAD = ('PROFILE = "smoke"\nSEED = 0\nDEVICE = "auto"', {"tags": ["parameters"]})


def write(path, cells):
    """A notebook from (id, source, metadata) of code cells, and (id, source) of Markdown cells."""
    made = [
        V4.new_code_cell(cell[1], id=cell[0], metadata=cell[2])
        if len(cell) == 3
        else V4.new_markdown_cell(cell[1], id=cell[0])
        for cell in cells
    ]
    nbformat.write(V4.new_notebook(cells=made), path)


@pytest.fixture
def book(tmp_path):
    """A book of one chapter, in a repository of its own."""
    (tmp_path / "book").mkdir()
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: 01_tiny\n")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in ("_ext", "_static"):
        shutil.copytree(ROOT / "book" / folder, tmp_path / "book" / folder)
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    chapter(tmp_path)
    return tmp_path


# A figure and an equation with numbers, and what refers to them.
NUMBERED = """$$x = 1$$ (eq-one)

$$x = 2$$ (eq-two)

:::{figure} _static/favicon.svg
:name: fig-one
A mark.
:::

See {numref}`fig-one` and {eq}`eq-two`."""


def chapter(root, prose="Old prose.", code="print(PROFILE, SEED, 6 * 7)"):
    title = "# Tiny\n\n[![Open in Colab](badge.svg)](@COLAB@/01_tiny.ipynb)"
    cells = [("title", title), ("parameters", *HEAD), ("said", prose), ("answer", code, {})]
    write(root / "book" / "01_tiny.ipynb", cells)


def run(root, *arguments):
    return publish.main(["--root", str(root), *arguments])


def test_a_book_is_executed_built_and_cached(book, capfd):
    assert run(book, "--set", "SEED=3") == 0
    page = (book / "_build/html/01_tiny.html").read_text()
    assert "smoke 3 42" in page and "<title>1 · Tiny" in page
    assert "SEED" in page and "Parameters" not in page, "the parameters cell shows the values used"
    assert "Open in Colab" not in page, "no dead button while the address is not known"
    assert (book / "_build/html/notebooks/01_tiny.ipynb").exists()
    first = capfd.readouterr()
    assert re.search(r"\[1/1\] 01_tiny +done in \d+ s, 2 cells, peak \d+ MB", first.out)
    assert first.out.rstrip().endswith("_build/html/index.html")
    assert first.err == ""

    chapter(book, prose="Is this new prose?\n\n" + NUMBERED)
    assert run(book, "--set", "SEED=3") == 0
    assert "unchanged, not run again" in capfd.readouterr().out
    page = (book / "_build/html/01_tiny.html").read_text()
    assert "Is this new prose?" in page and "smoke 3 42" in page
    assert '<meta name="description" content="Is this new prose?" />' in page
    for number in ("Fig. 1.1 ", ">(1.1)<", ">(1.2)<", ">Fig. 1.1<", ">Eq. 1.2<"):
        assert number in page, "figures and equations are counted by chapter"


def test_a_page_that_heeds_no_parameter_is_executed_once_for_all(book, capfd):
    chapter(book, code="print(SEED, 6 * 7)")
    assert run(book, "--set", "SEED=3") == 0
    assert run(book, "--set", "SEED=4") == 0
    assert "unchanged" not in capfd.readouterr().out, "it heeds the seed"
    assert run(book, "--set", "SEED=4", "--set", "PROFILE=standard") == 0
    assert "unchanged, not run again" in capfd.readouterr().out, "and not the profile"
    page = (book / "_build/html/01_tiny.html").read_text()
    assert "4 42" in page and "standard" in page and "smoke" not in page.partition("4 42")[0]


def test_without_npm_the_book_is_built_and_says_what_stands_in_its_place(book, capfd, monkeypatch):
    """The page with a detector is built all the same: with its film, and without the script."""
    show = "from IPython.display import HTML\n\n"
    show += """HTML('<figure class="vad-move vad-inpage"><b>film</b></figure>')"""
    cells = [("title", "# In the page"), ("p", *HEAD), ("said", "Words."), ("show", show, {})]
    write(book / "book" / "in_your_browser.ipynb", cells)
    (book / "_toc.yml").write_text("format: jb-book\nroot: in_your_browser\n")
    monkeypatch.setattr(inpage.shutil, "which", lambda name: None)
    assert run(book) == 0
    said = capfd.readouterr().out
    assert "A film stands in place of the detector in in_your_browser: npm is not on" in said
    page = (book / "_build/html/in_your_browser.html").read_text()
    assert "<b>film</b>" in page and "InferenceSession" not in page
    assert not (book / "_build/html/_static/ort").exists()


def test_chapters_count_for_themselves_and_other_pages_without_a_number(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    counting = importlib.import_module("counting")
    numbers = {"figure": {"late": (9,), "early": (7,)}, "displaymath": {"one": (4,)}}
    found = {"figure": {"early": (7, 1), "late": (7, 2)}, "displaymath": {"one": (7, 1)}}
    assert counting.by_chapter("07_maam_net", numbers) == found
    assert counting.by_chapter("api", {"figure": {"house": (31,)}}) == {"figure": {"house": (1,)}}


def test_only_a_change_that_can_matter_runs_a_chapter_again(book, capfd):
    def again():
        assert run(book, "--no-html") == 0
        return "done in" in capfd.readouterr().out

    (book / "vadlib").mkdir()
    (book / "vadlib" / "part.py").write_text('"""Old words."""\nX = 1\n')
    assert again()
    (book / "vadlib" / "part.py").write_text('"""New words."""\n\nX = 1  # one\n')
    assert not again(), "comments and docstrings change no result"
    (book / "vadlib" / "part.py").write_text("X = 2\n")
    assert again(), "the library changed"
    (book / "data" / "results").mkdir(parents=True)
    (book / "data" / "results" / "row.json").write_text("{}")
    assert again(), "a record changed"
    chapter(book, code="print(7 * 6)")
    assert again(), "a code cell changed"
    assert not again()
    assert run(book, "--no-html", "--fresh") == 0
    assert "done in" in capfd.readouterr().out


def test_a_failing_cell_is_shown_and_the_rest_is_tried(book, capfd):
    write(book / "book" / "02_bad.ipynb", [("p", *HEAD), ("boom", "wrong = 1 / 0", {})])
    toc = "format: jb-book\nroot: 02_bad\nchapters:\n- file: 01_tiny\n"
    (book / "_toc.yml").write_text(toc)
    assert run(book) == 1
    said = capfd.readouterr().out
    assert "02_bad: cell `boom` failed" in said
    assert "wrong = 1 / 0" in said and "ZeroDivisionError: division by zero" in said
    assert re.search(r"01_tiny +done", said), "the other chapter was tried"
    assert "1 of 2 chapters failed: 02_bad" in said
    assert not (book / "_build/html").exists()


def test_a_figure_that_is_promised_must_be_shown(book, capfd):
    cells = [("p", *HEAD), ("fig", "x = 1", {"mystnb": {"image": {"alt": "A line"}}})]
    write(book / "book" / "01_tiny.ipynb", cells)
    assert run(book, "--no-html") == 1
    said = capfd.readouterr().out
    assert "cell `fig` failed" in said and "promise a figure" in said


def test_a_kernel_that_dies_is_reported_with_its_cell(book, capfd):
    chapter(book, code="import os; os._exit(9)")
    assert run(book, "--no-html") == 1
    said = capfd.readouterr().out
    assert "cell `answer` failed" in said and "kernel died" in said


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--set", "FOO=1"], "FOO"),
        (["--set", "PROFILE=smoek"], "smoek"),
        (["--set", "SEED=-1"], "not '-1'"),
        (["--set", "DEVICE=gpu"], "gpu"),
        (["--only", "99_none"], "99_none"),
    ],
)
def test_mistakes_of_the_caller_end_with_two(book, capsys, arguments, named):
    assert run(book, *arguments) == 2
    said = capsys.readouterr().err
    assert named in said and said.count("\n") == 1


def test_a_chapter_that_lacks_a_parameter_is_refused(book, capsys):
    cells = [("p", 'PROFILE = "smoke"', {"tags": ["parameters"]}), ("x", "1", {})]
    write(book / "book" / "01_tiny.ipynb", cells)
    assert run(book, "--no-html") == 2
    assert "no parameter DEVICE, SEED" in capsys.readouterr().err


def test_the_toc_may_not_name_a_missing_file(book, capsys):
    (book / "book" / "01_tiny.ipynb").unlink()
    assert run(book) == 2
    assert "_toc.yml names 01_tiny" in capsys.readouterr().err


def test_a_broken_reference_fails_the_build(book, capfd):
    chapter(book, prose="See {ref}`nowhere`.")
    assert run(book) == 1
    said = capfd.readouterr().out
    assert "nowhere" in said and "The build failed" in said


def test_progress_bars_and_widgets_do_not_reach_the_page():
    bar = V4.new_output("stream", name="stderr", text=" 50%|#####    | 1/2\r100%|#########| 2/2\n")
    widget = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "HBox()"}
    slider = widget | {"text/html": "<b>works</b>"}
    kept = runner.tidy(
        [
            bar,
            V4.new_output("display_data", data=widget),
            V4.new_output("display_data", data=slider),
            V4.new_output("stream", name="stdout", text="98% of frames\n"),
        ]
    )
    assert [output.get("text") for output in kept] == [None, "98% of frames\n"]
    assert list(kept[0].data) == ["text/plain", "text/html"]


def test_addresses_are_filled_in_once_they_are_known():
    text = "[![C](b.svg)](@COLAB@/07.ipynb) git+@REPOSITORY@"
    known = pages.fill(text, "https://github.com/someone/vad")
    colab = "https://colab.research.google.com/github/someone/vad/blob/gh-pages/notebooks/07.ipynb"
    assert known == f"[![C](b.svg)]({colab}) git+https://github.com/someone/vad"
    assert "[![C]" not in pages.fill(text, "https://github.com/OWNER/REPOSITORY")


def test_pictures_of_pages_lose_bytes_and_no_pixel(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (9, 7, 3), dtype=np.uint8).repeat(20, 0)
    (tmp_path / "_images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "_images" / "a-1.png")
    (tmp_path / "page.html").write_text('<img src="_images/a-1.png"> <img src="_images/b.png">')
    before = (tmp_path / "_images" / "a-1.png").stat().st_size
    pages.slim(tmp_path)
    said = '<img src="_images/a-1.webp"> <img src="_images/b.png">'
    assert (tmp_path / "page.html").read_text() == said
    (made,) = (tmp_path / "_images").iterdir()
    assert made.name == "a-1.webp" and made.stat().st_size < before
    assert np.array_equal(np.array(Image.open(made)), pixels)


def test_stale_records_are_not_published(book, capsys, monkeypatch):
    found = [{"name": "old", "stale": True}, {"name": "new", "stale": False}]
    monkeypatch.setattr(publish, "records", lambda known, folder=None: found)
    assert run(book, "--strict-records", "--set", "PROFILE=standard", "--no-html") == 2
    said = capsys.readouterr().err
    assert "stale records: old" in said and "reproduce" in said
    found.pop(0)
    assert run(book, "--strict-records", "--set", "PROFILE=standard", "--no-html") == 0


def test_times_are_recorded_for_the_at_a_glance_boxes(book):
    (book / "data" / "results").mkdir(parents=True)
    assert run(book, "--no-html", "--record-times") == 0
    times = json.loads((book / "data/results/chapters.json").read_text())
    assert times["01_tiny"]["smoke"]["seconds"] > 0


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not on this machine")
def test_make_refuses_a_misspelt_setting():
    done = subprocess.run(
        ["make", "-C", str(ROOT), "book", "PROFIL=full"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "unknown setting PROFIL=full" in done.stderr


def test_the_command_line_is_the_function():
    command = [sys.executable, "-m", "vadlib.press.publish", "--set", "FOO=1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and "unknown parameter FOO" in done.stderr


def test_time_left_says_what_was_never_timed():
    expected = {"a": 30.0, "b": 12.0}
    assert publish.time_left([], expected) == ""
    assert publish.time_left(["a", "b"], expected) == ", at most 42 s left"
    both = publish.time_left(["a", "c", "d"], expected)
    assert both == ", at most 30 s left and 2 chapters never timed"


def test_unknown_parameters_are_compared_with_the_cell(book):
    path = book / "book" / "01_tiny.ipynb"
    with pytest.raises(VadError, match="no parameter SPEED"):
        runner.check_parameters(runner.read(path), path, {"SPEED": 1})


def shown(module):
    """(name, object, its class) of what `automodule` lists: a module's own names, their methods."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        yield name, value, None
        for method, body in vars(value).items() if inspect.isclass(value) else ():
            if not method.startswith("_") and (inspect.isfunction(body) or type(body) is property):
                yield f"{name}.{method}", body, value


@pytest.mark.parametrize("page", re.findall(r"automodule:: (\S+)", API))
def test_the_library_page_shows_docstrings_of_our_own(page):
    """An inherited one is shown too, and torch's are no MyST: they end a `-W` build."""
    module = importlib.import_module(page)
    assert inspect.getdoc(module), f"{page} has no docstring"
    for name, value, owner in shown(module):
        bases = owner.__mro__ if owner else ()
        last = name.split(".")[-1]
        said = [value, *(vars(b)[last] for b in bases if last in vars(b))]
        source = next((s for s in said if s.__doc__), None)
        assert source, f"{page}.{name} has no docstring"
        where = source.fget.__module__ if isinstance(source, property) else source.__module__
        assert where.startswith("vadlib"), f"{page}.{name} would show the docstring of {where}"
