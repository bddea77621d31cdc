"""Carry the stamps of records over a change that moves no number, and print the proof.

    git worktree add OLD REVISION            # the tree before the change
    python tools/carry.py OLD                # shows the proof for the records that lie in OLD
    python tools/carry.py OLD --write        # and, where nothing speaks against it, the new stamps

For every record: it is current by the rule of the old tree; its config is the same to the letter;
every definition behind it says the same as one of that name in the old tree (names of this
package written without their modules, layout and docstrings left out), or is printed here to be
read; and its data set, read by the new code, has the hashes of data and labels that its runs hold.
With --write, labels that were not kept are kept now, and the record gets the hashes of the files
that its runs left.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def plain(text: str) -> str:
    """What a definition says, whatever its layout; a body that was only a docstring is no tree."""
    try:
        return ast.dump(ast.parse(text))
    except SyntaxError:
        return " ".join(text.split())


def definitions(stamp, package: str = "vadlib") -> dict[str, list[str]]:
    """Name -> what its definitions say, as dumps of their trees."""
    found: dict[str, list[str]] = {}
    sources = stamp._sources(frozenset([package]), None)
    for source in sources.values():
        for s in source.statements:
            text = plain(stamp._text(s, sources))
            for name in s.bound or {"(statement)"}:
                found.setdefault(name, []).append(text)
    return found


def old_side() -> None:
    """In the old tree, in a process of its own: definitions, configs, and what is stale."""
    try:
        from vadlib.experiments import EXPERIMENTS, records

        state = {r["name"]: r["stale"] for r in records(Path("data/results"))}
    except ImportError:  # a tree of the new layout
        from vadlib.lab.records import records
        from vadlib.papers import experiments

        EXPERIMENTS = experiments()
        state = {r["name"]: r["stale"] for r in records(EXPERIMENTS, Path("data/results"))}
    for name in ("source", "stamp"):  # the new rule, laid over the old package
        spec = importlib.util.spec_from_file_location(
            f"vadlib.lab.{name}", ROOT / "vadlib" / "lab" / f"{name}.py"
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    said = definitions(sys.modules["vadlib.lab.stamp"])
    configs = {name: EXPERIMENTS[name].config_dict for name in state if name in EXPERIMENTS}
    print(json.dumps({"said": said, "stale": state, "configs": configs}))


def grown(old: dict, now: dict, usual: dict, where: str = "") -> dict:
    """Fields that a config did not have and that say what the default says: path -> value."""
    out = {}
    for key, value in now.items():
        path = f"{where}{key}"
        if key not in old:
            out |= {path: value} if usual.get(key) == value else {}
        elif isinstance(value, dict) and isinstance(old[key], dict):
            out |= grown(old[key], value, usual.get(key) or {}, f"{path}.")
    return out


def pruned(config: dict, fresh: dict, where: str = "") -> dict:
    """A config without the fields at some paths."""
    return {
        k: pruned(v, fresh, f"{where}{k}.") if isinstance(v, dict) else v
        for k, v in config.items()
        if f"{where}{k}" not in fresh
    }


def grown_into(old: dict, now: dict, fresh: dict, where: str = "") -> dict:
    """A config with new fields at some paths, in the order of today's."""
    both = {k: v for k, v in now.items() if k in old or f"{where}{k}" in fresh}
    return {
        k: grown_into(old.get(k) or {}, v, fresh, f"{where}{k}.")
        if isinstance(v, dict) and isinstance(old.get(k), dict)
        else old.get(k, v)
        for k, v in both.items()
    }


def bring(data: Path, name: str, run: dict) -> None:
    """The files that a run left in the old tree, where it has them."""
    own = [f"scores/{name}-s{run['seed']}.npz", f"scores/labels-{run['label_sha']}.npz"]
    for part in [*own, f"checkpoints/{name}-s{run['seed']}.pt"]:
        if (data / part).exists() and (data / part).resolve() != (ROOT / "data" / part).resolve():
            shutil.copy(data / part, ROOT / "data" / part)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("old", type=Path)
    options.add_argument("--write", action="store_true")
    options.add_argument("--only", nargs="+", default=[""], help="how names of records begin")
    options.add_argument("--skip", nargs="+", default=[], help="how names of others begin")
    options.add_argument("--stale", action="store_true", help="today's form, but stale they stay")
    options.add_argument("--old-side", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.old_side:
        old_side()
        return 0
    env = os.environ | {"PYTHONPATH": str(given.old.resolve())}
    command = [sys.executable, str(Path(__file__).resolve()), str(given.old), "--old-side"]
    done = subprocess.run(command, env=env, cwd=given.old, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr)
        return 1
    old = json.loads(done.stdout.splitlines()[-1])
    return compare(old, given)


def compare(old: dict, given: argparse.Namespace) -> int:
    from vadlib.data.store import digest
    from vadlib.lab import stamp
    from vadlib.lab.checkpoints import checkpoint_of
    from vadlib.lab.experiment import BEYOND, roots_of
    from vadlib.lab.records import (
        file_sha,
        kept,
        scores_path,
        truth_path,
        write_record,
        write_truth,
    )
    from vadlib.lab.run import data_sha
    from vadlib.papers import experiments

    sources, known, shas = stamp._sources(frozenset(["vadlib"]), None), experiments(), {}
    differs: dict[str, set[str]] = {}
    bad, carried, behind, added = 0, 0, set(), set()
    texts = {}
    for source in sources.values():
        for s in source.statements:
            texts[f"{s.module}:{s.label}"] = (s, plain(stamp._text(s, sources)))
    write, data = given.write, given.old / "data"
    for path in sorted((data / "results").glob("*.json")):
        if not path.name.startswith(tuple(given.only)) or path.name.startswith(tuple(given.skip)):
            continue
        record = json.loads(path.read_text())  # as it lies there: an older form is carried too
        if "runs" not in record:
            continue
        name, exp = record["name"], known.get(record["name"])
        for protocol in record["protocols"].values():
            protocol["chosen on test"] = exp.chosen if exp else "unknown"
        if given.stale:
            for run in record["runs"]:
                bring(data, name, run)
            write_record(
                record
                | {
                    "stamp": "older",
                    "runs": [r | {"stamp": "older"} for r in record["runs"]],
                    "confirmed": [],
                }
            )
            continue
        if exp is not None and record["stamp"] == exp.stamp:
            continue  # the change does not reach it
        if exp is None or old["stale"][name]:
            print(f"NOT CARRIED {name}: {'no such experiment' if exp is None else 'was stale'}")
            bad += 1
            continue
        now = json.loads(json.dumps(exp.config_dict))
        usual = json.loads(json.dumps(asdict(exp.method.config()))) if exp.method.config else {}
        fresh = grown(record["config"], now, usual)
        added.update(f"{exp.method.name}: {where} = {value}" for where, value in fresh.items())
        same = pruned(now, fresh) == pruned(old["configs"][name], fresh)
        record["config"] = grown_into(record["config"], now, fresh)
        if not same or now != record["config"]:
            print(f"NOT CARRIED {name}: its config differs")
            bad += 1
            continue
        for where in stamp.code_behind(roots_of(exp), BEYOND):
            s, text = texts[where]
            behind.add(where)
            if not any(text in old["said"].get(n, []) for n in s.bound or {"(statement)"}):
                differs.setdefault(where, set()).add(name)
        for run in record["runs"]:
            key = exp.data, exp.profile, run["seed"] if exp.set.drawn else 0
            if "-eyechart-" in name:  # its films take half an hour, and are told by their dials
                print(f"{name}: its films are not made again; what makes them says the same")
                key = (name,)
                shas[key] = run["data_sha"], run["label_sha"]
            if key not in shas:
                train, test = (exp.load(split, run["seed"]) for split in ("train", "test"))
                shas[key] = data_sha(train + test), digest(*(v.labels for v in test))
                if write:
                    write_truth(test)
            if shas[key] != (run["data_sha"], run["label_sha"]):
                print(f"{name}, seed {run['seed']}: data or labels hash otherwise")
                bad += 1
        if write and not bad:
            record["stamp"] = exp.stamp
            for run in record["runs"]:
                run["stamp"] = exp.stamp
                bring(data, name, run)
                left = {
                    "scores": kept("scores") / scores_path(name, run["seed"]).name,
                    "labels": kept("scores") / truth_path(run["label_sha"]).name,
                    "checkpoint": checkpoint_of(name, run["seed"]),
                }
                files = {what: file_sha(file) for what, file in left.items() if file.exists()}
                run["files"] = files | run.get("files", {})
            record["confirmed"] = []
            write_record(record)
        carried += 1
    print(f"{carried} records: current by the old rule, config the same, data and labels the same")
    print(f"{len(behind)} definitions are behind them; {len(behind) - len(differs)} say the same")
    print("".join(f"new in the config, at its default: {text}\n" for text in sorted(added)), end="")
    print("to be read, because they are new or say something else:")
    for where, names in sorted(differs.items()):
        print(f"  {where:60} behind {len(names)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
