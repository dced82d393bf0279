"""The Haar transform against the orthonormal matrix that defines it."""

import pytest
import torch

from MultiRaterSegLib.networks.wavelet import haar_dwt, haar_idwt


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def matrix(size: int) -> torch.Tensor:
    """[size, size]: the first half of the rows are scaled means of neighbours, the second half their differences."""
    rows = torch.zeros(size, size, dtype=torch.float64)
    for i in range(size // 2):
        rows[i, 2 * i] = rows[i, 2 * i + 1] = rows[size // 2 + i, 2 * i] = 2**-0.5
        rows[size // 2 + i, 2 * i + 1] = -(2**-0.5)
    return rows


def test_bands_are_the_quadrants_of_the_matrix_transform():
    x = random(2, 3, 6, 10)
    whole = matrix(6) @ x @ matrix(10).T
    low, high = whole[..., :3, :], whole[..., 3:, :]
    expected = low[..., :5], high[..., :5], low[..., 5:], high[..., 5:]  # LL, LH (between rows), HL, HH
    for band, quadrant in zip(haar_dwt(x), expected):
        assert torch.allclose(band, quadrant)


def test_the_inverse_reconstructs_perfectly_in_both_orders():
    x = random(2, 3, 6, 10)
    assert torch.allclose(haar_idwt(*haar_dwt(x)), x)
    bands = random(4, 2, 3, 3, 5, seed=1)
    assert torch.allclose(torch.stack(haar_dwt(haar_idwt(*bands))), bands)


def test_energy_is_kept():
    x = random(1, 8, 8)
    assert sum(band.square().sum() for band in haar_dwt(x)) == pytest.approx(float(x.square().sum()))


def test_an_image_that_does_not_vary_has_no_detail():
    low, *details = haar_dwt(torch.full((4, 4), 3.0))
    assert torch.equal(low, torch.full((2, 2), 6.0))
    assert not torch.stack(details).any()


def test_the_mean_of_the_inverse_knows_nothing_of_the_detail():
    """Why the harmonizer's personaliser needs a nonlinearity before it averages."""
    low, *details = random(4, 3, 4, 4)
    assert torch.allclose(haar_idwt(low, *details).mean((1, 2)), low.mean((1, 2)) / 2)
