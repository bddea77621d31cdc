"""Scores against arithmetic done another way."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from vadlib.errors import VadError
from vadlib.measure import score


def brute_pscd(error, patch, stride):
    """Sum every window of a zero-padded map with plain loops."""
    (n, height, width), (h, w), (sv, sh) = error.shape, patch, stride
    rows, cols = -(-height // sv), -(-width // sh)
    down = max((rows - 1) * sv + h - height, 0)
    right = max((cols - 1) * sh + w - width, 0)
    padded = np.zeros((n, height + down, width + right))
    padded[:, down // 2 : down // 2 + height, right // 2 : right // 2 + width] = error
    out = np.zeros((n, rows, cols))
    for i in range(rows):
        for j in range(cols):
            out[:, i, j] = padded[:, i * sv : i * sv + h, j * sh : j * sh + w].sum((1, 2))
    return out


@pytest.mark.parametrize(
    "patch,stride", [((4, 3), None), ((5, 5), (1, 2)), ((1, 1), (1, 1)), ((7, 2), (3, 1))]
)
def test_pscd_is_the_sum_over_each_patch(patch, stride):
    error = np.random.default_rng(0).random((2, 13, 9))
    ours = score.pscd(torch.from_numpy(error), patch, stride).numpy()
    expected = brute_pscd(error, patch, stride or score.stride_of(patch))
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_pscd_without_padding_sees_whole_patches_only():
    error = torch.ones(1, 8, 8)
    assert (score.pscd(error, (4, 4), (1, 1), "valid") == 16).all()
    assert score.pscd(error, (4, 4), (1, 1), "same").min() < 16


def test_a_single_wrong_pixel_is_found_with_its_own_value():
    error = torch.zeros(1, 20, 30)
    error[0, 7, 11] = 0.37
    assert score.pool(score.pscd(error, (8, 6)), "max").item() == pytest.approx(0.37)
    assert score.pool(error, "mean").item() == pytest.approx(0.37 / 600)


def test_score_grows_with_the_error():
    error = torch.rand(4, 16, 16)
    small, large = (score.pool(score.pscd(error * k, (5, 5))) for k in (1.0, 1.5))
    assert (large > small).all()


def test_pscd_refuses_a_patch_larger_than_the_frame():
    with pytest.raises(VadError, match="does not fit"):
        score.pscd(torch.zeros(1, 4, 4), (5, 2))
    with pytest.raises(VadError, match="does not fit"):
        score.pscd(torch.zeros(1, 4, 4), (2, 5))
    with pytest.raises(VadError, match="does not fit"):
        score.pscd(torch.zeros(1, 4, 4), (2, 0))
    assert score.pscd(torch.ones(1, 4, 4), (4, 4), padding="valid").tolist() == [[[16]]]
    assert score.pscd(torch.ones(1, 4, 8), (2, 6)).max() == 12  # wider than the frame is high
    assert score.pscd(torch.ones(1, 8, 4), (6, 2)).max() == 12


def test_psnr_by_hand():
    assert score.psnr(np.array([0.01]))[0] == pytest.approx(20.0)
    assert score.psnr(np.array([0.01]), peak=2.0)[0] == pytest.approx(20 + 20 * np.log10(2))
    assert score.regularity_to_score(np.array([3.0]))[0] == -3.0


def test_minmax_by_scope():
    a, b = np.array([1.0, 3.0]), np.array([2.0, 6.0])
    assert [x.tolist() for x in score.normalise([a, b], "per_video")] == [[0, 1], [0, 1]]
    assert [x.tolist() for x in score.normalise([a, b], "global")] == [[0, 0.4], [0.2, 1]]
    assert score.normalise([a, b], "train", reference=[np.array([0.0, 2.0])])[1].tolist() == [1, 3]
    assert score.normalise([a, b], "none")[0].tolist() == [1, 3]
    assert score.normalise([np.ones(3)], "per_video")[0].tolist() == [0, 0, 0]


def test_z_has_mean_zero_and_sd_one():
    out = score.normalise([np.random.default_rng(1).normal(5, 3, 100)], "global", "z")[0]
    assert out.mean() == pytest.approx(0, abs=1e-12) and out.std() == pytest.approx(1)


@pytest.mark.parametrize("kind", ["gaussian", "median"])
def test_causal_smoothing_ignores_the_future(kind):
    past = np.arange(40.0)
    changed = past.copy()
    changed[21:] -= 100
    one, two = score.smooth([past, changed], kind, 5, causal=True)
    np.testing.assert_array_equal(one[:21], two[:21])
    one, two = score.smooth([past, changed], kind, 5, causal=False)
    assert not np.array_equal(one[:21], two[:21])


def test_causal_median_is_the_median_of_the_last_frames():
    x = np.random.default_rng(3).random(30)
    out = score.smooth([x], "median", 5, causal=True)[0]
    assert out[10] == np.median(x[6:11])
    assert score.smooth([x], "median", 5)[0][10] == np.median(x[8:13])


@pytest.mark.parametrize("causal", [True, False])
def test_gaussian_keeps_a_constant_and_does_not_dip_at_the_ends(causal):
    np.testing.assert_allclose(score.smooth([np.full(9, 2.0)], "gaussian", 3, causal)[0], 2.0)


def test_smoothing_by_a_gaussian_is_scipys_and_half_of_it_where_causal():
    x = np.random.default_rng(2).random(40)
    expected = ndimage.gaussian_filter1d(x, 2.5, mode="nearest", truncate=4)
    np.testing.assert_allclose(score.smooth([x], "gaussian", 2.5)[0], expected)
    weight = np.exp(-0.5 * (np.arange(11) / 2.5) ** 2)  # of now, one frame ago, ...
    causal = score.smooth([x], "gaussian", 2.5, causal=True)[0]
    assert causal[30] == pytest.approx(x[30:19:-1] @ weight / weight.sum())


@pytest.mark.parametrize("width", [1, 3, 5, 9, 15, 2, 4, 8, 2.5])
def test_a_median_has_an_odd_window(width):
    if width in (1, 3, 5, 9, 15):
        assert len(score.smooth([np.arange(20.0)], "median", width)[0]) == 20
    else:
        with pytest.raises(VadError, match="odd"):
            score.smooth([np.arange(20.0)], "median", width)


def test_smoothing_never_mixes_videos():
    a, b = np.zeros(10), np.ones(10)
    out = score.smooth([a, b], "gaussian", 5)
    assert (out[0] == 0).all() and np.allclose(out[1], 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: score.normalise([np.ones(2)], "frame"),
        lambda: score.normalise([np.ones(2)], "global", "rank"),
        lambda: score.normalise([np.ones(2)], "train"),
        lambda: score.smooth([np.ones(2)], "mean"),
        lambda: score.smooth([np.ones(2)], "gaussian", 0),
        lambda: score.pool(torch.ones(1, 2, 2), "sum"),
    ],
)
def test_unknown_options_are_refused(call):
    with pytest.raises(VadError):
        call()
