"""The memory: papers.md's sanity facts for MAAM-Net's equations 1-4 and 8."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vadlib.errors import VadError
from vadlib.papers.layers.dropout import Dropout
from vadlib.papers.layers.memory import Memory, entropy, selected, shrink, similarities

torch.manual_seed(0)
Z = torch.randn(2, 16, 3, 4)


@pytest.fixture(autouse=True)
def seeded():
    """No test depends on which ones ran before it."""
    torch.manual_seed(0)


def queries(z):
    return z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])


def test_equations_1_to_4_by_plain_arithmetic():
    memory = Memory(10, 16)
    z_hat, weights = memory(Z)
    for row, query in enumerate(queries(Z).tolist()):
        s = []
        for item in memory.items.tolist():
            dot = sum(a * b for a, b in zip(query, item, strict=True))
            norms = math.sqrt(sum(a * a for a in query)) * math.sqrt(sum(b * b for b in item))
            s.append(dot / norms)  # eq. 1
        soft = [math.exp(v) / sum(math.exp(u) for u in s) for v in s]  # eq. 2
        kept = [max(v - 0.1, 0) * v / (abs(v - 0.1) + 1e-12) for v in soft]  # eq. 3, lambda = 1/N
        w = [v / sum(kept) for v in kept]
        expected = [sum(w[i] * memory.items[i, c].item() for i in range(10)) for c in range(16)]
        torch.testing.assert_close(weights[row], torch.tensor(w), rtol=1e-4, atol=1e-5)
        got = queries(z_hat)[row]
        torch.testing.assert_close(got, torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_weights_are_a_distribution():
    weights = Memory(50, 16)(Z).weights
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(24))


def test_shrink_is_a_threshold():
    w = torch.rand(100, 20, dtype=torch.float64).softmax(1)
    torch.testing.assert_close(shrink(w, 0.05), w * (w > 0.05), rtol=0, atol=1e-7)


@pytest.mark.parametrize("threshold", [1.0, 1.5, 3.0])
def test_rows_that_select_nothing_keep_their_largest_weight(threshold):
    memory = Memory(500, 16, threshold=threshold)
    with torch.no_grad():
        memory.items.copy_(memory.items[:1].expand(500, -1))  # uniform weights: none exceeds 1/N
    weights = memory(Z).weights
    assert (selected(weights) == 1).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(24))


def test_random_items_are_nearly_uniform_and_half_of_them_survive_one_over_n():
    """What an untrained memory does. It is no limit: a trained one can be as selective as it likes,
    as the next tests show; lambda = 1/N keeps what exceeds the mean, however little that is."""
    torch.manual_seed(1)
    soft = similarities(torch.randn(64, 512), torch.randn(500, 512)).softmax(1)
    assert (soft.amax(1) / soft.amin(1) <= math.e**2 + 1e-5).all()
    assert (soft < 1.5 / 500).all()
    kept = (soft > 1 / 500).sum(1).float().mean()
    assert 200 < kept < 300  # about half of the memory


@pytest.mark.parametrize("others,largest", [(0.0, 2.7090), (-1.0, 7.2958)])
def test_one_match_among_500_is_selected_alone_with_all_the_weight(others, largest):
    """N w is e N / (e + (N - 1) e^s) before the threshold where all others have the cosine s."""
    memory = Memory(500, 500)
    query = torch.eye(500)[:1]
    with torch.no_grad():
        memory.items.copy_(torch.eye(500) if others == 0 else -query.expand(500, -1))
        memory.items[0] = query[0]
    soft = similarities(query, memory.items).softmax(1)
    assert 500 * soft[0, 0].item() == pytest.approx(largest, abs=1e-3)
    weights = memory.address(query)
    assert selected(weights).tolist() == [1] and weights[0, 0].item() == pytest.approx(1)


def test_the_entropy_makes_the_memory_select():
    """Equation 8 alone moves queries and items until few of them are read: alpha is a rope."""
    memory, z = Memory(50, 16), torch.randn(1, 16, 4, 4, requires_grad=True)
    before = selected(memory(z).weights).float().mean()
    optimizer = torch.optim.Adam([z, memory.items], 0.05)
    for _ in range(100):
        optimizer.zero_grad()
        entropy(memory(z).weights).mean().backward()
        optimizer.step()
    after = selected(memory(z).weights).float().mean()
    assert before > 15 and after < before / 4


def test_an_empty_row_keeps_its_best_item_and_not_its_worst():
    memory = Memory(500, 16, threshold=3.0)
    soft = similarities(queries(Z), memory.items).softmax(1)
    assert (soft < 3 / 500).all()
    weights = memory(Z).weights
    assert torch.equal(weights.argmax(1), soft.argmax(1))
    torch.testing.assert_close(weights.amax(1), torch.ones(24))


def test_used_items_are_counted():
    weights = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    assert selected(weights).tolist() == [2, 1, 3]


def test_an_empty_row_can_be_an_error():
    memory = Memory(500, 16, threshold=3.0, empty_row="error")
    with pytest.raises(VadError, match="select no memory item"):
        memory(Z)


def test_the_read_ignores_the_length_of_a_query_and_the_order_of_items():
    memory = Memory(20, 16)
    z_hat = memory(Z).z
    torch.testing.assert_close(memory(Z * 7.5).z, z_hat)
    with torch.no_grad():
        memory.items.copy_(memory.items[torch.randperm(20)])
    torch.testing.assert_close(memory(Z).z, z_hat)


def test_dot_similarity_does_not_ignore_the_length():
    memory = Memory(20, 16, similarity="dot")
    assert not torch.allclose(memory(Z * 7.5).z, memory(Z).z)


def test_low_temperature_finds_the_nearest_item():
    memory = Memory(20, 16, temperature=0.001)
    nearest = similarities(queries(Z), memory.items).argmax(1)
    torch.testing.assert_close(queries(memory(Z).z), memory.items[nearest], rtol=1e-3, atol=1e-4)


def test_concat_puts_the_query_before_the_read():
    memory = Memory(20, 16, read="concat")
    out = memory(Z).z
    assert out.shape == (2, 32, 3, 4) and memory.out_channels == 32
    torch.testing.assert_close(out[:, :16], Z)


def test_entropy_lies_between_zero_and_log_n():
    assert entropy(torch.tensor([[1.0, 0.0, 0.0]])).item() == pytest.approx(0)
    assert entropy(torch.full((1, 8), 1 / 8)).item() == pytest.approx(math.log(8))


def test_gradients_are_finite_where_items_are_cut():
    memory, z = Memory(20, 16), Z.clone().requires_grad_()
    z_hat, weights = memory(z)
    assert (weights == 0).any()
    (z_hat.square().sum() + entropy(weights).mean()).backward()
    assert torch.isfinite(z.grad).all() and z.grad.abs().sum() > 0
    assert torch.isfinite(memory.items.grad).all() and memory.items.grad.abs().sum() > 0


class Largest(TorchDispatchMode):
    """The most elements that any one operation returned."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sizes = [x.numel() for x in tree_leaves(out) if isinstance(x, torch.Tensor)]
        self.numel = max([self.numel, *sizes])
        return out


def test_reading_2000_items_never_holds_more_than_one_weight_a_query_and_item():
    memory, z = Memory(2000, 32), torch.randn(1, 32, 15, 23)
    with Largest() as largest:
        memory(z)
    assert largest.numel == 15 * 23 * 2000  # not times 32 channels


@pytest.mark.parametrize("option", [{"similarity": "l2"}, {"read": "add"}, {"empty_row": "zero"}])
def test_unknown_options_are_refused(option):
    with pytest.raises(VadError, match="unknown"):
        Memory(500, 16, threshold=3.0, **option)(Z)


def test_dropout_drops_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.ones(64, 8, 64, 33).to(memory_format=torch.channels_last)
    out = Dropout(0.3)(x)
    assert (out == 0).float().mean().item() == pytest.approx(0.3, abs=2e-3)
    assert out.mean().item() == pytest.approx(1, abs=3e-3)
    assert out.unique().tolist() == pytest.approx([0, 1 / 0.7])
    other = Dropout(0.3)(x)
    assert ((out == 0) == (other == 0)).float().mean() < 0.6  # 0.58 if independent
    assert torch.equal(Dropout(0.3).eval()(x), x)


def test_dropout_repeats_for_a_seed_and_does_not_repeat_within_a_batch():
    x = torch.ones(2, 4, 32, 32)
    torch.manual_seed(3)
    one = Dropout(0.5)(x)
    torch.manual_seed(3)
    assert torch.equal(Dropout(0.5)(x), one)
    assert not torch.equal(one[0], one[1])
