"""Weights from a hub: a file that is not the published one is refused, and its code never runs."""

import hashlib
import io

import pytest
import torch

from vadlib.errors import VadError
from vadlib.see import hub


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


class Weights:
    """As torchvision names them."""

    def __init__(self, url):
        self.url = url

    def get_state_dict(self, **options):
        return torch.hub.load_state_dict_from_url(self.url, **options)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def placed(folder, content, sha=None):
    packed = io.BytesIO()
    torch.save(content, packed)
    sha = sha or hashlib.sha256(packed.getvalue()).hexdigest()[:8]
    (folder / f"net-{sha}.pth").write_bytes(packed.getvalue())
    return Weights(f"https://example.org/models/net-{sha}.pth")


def test_the_published_file_is_read(folder):
    assert hub.published(placed(folder, {"a": torch.ones(2)}))["a"].tolist() == [1, 1]


def test_another_file_under_its_name_is_refused(folder):
    with pytest.raises(VadError, match="net-01234567.pth has the sha256"):
        hub.published(placed(folder, {"a": torch.ones(2)}, "01234567"))


def test_code_does_not_run_even_where_the_hash_is_right(folder, tmp_path):
    with pytest.raises(Exception, match="[Ww]eights.only"):
        hub.published(placed(folder, {"a": Trap(tmp_path / "ran")}))
    assert not (tmp_path / "ran").exists()


def test_a_name_without_a_hash_is_refused():
    with pytest.raises(VadError, match="no hash in its name"):
        hub.published(Weights("https://example.org/net.pth"))
