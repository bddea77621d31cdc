"""What comes from outside has a form, and is held against it where it enters: the schemas' common
part, and that of `data/manifest.json`."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, ValidationError

from vadlib.errors import VadError

Text = Annotated[str, Field(min_length=1)]


class Strict(BaseModel):
    """No silent conversions, and no field that nobody knows."""

    model_config = ConfigDict(strict=True, extra="forbid")


Kind = TypeVar("Kind", bound=BaseModel)


def check(kind: type[Kind], content: Any, where: str, remedy: str) -> Kind:
    """Some content as what it should be.

    Raises VadError naming where it stands (a file, say), the field, what is wrong, and the remedy.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise VadError(f"{where}: {first_of(error)}", remedy) from error
    except RecursionError as error:
        raise VadError(f"{where} is nested too deeply", remedy) from error


def first_of(error: ValidationError) -> str:
    """The first thing that is wrong, in words: the field, and what about it."""
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"]))
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] not in ("missing", "value_error"):
        what += f", not {repr(first['input'])[:40]}"
    return f"{field}{': ' if field else ''}{what}"


def read_json(path: Path, remedy: str) -> Any:
    """What a JSON file holds. Raises VadError naming it where it cannot be read or is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise VadError(f"{path} cannot be read as JSON ({error})", remedy) from error


# --------------------------------------------------------------------------------- the manifest


def _inside(place: str) -> str:
    """A folder that is named from another one, and lies in it."""
    parts = PurePosixPath(place).parts
    if not place or place.startswith("/") or ".." in parts or "\\" in place or ":" in place:
        raise ValueError(f"{place!r} is not a path inside the folder of the data sets")
    if "\0" in place:
        raise ValueError("a path has no zero bytes")
    return place


def _url(address: str) -> str:
    try:
        scheme, host, path = urlsplit(address)[:3]
    except ValueError as error:
        raise ValueError(f"{address!r} is not an address ({error})") from None
    if scheme not in ("http", "https") or not host:
        raise ValueError(f"{address!r} is not an address that begins with http:// or https://")
    if PurePosixPath(unquote(path)).name in ("", ".", "..") or "\0" in unquote(path):
        raise ValueError(f"{address!r} does not end in the name of a file")
    return address


Place = Annotated[str, AfterValidator(_inside)]


class Archive(Strict):
    """A file to fetch, and what it must hash to; null where nobody has published that."""

    url: Annotated[str, AfterValidator(_url)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    sha256_source: Text | None = None

    @property
    def name(self) -> str:
        """The name of the file."""
        return PurePosixPath(unquote(urlsplit(self.url).path)).name


class Entry(Strict):
    """A data set: where it comes from, and which folders it makes under that of the data sets."""

    title: Text
    homepage: Annotated[str, Field(pattern="^https?://")]
    licence: Text
    into: Place
    makes: Annotated[list[Place], Field(min_length=1)]
    files: list[Archive]


class Manifest(RootModel[dict[Text, Entry]]):
    """`data/manifest.json`: every data set by its name."""
