"""What the stamp of a number covers: on small packages that are read, never imported."""

import io
import itertools
import os
import shutil
import tokenize
from pathlib import Path

import pytest

from vadlib.errors import VadError
from vadlib.lab import source, stamp

HOUSE = Path(__file__).parents[1]
CLOCK = itertools.count(1)
FILES = {
    "__init__.py": "",
    "model.py": """
from toy import motion
from toy.layers import Base, Memory, mark
import toy.maths as m
from toy.names import PATCH, Width
SCALE = 3
UNUSED = 4
class Model(Base):
    @mark
    def fit(self, width: Width, patch=PATCH):
        from toy.lazy import slow
        return Memory(SCALE), motion.flow(width), m.deep.half(2), slow()
""",
    "layers.py": """
import numpy as np
from toy.maths import norm
EPS = 1
class Base: pass
def mark(f): return f
class Memory:
    def read(self, *args):
        kept = [kept for kept in args]
        return norm(self) + EPS + len(kept)
class Other:
    def read(self): return spare(self)
def spare(x): return np.abs(x)
""",
    "maths/__init__.py": "from .deep import half as halve\nfrom toy.maths.deep import norm\n",
    "maths/deep.py": """
def norm(x): return root(x)
def root(x): return x
def half(x): return x / 2
""",
    "motion.py": """
import cv2
TABLE = {}
TABLE["a"] = 1
def flow(x): return x
def film(x): return x
""",
    "lazy.py": "def slow(): return 1\ndef never(): return 2\n",
    "names.py": "PATCH, STEP = 5, 6\nWidth = int\nHEIGHT = 7\n",
    "marked.py": (
        "from toy.layers import mark as label\nfrom toy import names\n"
        "@label\n@names.Width(2)\ndef run(): return 1\n"
        "@label\nclass Run: pass\n"
    ),
    "escape.py": "from toy import motion\ndef run(name): return getattr(motion, name)\n",
    "star.py": "from toy.motion import *\ndef run(): return flow(1)\n",
    "own.py": "def run(name): return globals()[name]()\ndef hidden(): return 1\n",
    "local.py": """
from toy.lazy import slow, never
from toy import motion
def mine(x, slow=slow(), *, k=lambda motion: motion): return [x for x in (y := slow)], motion.flow
def ours():
    global never
    never = 1
    def inner(x): return [x for x in never]
    return inner
""",
    "branch.py": (
        "try:\n    from toy.lazy import slow as f\nexcept ImportError:\n    f = None\n"
        "def run(): return f()\n"
    ),
    "api.py": "from toy.layers import Memory, Other\n",
    "user.py": "from toy.api import Memory\ndef run(): return Memory()\n",
}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A package on disk; call it with a root, and what to replace in which file, for a stamp."""
    monkeypatch.syspath_prepend(tmp_path)
    source.top_of.cache_clear()  # every test has its own

    def stamped(root="toy.model", file=None, old="", new="", files=FILES):
        shutil.rmtree(tmp_path / "toy", ignore_errors=True)
        for name, text in files.items():
            path = tmp_path / "toy" / name
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(changed(text, old, new) if name == file else text)
            os.utime(path, ns=(0, next(CLOCK)))  # two versions never share a time
        return stamp.stamp([root], {})

    return stamped


def changed(text, old, new):
    assert old in text
    return text.replace(old, new, 1) if old else text + new


def files(*changes, **new):
    """The package with several changes, and new modules."""
    found = FILES | {f"{name}.py": text for name, text in new.items()}
    for file, old, text in changes:
        found[file] = changed(found[file], old, text)
    return found


CHANGES = {
    "a constant in a method": ("model.py", "SCALE = 3", "SCALE = 9"),
    "a constant two modules away": ("layers.py", "EPS = 1", "EPS = 2"),
    "a helper two modules away": ("maths/deep.py", "root(x): return x", "root(x): return -x"),
    "a base class": ("layers.py", "class Base: pass", "class Base: x = 1"),
    "a decorator": ("layers.py", "return f", "return None"),
    "a default": ("names.py", "5, 6", "8, 6"),
    "an annotation": ("names.py", "Width = int", "Width = float"),
    "through a module": ("motion.py", "flow(x): return x", "flow(x): return -x"),
    "through a package's alias": ("maths/deep.py", "x / 2", "x / 3"),
    "a local import": ("lazy.py", "slow(): return 1", "slow(): return 3"),
    "a plain statement of a module": ("motion.py", 'TABLE["a"] = 1', 'TABLE["a"] = 2'),
    "a new plain statement of a module": ("layers.py", "", "print(1)\n"),
    "what a name is imported from": (
        "layers.py",
        "maths import norm",
        "maths import halve as norm",
    ),
    "a second binding of a name": ("model.py", "", "SCALE = 9\n"),
    "a changed name in place": ("model.py", "", "SCALE += 1\n"),
    "a plain statement of the package": ("__init__.py", "", "print(1)\n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_of_what_is_used_changes_the_stamp(toy, change):
    assert toy("toy.model:Model", *change) != toy("toy.model:Model")


def test_unchanged_files_are_not_followed_again_and_a_new_file_is_seen(toy, monkeypatch, tmp_path):
    before = toy("toy.user")
    with monkeypatch.context() as patch:
        patch.setattr(stamp, "_start", None)  # where all following begins
        assert stamp.stamp(["toy.user"], {}) == before
    (tmp_path / "toy" / "api").mkdir()  # a package goes before a module of its name
    (tmp_path / "toy" / "api" / "__init__.py").write_text("from toy.layers import Other as Memory")
    assert stamp.stamp(["toy.user"], {}) != before


HARMLESS = {
    "a new class": ("layers.py", "", "class New(Base):\n    x = norm(EPS)\n"),
    "a class beside it": ("layers.py", "return spare(self)", "return 0"),
    "what only that class uses": ("layers.py", "np.abs", "np.exp"),
    "a function beside it": ("motion.py", "film(x): return x", "film(x): return -x"),
    "beside a local import": ("lazy.py", "return 2", "return 3"),
    "an unrelated constant": ("names.py", "HEIGHT = 7", "HEIGHT = 8"),
    "its own unused constant": ("model.py", "UNUSED = 4", "UNUSED = 5"),
    "an import that only others need": ("layers.py", "import numpy as np", "import cupy as np"),
    "one more name of an import": ("model.py", "Base, Memory", "Base, Other, Memory"),
    "a name that is local elsewhere": ("layers.py", "", "def kept(x): return x\n"),
    "a comment": ("layers.py", "EPS = 1", "EPS = 1  # small"),
    "a docstring": ("layers.py", "import numpy", '"""Layers."""\n\nimport numpy'),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS.keys())
def test_a_change_of_anything_else_does_not(toy, change):
    assert toy("toy.model:Model", *change) == toy("toy.model:Model")


NORM, ROOT = "def norm(x): return root(x)\n", "def root(x): return x\n"
PASSED_ON, IN_LAYERS = "from toy.maths.deep import norm", "from toy.maths import norm"
SAME = {
    "moved with what it uses": files(
        ("maths/deep.py", NORM + ROOT, ""),
        ("maths/__init__.py", PASSED_ON, "from toy.moved import norm"),
        moved=NORM + ROOT,
    ),
    "moved away from what it uses": files(
        ("maths/deep.py", NORM, ""),
        ("layers.py", IN_LAYERS, "from toy.moved import norm"),
        ("maths/__init__.py", PASSED_ON, ""),
        moved=f"from toy.maths.deep import root\n{NORM}",
    ),
    "what it uses moved away": files(
        ("maths/deep.py", ROOT, "from toy import moved\n"),
        ("maths/deep.py", "return root(x)", "return moved.root(x)"),
        moved=ROOT,
    ),
    "moved to where it is used": files(
        ("layers.py", IN_LAYERS + "\n", NORM + ROOT),
        ("maths/deep.py", NORM + ROOT, ""),
        ("maths/__init__.py", PASSED_ON, ""),
    ),
    "a class and its constant moved": files(
        ("layers.py", "EPS = 1\n", "from toy.names import EPS\n"),
        ("layers.py", "class Base: pass\n", ""),
        ("names.py", "", "EPS = 1\n"),
        ("model.py", "import Base, Memory", "import Memory"),
        ("model.py", "SCALE = 3", "from toy.moved import Base\nSCALE = 3"),
        moved="class Base: pass\n",
    ),
    "a module's place": files(
        ("model.py", "from toy.layers import", "from toy.moved import"),
        moved=FILES["layers.py"],
    ),
    "another alias of a name": files(
        ("layers.py", IN_LAYERS, "from toy.maths import norm as length"),
        ("layers.py", "norm(self)", "length(self)"),
    ),
    "another alias of a class": files(
        ("model.py", "import Base, Memory", "import Base as Basis, Memory as Kept"),
        ("model.py", "Model(Base)", "Model(Basis)"),
        ("model.py", "Memory(SCALE)", "Kept(SCALE)"),
    ),
    "another alias of a module": files(
        ("model.py", "import toy.maths as m", "from toy import maths as numbers"),
        ("model.py", "m.deep.half", "numbers.deep.half"),
    ),
    "another alias of a package": files(
        ("model.py", "import toy.maths as m", "import toy.maths"),
        ("model.py", "m.deep.half", "toy.maths.deep.half"),
    ),
    "a name in place of a module": files(
        ("model.py", "from toy import motion", "from toy.motion import flow"),
        ("model.py", "motion.flow(width)", "flow(width)"),
    ),
    "a name passed on in place of where it is defined": files(
        ("layers.py", IN_LAYERS, "from toy.maths.deep import norm"),
    ),
    "an import within a function": files(
        ("model.py", "        from toy.lazy import slow\n", ""),
        ("model.py", "from toy import motion", "from toy.lazy import slow\nfrom toy import motion"),
    ),
}


@pytest.mark.parametrize("there", SAME.values(), ids=SAME.keys())
def test_where_code_lives_and_how_it_is_imported_do_not_matter(toy, there):
    assert toy("toy.model:Model", files=there) == toy("toy.model:Model")


@pytest.mark.parametrize(
    "one,other",
    [
        ("from toy.{} import go\ndef run(): return go(1)", ""),
        ("from toy import {}\ndef run(): return {}.go(1)", ""),
        ("import toy.{} as m\ndef run(): return m.go(1)", ""),
        ("from toy.{} import go", "from toy.switch import go\ndef run(): return go(1)"),
        ("def run():\n    from toy.{} import go\n    return go(1)", ""),
    ],
)
def test_of_two_functions_of_one_name_the_one_that_is_meant_counts(toy, one, other):
    """They read the same, and so does what they call; what that calls does not."""
    body = "def go(x): return step(x)\ndef step(x): return last(x)\n"
    modules = {
        "left": body + "def last(x): return x\n",
        "right": body + "def last(x): return -x\n",
        "same": body + "def last(x): return x\n",
    }

    def switched(to):
        first = one.replace("{}", to)
        texts = {"switch": first, "user": other} if other else {"user": first}
        return toy("toy.user:run", files=files(**modules, **texts))

    assert switched("left") != switched("right")
    assert switched("left") == switched("same")


def test_a_whole_module_counts_with_all_that_it_defines(toy):
    change = HARMLESS["its own unused constant"]
    assert toy("toy.model", *change) != toy("toy.model")
    assert toy("toy.model", *HARMLESS["a new class"]) == toy("toy.model")


@pytest.mark.parametrize(
    "root,file,old",
    [
        ("toy.escape:run", "motion.py", "film(x): return x"),
        ("toy.star:run", "motion.py", "flow(x): return x"),
        ("toy.own:run", "own.py", "hidden(): return 1"),
        ("toy.branch:run", "lazy.py", "slow(): return 1"),
        ("toy.user:run", "layers.py", "norm(self)"),
        ("toy.local:mine", "lazy.py", "slow(): return 1"),
        ("toy.local:mine", "motion.py", "flow(x): return x"),
        ("toy.local:ours", "lazy.py", "never(): return 2"),
    ],
)
def test_dynamic_use_star_imports_scopes_and_names_passed_on_are_followed(toy, root, file, old):
    assert toy(root, file, old, old + " + 1") != toy(root)


@pytest.mark.parametrize(
    "root, file, old, new",
    [
        ("run", "marked.py", "Width(2)", "Width(3)"),
        ("run", "marked.py", "@label\n@names.Width(2)", "@names.Width(2)\n@label"),
        ("run", "marked.py", "@label\n@names", "@names"),
        ("run", "layers.py", "return f", "return None"),
        ("run", "names.py", "Width = int", "Width = float"),
        ("Run", "marked.py", "@label\nclass", "class"),
        ("Run", "layers.py", "return f", "return None"),
    ],
)
def test_a_decorator_is_part_of_what_it_decorates(toy, root, file, old, new):
    assert toy(f"toy.marked:{root}", file, old, new) != toy(f"toy.marked:{root}")


BRANCHES = {
    "try": "try:\n    {}\nexcept ImportError:\n    f = None\n",
    "except": "try:\n    import cupy as f\nexcept ImportError:\n    {}\n",
    "if": "if True:\n    {}\n",
    "else": "if True:\n    f = None\nelse:\n    {}\n",
    "with": "with open(0):\n    {}\n",
}


@pytest.mark.parametrize("text", BRANCHES.values(), ids=BRANCHES.keys())
@pytest.mark.parametrize("how", ["from toy.lazy import slow as f", "import toy.lazy as f"])
def test_an_import_in_a_branch_of_a_module_is_the_modules(toy, text, how):
    use = "def run(): return f.slow()\n" if how.startswith("import") else "def run(): return f()\n"
    there = files(branched=text.format(how) + use)
    changed_too = there | {"lazy.py": changed(there["lazy.py"], "return 1", "return 3")}
    assert toy("toy.branched:run", files=there) != toy("toy.branched:run", files=changed_too)


def test_a_name_passed_on_by_a_package_pulls_no_other(toy):
    assert toy("toy.user:run", "layers.py", "spare(self)", "1") == toy("toy.user:run")


def test_a_root_that_is_not_there_is_named(toy):
    toy()
    for root in ("toy.nothing", "toy.model:Nothing", "nowhere.at.all"):
        with pytest.raises(VadError, match=root):
            stamp.stamp([root], {})


def test_the_stamp_of_a_model_covers_what_it_uses_and_no_more():
    code = stamp.code_behind(["vadlib.papers.maam.detector:MAAM"])
    modules = {key.partition(":")[0] for key in code}
    assert {"vadlib.lab.train", "vadlib.papers.layers.memory", "vadlib.measure.score"} <= modules
    assert not modules & {"vadlib.show.plot", "vadlib.book", "vadlib.lab.run"}
    assert not any(module.startswith("vadlib.press") for module in modules)
    motion = {key.partition("@")[0] for key in code if key.startswith("vadlib.see.motion:")}
    assert "vadlib.see.motion:flow" in motion and "vadlib.see.motion:resize_flow" not in motion


def test_comments_are_found_as_the_tokenizer_finds_them():
    """In all files of the library and of its tests, and where quotes and # mislead."""
    hard = r"""a = "#" + '\\'  # "
b = r"\\"  # one'
c = f"{a!r:#>3}#" '''# "
'#'''  # x
d = '\
# none'  # 'one'
"""
    files = [p for part in ("vadlib", "tests") for p in sorted((HOUSE / part).rglob("*.py"))]
    for text in [hard, *(p.read_text(encoding="utf-8") for p in files)]:
        lines = text.splitlines()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
        ours = source.STRING_OR_COMMENT.sub(lambda m: "" if m["comment"] else m[0], text)
        assert ours.splitlines() == lines
        assert text != hard or sum(line.rstrip() != line for line in lines) == 4
    assert len(files) > 200
