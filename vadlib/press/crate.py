"""Records and ledger as an RO-Crate: each number with the command, code, data and files behind it.

`make crate` writes it into `_build/crate`: a folder that any tool which knows RO-Crates can read
(<https://w3id.org/ro/crate>). It is a view, made anew from the records each time.
"""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from vadlib import papers
from vadlib.data.fetch import manifest
from vadlib.errors import VadError
from vadlib.lab.checkpoints import checkpoint_of
from vadlib.lab.records import kept, records, scores_path, truth_path

ROOT = Path(__file__).resolve().parents[2]
LICENCE = "https://spdx.org/licenses/MIT"  # of the code and of what it computed
PLAZA = "Plaza, a synthetic square that vadlib draws from a seed"
SETS = ("plaza", *manifest())  # as they stand in the names of what experiments train and test on


def ledger() -> list[dict[str, Any]]:
    """Every claim of every paper: its sentence and place, what ran, the verdict and its evidence.

    interval  value, low and high of the evidence, in shares of 1 where it is an AUC; None without
    """
    lines = []
    for paper in papers.PAPERS:
        for claim in papers.claims_of(paper):
            verdict, found = claim.judged()
            said = claim.evidence if isinstance(claim.evidence, str) else asdict(claim.evidence)
            lines.append(
                {
                    "id": claim.id,
                    "paper": paper,
                    "sentence": claim.sentence,
                    "place": claim.place,
                    "ran": claim.scale,
                    "verdict": verdict,
                    "interval": [found.value, found.low, found.high] if found else None,
                    "evidence": said,
                    "records": list(claim.records),
                    "since": claim.dated,
                    "test": f"tests/test_claims.py -k {claim.id}",
                }
            )
    return lines


def files_of(record: dict[str, Any]) -> list[Path]:
    """The record's file, and the scores, labels and weights that its runs left and are kept."""
    left = [kept("results") / f"{record['name']}.json"]
    for run in record["runs"]:
        left += [
            kept("scores") / scores_path(record["name"], run["seed"]).name,
            kept("scores") / truth_path(run["label_sha"]).name,
            checkpoint_of(record["name"], run["seed"]),
        ]
    return [path for path in dict.fromkeys(left) if path.exists()]


def write(out: Path) -> Path:
    """Write the crate into a folder. Raises VadError where `rocrate` is missing."""
    try:
        rocrate = importlib.import_module("rocrate.rocrate")
        model = importlib.import_module("rocrate.model")
    except ImportError as error:
        raise VadError(
            "a crate needs rocrate, which is not installed", "Install it: pip install rocrate."
        ) from error
    crate, known = rocrate.ROCrate(), records(papers.experiments())
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    crate.name, crate.description, crate.license = cited["title"], cited["abstract"], LICENCE
    crate.datePublished = max(record["created"] for record in known)

    def entity(at: str, kind: str, **facts: Any) -> Any:
        found = crate.dereference(at)
        facts = {"@type": kind, **facts}
        return found or crate.add(model.ContextEntity(crate, at, properties=facts))

    def about(work: dict[str, Any]) -> Any:
        names = [f"{a['given-names']} {a['family-names']}" for a in work["authors"]]
        facts = {"name": work["title"], "datePublished": str(work["year"]), "author": names}
        return entity(address(work), "ScholarlyArticle", **facts)

    crate.root_dataset["citation"] = [about(work) for work in cited["references"]]
    crate.root_dataset["version"] = cited["version"]
    crate.root_dataset["mentions"] = [_add(crate, entity, record) for record in known]
    path = out / "ledger.json"
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ledger(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    facts = {"name": "What became of each claim", "encodingFormat": "application/json"}
    crate.add_file(path, "ledger.json", properties=facts)
    crate.write(out)
    return out / "ro-crate-metadata.json"


def address(work: dict[str, Any]) -> str:
    """Where a work of CITATION.cff can be read."""
    return f"https://doi.org/{work['doi']}" if "doi" in work else work["url"]


def _add(crate: Any, entity: Any, record: dict[str, Any]) -> Any:
    """A record as the act of making it: by which code, from what, and what it left."""
    left = []
    for path in files_of(record):
        place = f"{path.parent.name}/{path.name}"
        form = {".json": "application/json"}.get(path.suffix, "application/octet-stream")
        facts = {"encodingFormat": form, "contentSize": str(path.stat().st_size)}
        left.append(crate.dereference(place) or crate.add_file(path, place, properties=facts))
    commit = record["commit"]
    code = entity(f"#code-{commit}", "SoftwareSourceCode", name="vadlib", version=commit)
    return entity(
        f"#{record['name']}",
        "CreateAction",
        name=record["name"],
        description=record["note"],
        instrument=code,
        object=[_data(entity, name) for name in SETS if name in record["data"].split("-")],
        result=left,
        endTime=record["created"],
        actionStatus="http://schema.org/CompletedActionStatus",
        # what a reader types, and whether the code of this crate would make the same
        potentialAction=record["command"],
        additionalType="stale" if record["stale"] else "current",
    )


def _data(entity: Any, name: str) -> Any:
    """A data set that others publish, or the one that is drawn here."""
    if name == "plaza":
        return entity("#data-plaza", "Dataset", name=PLAZA, license=LICENCE)
    source = manifest()[name]
    facts = {"name": source.title, "url": source.homepage, "usageInfo": source.licence}
    return entity(f"#data-{name}", "Dataset", **facts)


def main() -> int:
    """Write the crate into the folder named, or `_build/crate`."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build" / "crate"
    try:
        print(write(out))
    except VadError as error:
        print(f"crate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
