import pytest
import released
import torch

from cbsa_mm.interpret import coding_rate, sparsity, subspace_overlap


@pytest.mark.released
def test_coding_rate_of_the_released_code():
    golden = released.read('coding_rate')
    rates = coding_rate(golden['input.z'])
    for name, value, limit in (('mean', rates.mean(), 1e-5), ('std', rates.std(), 1e-3)):
        error = released.relative_error(value, golden[f'output.{name}'][0])
        released.agree(f'coding rate, {name}', error, limit)


@pytest.mark.parametrize('n, p', [(40, 7), (5, 7)])
@pytest.mark.parametrize('normalize', [False, True])
def test_coding_rate_by_singular_values(n, p, normalize):
    z = torch.randn(2, 3, n, p, dtype=torch.double)
    rates = coding_rate(z, 0.5, normalize)
    z = z / z.norm(dim=-1, keepdim=True) if normalize else z
    singular = torch.linalg.svdvals(z)
    expected = (1 + p / (n * 0.5) * singular**2).log().sum((1, 2)) / 2
    torch.testing.assert_close(rates, expected)


def test_sparsity():
    x = torch.ones(2, 3, 4)
    x[1, 0, :3] = 0
    assert sparsity(x).tolist() == [0, 0.25]


def test_overlap():
    basis = torch.linalg.qr(torch.randn(12, 12)).Q
    weight = torch.cat([basis[:4], 2 * basis[4:8], basis[2:6]])
    expected = torch.tensor([[1, 0, .5], [0, 1, .5], [.5, .5, 1]])
    torch.testing.assert_close(subspace_overlap(weight, 3), expected, atol=1e-5, rtol=0)
