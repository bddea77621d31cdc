"""ITAM: the loss against plain arithmetic, what must never matter, and that it learns."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.lab.experiment import TrainConfig
from vadlib.papers.local_patterns import alignment, words
from vadlib.papers.local_patterns.config import ITAMConfig
from vadlib.papers.local_patterns.words import ITAM, itam_loss, similarity
from vadlib.see import captions, objects, tokens

TINY = ITAMConfig(
    size=16, grid=2, visual=16, queries=3, width=16, embed=8, blocks=1, text_blocks=1, heads=2,
    train=TrainConfig(epochs=20, batch_size=8, lr=5e-3),
)  # fmt: skip
SAID = ["a bright thing", "a dark thing", "nothing at all here"]


@pytest.fixture
def net():
    torch.manual_seed(0)
    return ITAM(TINY, SAID).eval()


def unit(*shape, seed=0):
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    return F.normalize(made, dim=-1)


def crops(n=6, channels=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, 16, 16, generator=g) * 2 - 1


# ------------------------------------------------------------------------------ equation 1 by hand


def plain_loss(image, text, temperature, groups=None):
    """Equation 1 by loops in numpy; with groups, each right answer against the wrong ones."""
    (b, queries, _), sentences = image.shape, text.shape[1]
    total = 0.0
    for n in range(sentences):
        s = np.zeros((b, b))
        for i in range(b):
            for c in range(b):
                s[i, c] = max(image[i, q] @ text[c, n] for q in range(queries)) / temperature
        for direction in (s, s.T):
            for i in range(b):
                right = [
                    c
                    for c in range(b)
                    if (c == i if groups is None else groups[c, n] == groups[i, n])
                ]
                wrong = sum(math.exp(direction[i, c]) for c in range(b) if c not in right)
                terms = [
                    -math.log(math.exp(direction[i, c]) / (math.exp(direction[i, c]) + wrong))
                    for c in right
                ]
                total += sum(terms) / len(terms)
    return total / (2 * sentences * b)


@pytest.mark.parametrize("temperature", [1.0, 0.07])
def test_equation_1_by_loops(temperature):
    image, said = unit(5, 3, 8), unit(5, 2, 8, seed=1)
    groups = torch.tensor([[0, 0], [1, 0], [0, 1], [2, 1], [1, 0]])
    for g in (None, groups):
        expected = plain_loss(
            image.numpy(), said.numpy(), temperature, None if g is None else g.numpy()
        )
        assert math.isclose(float(itam_loss(image, said, temperature, g)), expected, rel_tol=1e-9)


def test_one_sentence_and_one_query_is_symmetric_infonce():
    image, said, own = unit(6, 1, 8), unit(6, 1, 8, seed=1), torch.arange(6)
    logits = image[:, 0] @ said[:, 0].T / 0.07
    expected = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    assert torch.isclose(itam_loss(image, said, 0.07), expected)


def test_distinct_captions_make_both_targets_equal():
    image, said = unit(6, 3, 8), unit(6, 2, 8, seed=1)
    groups = torch.arange(6)[:, None].expand(-1, 2)
    assert torch.isclose(itam_loss(image, said, 0.1, groups), itam_loss(image, said, 0.1))


def test_sentences_are_groups_of_their_own():
    """N_s sentences are the mean over losses of one sentence each (the paper's groups)."""
    image, said = unit(6, 3, 8), unit(6, 3, 8, seed=1)
    each = [itam_loss(image, said[:, n : n + 1], 0.1) for n in range(3)]
    assert torch.isclose(itam_loss(image, said, 0.1), torch.stack(each).mean())


# ------------------------------------------------------------------------------- sanity facts, 9


def test_perfect_alignment_costs_nothing_at_low_temperature():
    image = torch.eye(6).double()[:, None]  # six crops, each with an axis of its own
    losses = [float(itam_loss(image, image, t)) for t in (1.0, 0.1, 0.02)]
    assert losses[0] > losses[1] > losses[2] and losses[2] < 1e-12


def test_random_features_cost_the_logarithm_of_the_batch():
    image, said = unit(64, 1, 4096), unit(64, 1, 4096, seed=1)
    assert abs(float(itam_loss(image, said, 1.0)) - math.log(64)) < 0.01


def test_the_roles_may_be_swapped():
    image, said = unit(6, 1, 8), unit(6, 1, 8, seed=1)
    groups = torch.tensor([0, 1, 1, 2, 3, 3])[:, None]
    for g in (None, groups):
        assert torch.isclose(itam_loss(image, said, 0.1, g), itam_loss(said, image, 0.1, g))


def test_the_best_query_is_never_below_the_mean():
    image, said = unit(6, 4, 8), unit(9, 8, seed=1)
    best, mean = (similarity(image, said, p) for p in ("max", "mean"))
    assert (best >= mean).all() and (best > mean + 0.01).any()
    assert best.shape == (6, 9) and best.abs().max() <= 1
    with pytest.raises(VadError, match="'median'"):
        similarity(image, said, "median")


def test_equal_captions_keep_the_one_hot_loss_up_and_not_the_other():
    """Two of six crops share a sentence: each gets half of the other's softmax at best."""
    image = torch.eye(5).double()[[0, 0, 1, 2, 3, 4], None]
    groups = torch.tensor([0, 0, 1, 2, 3, 4])[:, None]
    assert float(itam_loss(image, image, 0.01, groups)) < 1e-12
    assert math.isclose(float(itam_loss(image, image, 0.01)), 2 / 6 * math.log(2), rel_tol=1e-6)


def test_all_captions_equal_leave_nothing_to_learn():
    image = unit(4, 2, 8).requires_grad_()
    loss = itam_loss(image, unit(4, 1, 8, seed=1), 0.07, torch.zeros(4, 1, dtype=torch.long))
    loss.backward()
    assert float(loss.detach()) == 0 and image.grad is not None and not image.grad.any()


# -------------------------------------------------------------------------------------- networks


def test_shapes_and_lengths(net):
    tokens, mask = net.tokenizer([["a bright thing", "a dark thing"]] * 6)
    image, said = net(crops(), tokens, mask)
    assert image.shape == (6, 3, 8) and said.shape == (6, 2, 8)
    for x in (image, said):
        assert torch.allclose(x.norm(dim=-1), torch.ones(()))
    assert net.backbone(crops()).shape == (6, 5, 16)
    assert net.encode(np.zeros((0, 3, 16, 16), np.uint8)).shape == (0, 3, 8)


def test_the_papers_size_and_the_tokens_of_its_backbone():
    """ResNet-18 ends stage two with 128 channels, not 512; 257 tokens come of 16 x 16 and one."""
    torch.manual_seed(0)
    config = replace(ITAMConfig(), visual=24, width=16, heads=2)
    backbone = words.Backbone(config).eval()
    x = torch.zeros(1, 3, 224, 224)
    with torch.no_grad():
        assert backbone.stages(x).shape == (1, 128, 28, 28)
        assert backbone(x).shape == (1, 257, 24)
    paper = ITAMConfig()
    assert (paper.queries, paper.width, paper.embed, paper.visual) == (32, 768, 256, 1408)


@pytest.mark.parametrize("lag, channels", [(0, 1), (0, 3), (2, 1), (2, 3)])
def test_of_any_images_a_token_sees_eight_pixels_a_side(lag, channels):
    config = replace(ITAMConfig(), visual=24, lag=lag, channels=channels)
    stages = words.Backbone(config).eval().stages
    with torch.no_grad():
        assert stages(torch.zeros(1, config.inputs, 64, 48)).shape == (1, 128, 8, 6)
    first, three = stages[0], words.Backbone(replace(config, lag=0, channels=3)).stages[0]
    for part in ("kernel_size", "stride", "padding", "bias", "out_channels"):
        assert getattr(first, part) == getattr(three, part)


def test_padding_never_matters(net):
    tokens, mask = net.tokenizer([["a dark thing"], ["a bright thing"]])
    assert not mask[..., -1].any()  # one word shorter than the longest sentence
    junk = torch.where(mask, tokens, torch.full_like(tokens, 3))
    short = net.text(tokens[..., :-1], mask[..., :-1])
    assert torch.allclose(net.text(tokens, mask), net.text(junk, mask), atol=1e-6)
    assert torch.allclose(net.text(tokens, mask), short, atol=1e-6)


def test_words_and_their_order_matter(net):
    said = net.sentences(["a dark thing", "thing dark a", "a bright thing"]).detach()
    assert (said[0] - said[1]).abs().max() > 1e-3 and (said[0] - said[2]).abs().max() > 1e-3


def test_a_box_is_encoded_alone(net):
    """In evaluation nothing of a crop's features comes from its batch."""
    many = np.random.default_rng(0).integers(0, 256, (7, 3, 16, 16), dtype=np.uint8)
    assert torch.allclose(net.encode(many)[3:4], net.encode(many[3:4]), atol=1e-5)
    assert torch.allclose(net.encode(many, batch=2), net.encode(many), atol=1e-5)
    assert torch.equal(net.features(many), net.encode(many).flatten(1))


def test_attention_is_a_distribution_over_the_grid_and_the_class_token(net):
    maps = net.attention(crops())
    assert maps.shape == (6, 3, 2, 2) and (maps >= 0).all()
    seen = net.image_attention(net.backbone(crops()))[1].detach()
    assert torch.allclose(seen.sum(-1), torch.ones(6, 3), atol=1e-5)
    assert torch.allclose(maps.flatten(2), seen[..., 1:])


def test_gradient_reaches_everything():
    net = ITAM(TINY, SAID).train()
    tokens, mask = net.tokenizer([SAID[i % 3 : i % 3 + 1] for i in range(6)])
    itam_loss(*net(crops(), tokens, mask), net.temperature).backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name


def test_temperature_starts_where_the_config_says_and_never_reaches_zero(net):
    assert math.isclose(float(net.temperature.detach()), 0.07, rel_tol=1e-6)
    net.log_temperature.data.fill_(-100.0)
    assert math.isclose(float(net.temperature.detach()), words.COLDEST, rel_tol=1e-6)


def test_grey_is_repeated():
    grey = torch.randint(0, 256, (2, 1, 16, 16), dtype=torch.uint8)
    x = words.to_input(grey, TINY)
    assert x.shape == (2, 3, 16, 16) and torch.equal(x[:, 0], x[:, 2])
    assert x.min() >= -1 and x.max() <= 1
    assert ITAM(replace(TINY, channels=1), SAID).eval().encode(grey.numpy()).shape == (2, 3, 8)
    colour = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    torch.testing.assert_close(words.to_input(colour, TINY), colour / 127.5 - 1)


def test_of_two_images_each_is_repeated_and_both_are_seen():
    two = torch.randint(0, 256, (2, 2, 16, 16), dtype=torch.uint8)
    config = replace(TINY, lag=3)
    x = words.to_input(two, config)
    assert x.shape == (2, 6, 16, 16)
    for channel in range(6):
        assert torch.equal(x[:, channel], two[:, channel // 3] / 127.5 - 1)
    torch.manual_seed(0)
    net, older = ITAM(config, SAID).eval(), two.clone()
    older[:, 0] = 255 - older[:, 0]
    assert (net.encode(two.numpy()) - net.encode(older.numpy())).abs().max() > 1e-3


def test_merge_attends_from_one_branch_to_the_other():
    torch.manual_seed(0)
    merge, one, other = (
        words.Merge(8, heads=2),
        unit(4, 3, 8).float(),
        unit(4, 3, 8, seed=1).float(),
    )
    out = merge(one, other)
    assert out.shape == (4, 3, 8) and torch.allclose(out.norm(dim=-1), torch.ones(4, 3))
    assert torch.allclose(merge(one, other.flip(1)), out, atol=1e-6)  # a set of queries
    assert not torch.allclose(merge(one, one), out, atol=1e-3)


# -------------------------------------------------------------------------------------- training


def bright_and_dark(n=24, seed=0):
    """Crops with a bright or a dark blob somewhere, and what they show."""
    rng = np.random.default_rng(seed)
    made, said = rng.integers(110, 146, (n, 1, 16, 16), dtype=np.uint8), []
    for i in range(n):
        y, x = rng.integers(0, 10, 2)
        made[i, 0, y : y + 6, x : x + 6] = 255 if i % 2 else 0
        said.append([SAID[0] if i % 2 else SAID[1]])
    return made, np.array(said)


def video_of(key):
    return Video(key, np.zeros((2, 16, 16, 1), np.uint8), key=key)


@pytest.fixture(scope="module")
def learned():
    made, said = bright_and_dark()
    return alignment.fit([video_of("a")], made, said, TINY, "cpu", SAID, progress=False)


def test_it_learns_what_the_words_mean(learned):
    net, history = learned
    assert history.terms["total"][-1] < 0.1 < history.terms["total"][0]
    made, said = bright_and_dark(40, seed=9)
    result = alignment.retrieval(net, net.encode(made), said[:, 0])
    assert result.accuracy > 0.9 and result.chance == 0.5 and result.commonest == 0.5
    among = alignment.retrieval(net, net.encode(made), said[:, 0], SAID)
    assert among.chance == 1 / 3


def test_untrained_nets_know_nothing():
    made, said = bright_and_dark(40, seed=9)
    right = []
    for seed in range(4):
        torch.manual_seed(seed)
        fresh = ITAM(TINY, SAID)
        right.append(alignment.retrieval(fresh, fresh.encode(made), said[:, 0]).accuracy)
    assert abs(np.mean(right) - 0.5) < 0.2


def test_training_repeats_itself():
    made, said = bright_and_dark(8)
    config = replace(TINY, train=TrainConfig(epochs=2, batch_size=8, lr=3e-3))
    one, other = (
        alignment.fit([video_of("a")], made, said, config, "cpu", SAID, progress=False)[0]
        for _ in range(2)
    )
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("switch", [{"targets": "one_hot"}, {"pool": "mean"}])
def test_targets_and_pool_reach_the_loss(switch):
    """One batch of all eight crops, four of a sentence: the first loss is the config's own."""
    made, said = bright_and_dark(8)
    usual = replace(TINY, train=TrainConfig(epochs=1, batch_size=8, lr=3e-3))
    losses = []
    for config in (usual, replace(usual, **switch)):
        torch.manual_seed(config.train.seed)
        net = ITAM(config, SAID).train()  # as `fit` initialises it
        image, spoken = net(words.to_input(torch.from_numpy(made), config), *net.tokenizer(said))
        groups = None if config.targets == "one_hot" else tokens.groups(said)
        expected = float(itam_loss(image, spoken, 0.07, groups, config.pool).detach())
        history = alignment.fit([video_of("a")], made, said, config, "cpu", SAID, progress=False)[1]
        assert math.isclose(history.terms["total"][0], expected, rel_tol=1e-3)
        losses.append(expected)
    assert abs(losses[0] - losses[1]) > 0.01


def test_classes_learn_without_a_text_side():
    """The control in place of equation 1: as good on its classes, and no word was ever read."""
    made, said = bright_and_dark()
    config = replace(TINY, targets="classes")
    net, history = alignment.fit([video_of("a")], made, said, config, "cpu", SAID, progress=False)
    assert history.terms["total"][-1] < 0.1 < history.terms["total"][0]
    made, said = bright_and_dark(40, seed=9)
    fit = words.similarity(net.encode(made), net.classes[0].detach(), config.pool)
    assert (fit.argmax(1).numpy() == np.unique(said, return_inverse=True)[1].ravel()).mean() > 0.9
    torch.manual_seed(config.train.seed)
    begun = ITAM(config, SAID)
    for a, b in zip(
        begun.text_attention.parameters(), net.text_attention.parameters(), strict=True
    ):
        assert torch.equal(a, b)


def test_retrieval_by_hand(net):
    """Three crops that point at their sentence, one that points at another's."""
    said = net.sentences(SAID).detach()
    image = torch.stack([said[0], said[1], said[2], said[0]])[:, None].expand(-1, 3, -1)
    assert alignment.choose(net, image, SAID).tolist() == [*SAID, SAID[0]]
    captions = np.array([SAID[0], SAID[1], SAID[2], SAID[1]])
    found = alignment.retrieval(net, image, captions)  # SAID[1] is found once of two times
    assert found == alignment.Retrieval(0.75, (1 + 0.5 + 1) / 3, 1 / 3, 0.5)
    with pytest.raises(VadError, match="no caption"):
        alignment.retrieval(net, image[:0], np.array([]))


def test_crops_and_captions_keep_together():
    """The row that `gather` returns is the box that the crop shows, across videos and frames."""
    videos, boxes = [], []
    for v in range(2):
        frames = np.zeros((6, 32, 48, 1), np.uint8)
        found = [np.zeros((0, 4), np.float32)] * 6
        for t in (0, 2, 3):
            found[t] = np.array([[4, 4, 20, 20], [8, 24, 24, 40]], np.float32)[: 1 + (t > 0)]
            frames[t, 4:20, 4:20], frames[t, 8:24, 24:40] = 50 * v + 10 * t, 50 * v + 10 * t + 1
        videos.append(Video(str(v), frames, key=f"gather-{v}"))
        boxes.append(found)
    made, which = alignment.gather(videos, boxes, 16, every=2)
    grey = np.concatenate(
        [
            [50 * v + 10 * t + i for t, b in enumerate(found) for i in range(len(b))]
            for v, found in enumerate(boxes)
        ]
    )
    assert made.shape == (6, 1, 16, 16)
    assert made[:, 0, 8, 8].tolist() == grey[which].tolist() == [0, 20, 21, 50, 70, 71]
    pairs, which = alignment.gather(videos, boxes, 16, lag=1)
    assert pairs.shape == (8, 2, 16, 16)  # frame 0 has none before it
    assert pairs[:, 1, 8, 8].tolist() == grey[which].tolist()
    assert pairs[:4, 0, 8, 8].tolist() == [0, 0, 20, 21]  # nothing in frame 1
    pairs, which = alignment.gather(videos, boxes, 16, lag=2)
    assert pairs[:4, :, 8, 8].tolist() == [[0, 20], [1, 21], [0, 30], [0, 31]]


@pytest.mark.parametrize("lag", [0, 2])
def test_a_video_without_boxes_adds_no_crops(lag):
    empty, one = [np.zeros((0, 4), np.float32)] * 6, np.array([[4, 4, 20, 20]], np.float32)
    videos = [Video(n, np.zeros((6, 32, 48, 1), np.uint8), key=f"empty-{n}") for n in "ab"]
    made, which = alignment.gather(videos[:1], [empty], 16, lag=lag)
    assert made.shape == (0, 2 if lag else 1, 16, 16) and which.shape == (0,)
    made, which = alignment.gather(videos, [empty, [one] * 6], 16, lag=lag)
    assert len(made) == 6 - lag and which.tolist() == list(range(lag, 6))


def test_captions_of_real_boxes_go_in():
    frames = np.full((12, 64, 96, 3), 90, np.uint8)
    for t in range(12):
        frames[t, 20:44, 4 + 4 * t : 16 + 4 * t] = 20
    video = Video("x", frames, key="itam-walk")
    boxes = objects.propose(video)
    captioner = captions.AttributeCaptioner().fit([video], [boxes])
    made, which = alignment.gather([video], [boxes], 16)
    said = captioner.captions(video, boxes)[which][:, 1:]
    config = replace(TINY, train=TrainConfig(epochs=1, batch_size=4))
    net, history = alignment.fit([video], made, said, config, "cpu", progress=False)
    assert np.isfinite(history.terms["total"]).all() and said.shape[1] == 3
    assert net.features(made).shape == (len(made), 24)


def test_mistakes_are_explained():
    made, said = bright_and_dark(8)
    with pytest.raises(VadError, match="8 crops with 7 rows"):
        alignment.fit([video_of("a")], made, said[:7], TINY, "cpu", SAID, progress=False)
    with pytest.raises(VadError, match="16x16 for a config of size 32"):
        alignment.fit([video_of("a")], made, said, replace(TINY, size=32), "cpu", SAID)
    with pytest.raises(VadError, match="'someone' has no number"):
        ITAM(TINY, SAID).sentences(["someone is there"])
