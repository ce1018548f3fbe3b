"""Convolutions by transforms against the layers that they stand for, computed in float64."""

import pytest

torch = pytest.importorskip("torch")

from sss_lib.models.loaders import winograd  # noqa: E402


@pytest.mark.parametrize("tiles", [2, 5, 200])
@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize(
    ("n", "height", "width", "n_in", "n_out"), [(3, 12, 12, 5, 128), (2, 7, 10, 9, 130), (1, 2, 5, 4, 20)]
)
def test_a_convolution_by_transforms_is_that_of_its_layers(
    monkeypatch, n, height, width, n_in, n_out, pool, tiles
):
    monkeypatch.setattr(winograd, "TILES", tiles)
    torch.manual_seed(n)
    conv = torch.nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
    norm = torch.nn.BatchNorm2d(n_out).eval()
    for of in (norm.weight, norm.bias, norm.running_mean):
        torch.nn.init.normal_(of)
    norm.running_var.uniform_(0.5, 2)
    x = torch.randn(n, height, width, n_in)
    with torch.inference_mode():
        found = winograd.Convolution(conv, norm, pool)(x)
        plain = torch.relu(norm.double()(conv.double()(x.double().permute(0, 3, 1, 2))))
        expected = torch.nn.functional.max_pool2d(plain, pool).permute(0, 2, 3, 1)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5 * float(expected.max()))
