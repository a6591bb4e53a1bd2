import pytest
import torch

from stemwise.bands import count_bands, mask_bins, pool_bins
from stemwise.errors import ConfigError


def test_a_band_has_the_energy_of_its_bins(rng: torch.Generator) -> None:
    power = torch.rand(2, 50, 3, generator=rng)
    bands = pool_bins(power, n_single=20, width=3)
    assert bands.shape == (2, count_bands(50, n_single=20, width=3), 3) == (2, 30, 3)
    torch.testing.assert_close(bands[:, :20], power[:, :20])
    torch.testing.assert_close(bands[:, 29], power[:, 47:].sum(dim=1))


def test_a_bin_has_the_mask_of_its_band(rng: torch.Generator) -> None:
    magnitude, masks = torch.rand(2, 2, 50, 3, generator=rng), torch.rand(2, 4, 2, 30, 3, generator=rng)
    estimates = mask_bins(magnitude, masks, n_single=20, width=3)
    for bin_, band in ((0, 0), (19, 19), (20, 20), (22, 20), (23, 21), (49, 29)):
        torch.testing.assert_close(estimates[..., bin_, :], masks[..., band, :] * magnitude[:, None, :, bin_])


@pytest.mark.parametrize("n_bins", [51, 19])
def test_bins_that_make_no_whole_bands_are_refused(n_bins: int) -> None:
    with pytest.raises(ConfigError, match=f"n_bins is {n_bins}: it must be 20 single bins and whole bands"):
        count_bands(n_bins, n_single=20, width=3)
