"""The choices of CBSA, against the formulas that they stand for (arXiv 2509.16875v3, 3.3).

Not here but held to the released code: MSSA and TSSA in test_cbt.py, tied MSSA with the DEPICT
heads; MHSA is held to mmpretrain's in test_vit.py.
"""
import oracle
import pytest
import released
import torch
import torch.nn.functional as F
from choices import CHOICES
from gradients import assert_same
from torch.func import functional_call

from cbsa_mm.layers import CBSA, AdaptedMHSA, LinearAttention

GRID = (5, 4)


def make(d=12, h=3, grid_size=2, seed=0, **kwargs):
    torch.manual_seed(seed)
    return CBSA(d, h, grid_size=grid_size, **kwargs).double()


def tokens(d=12, batch=2, n=21, seed=1):
    return torch.randn(batch, n, d, dtype=torch.double,
                       generator=torch.Generator().manual_seed(seed), requires_grad=True)


def assert_is(attn, x, expected):
    """With the gradients of the tokens and all parameters."""
    assert_same(attn(x, GRID), expected, [x, *attn.parameters()], rtol=1e-9, atol=1e-11)


def project_out(attn, y):
    """Heads' results (B, h, N, p) back to width d, by the definition."""
    y = y.permute(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1)
    if attn.out_proj is None:
        return y @ attn.in_proj.weight
    return F.linear(y, attn.out_proj.weight, attn.out_proj.bias)


def project_in(attn, x):
    return oracle.split_heads(F.linear(x, attn.in_proj.weight), attn.num_heads)


@pytest.mark.parametrize('eps', [0.1, 3.])
@pytest.mark.parametrize('representatives', ['principal', 'orthogonal'])
def test_directions_and_exact_inverse_are_the_spectrum_form(representatives, eps):
    attn, x = make(representatives=representatives, contraction='inverse', eps=eps), tokens()
    squares = 1
    if representatives == 'orthogonal':                               # of one length
        squares = torch.nn.init.constant_(attn.representatives.scale, 2).flip(1).squeeze(-1)**2
    left, singular, right = torch.linalg.svd(project_in(attn, x), full_matrices=False)
    shrunk = singular * squares / (1 + squares * (singular / eps)**2)  # eq. 12
    assert_is(attn, x, project_out(attn, left * shrunk.unsqueeze(-2) @ right))


def test_principal_directions_bear_repeated_tokens():
    """There the singular vectors are not unique, and their derivatives infinite."""
    attn = make(representatives='principal', contraction='inverse')
    x = torch.ones(1, 21, 12, dtype=torch.double, requires_grad=True)
    y, w = attn(x, GRID), project_in(attn, x)
    [grad] = torch.autograd.grad(y.square().sum(), x)
    assert grad.isfinite().all()
    matrix = torch.eye(4, dtype=torch.double) + w.mT @ w / 0.1**2
    torch.testing.assert_close(y, project_out(attn, w @ torch.linalg.inv(matrix)))


def test_orthogonal_representatives_descend_the_coding_rate():
    """Of representatives P W A as in appendix B, whatever the rotation P."""
    attn, x = make(representatives='orthogonal', contraction='inverse', eps=0.5), tokens()
    scale = torch.nn.init.normal_(attn.representatives.scale)         # the weakest direction first
    W = project_in(attn, x).mT.detach().requires_grad_()              # tokens as columns
    A = torch.linalg.svd(W, full_matrices=False).Vh.mT.detach() * scale.flip(1).mT
    P = torch.linalg.qr(torch.randn(3, 4, 4, dtype=torch.double)).Q
    Q = P @ W @ A
    rate = torch.logdet(torch.eye(4, dtype=torch.double) + Q.mT @ Q / 0.5**2).sum() / 2
    [gradient] = torch.autograd.grad(rate, W)
    torch.testing.assert_close(attn(x, GRID), project_out(attn, 0.5**2 * gradient.mT))
    assert torch.autograd.gradcheck(
        lambda scale: functional_call(attn, {'representatives.scale': scale}, (x, GRID)), scale)


def test_fixed_axes_are_channel_attention():
    attn, x = make(representatives='fixed', contraction='inverse', eps=2.), tokens()
    w = project_in(attn, x)
    energies = w.square().sum(dim=-2, keepdim=True)                   # eq. 13
    assert_is(attn, x, project_out(attn, w * 2**2 / (2**2 + energies)))


@pytest.mark.parametrize('representatives', ['pooled', 'learnable'])
def test_no_contraction_is_agent_attention(representatives):
    attn, x = make(representatives=representatives, contraction='none'), tokens()
    w = project_in(attn, x)
    agents = attn.representatives(w, GRID, 0)
    values, _ = oracle.attend(agents, w, w)
    y, _ = oracle.attend(w, agents, values)
    assert_is(attn, x, project_out(attn, y))


@pytest.mark.parametrize('grid_size', [1, 3])  # fewer and more representatives than p
@pytest.mark.parametrize('representatives', ['pooled', 'learnable'])
def test_exact_inverse(representatives, grid_size):
    attn = make(representatives=representatives, contraction='inverse', grid_size=grid_size)
    x, m = tokens(), grid_size**2
    w = project_in(attn, x)
    R0 = attn.representatives(w, GRID, 0)
    extracted, A = oracle.attend(R0, w, w)
    R = R0 + attn.step_rep * extracted
    matrix = torch.eye(m, dtype=torch.double) + 4 / (m * 0.1**2) * R @ R.mT  # eq. 7
    assert_is(attn, x, project_out(attn, attn.step_x * (A.mT @ torch.linalg.inv(matrix) @ R)))


def test_exact_inverse_of_all_tokens():
    attn, x = make(representatives='tokens', contraction='inverse'), tokens()
    w = project_in(attn, x)
    matrix = torch.eye(21, dtype=torch.double) + 4 / (21 * 0.1**2) * w @ w.mT
    assert_is(attn, x, project_out(attn, torch.linalg.inv(matrix) @ w))


@pytest.mark.parametrize('n_extra', [1, 200])  # both orders of the broadcast
def test_tied_output_is_the_transposed_projection(n_extra):
    attn, x = make(output='tied', d=24), tokens(d=24, n=20 + n_extra)
    free = make(d=24)
    weight = attn.in_proj.weight
    free.load_state_dict(dict(attn.state_dict()) | {
        'out_proj.weight': weight.detach().mT, 'out_proj.bias': torch.zeros(24)})
    torch.testing.assert_close(attn(x, GRID), free(x, GRID))
    assert {name for name, _ in attn.named_parameters()} == {
        'in_proj.weight', 'step_rep', 'step_x'}


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('representatives, contraction', [
    ('pooled', 'softmax'), ('principal', 'inverse')])
def test_convolution_adds_the_neighbourhood(representatives, contraction, offset):
    attn = make(representatives=representatives, contraction=contraction, conv_size=3)
    plain = make(representatives=representatives, contraction=contraction)
    plain.load_state_dict({k: v for k, v in attn.state_dict().items() if 'conv' not in k})
    x = tokens()
    w = F.linear(x, attn.in_proj.weight)
    image = w[:, offset:offset + 20].mT.reshape(2, 12, *GRID)
    local = F.conv2d(image, attn.conv.weight, attn.conv.bias, padding=1, groups=12)
    local = F.pad(local.flatten(2).mT, (0, 0, offset, 1 - offset))
    expected = plain(x, GRID, offset) + F.linear(local, attn.out_proj.weight)
    torch.testing.assert_close(attn(x, GRID, offset), expected)


@pytest.mark.parametrize('representatives, contraction', CHOICES)
def test_half_precision_stays_close(representatives, contraction, autocast):
    attn = make(representatives=representatives, contraction=contraction, eps=1.).float()
    x = 30 * tokens(n=2000).float()  # sums of squares beyond float16
    exact = attn(x, (40, 50))
    with autocast(torch.float16):
        rounded = [attn(x, (40, 50))]
    rounded.append(attn.bfloat16()(x.bfloat16(), (40, 50)))
    assert all((y - exact).norm() < 0.1 * exact.norm() for y in rounded)
    assert rounded[1].dtype == torch.bfloat16


@pytest.mark.parametrize('kwargs, message', [
    (dict(representatives='random'), "representatives must be one of pooled, .* got 'random'"),
    (dict(output='open'), "output must be 'free' or 'tied', got 'open'"),
    (dict(conv_size=2), 'conv_size must be odd, or 0 for none, got 2'),
    (dict(representatives='fixed'), 'is incompatible with .*fixed axes is the same for all images'),
])
def test_refuses_what_makes_no_sense(kwargs, message):
    with pytest.raises(ValueError, match=message):
        CBSA(12, 3, **kwargs)


@pytest.mark.released
@pytest.mark.parametrize('name, attn, grid', [
    ('adapted_vit_attention', AdaptedMHSA(48, 3), (14, 14)),
    ('linear_attention', LinearAttention(24, 3), (7, 7))])
def test_parity_with_the_released_attentions_of_adapted_vits(name, attn, grid):
    golden, attn = released.read(name), attn.to(released.device())
    names = {'qkv.weight': 'in_proj.weight', 'qkv.bias': 'in_proj.bias',
             'proj.weight': 'out_proj.weight', 'proj.bias': 'out_proj.bias'}
    attn.load_state_dict({names[k]: v for k, v in released.pick(golden, 'weight.').items()})
    x = golden['input.tokens'].requires_grad_()
    y = attn(x, grid)
    error = released.relative_error(y, golden['output.tokens'])
    released.agree(f'{type(attn).__name__}, tokens', error, 1e-5)

    (y * golden['input.upstream_grad']).sum().backward()
    grads = released.pick(golden, 'grad.')
    ours = dict(input=x.grad) | {k: attn.get_parameter(names[k]).grad for k in names}
    released.agree(f'{type(attn).__name__}, gradients, the worst', [
        released.relative_error(ours[name], grads[name]) for name in ours], 1e-4)


def test_adapted_attention_with_contraction():
    torch.manual_seed(0)
    attn, x = AdaptedMHSA(12, 3, grid_size=2, contraction=True).double(), tokens()
    q, k, v = (oracle.split_heads(t, 3) for t in
               F.linear(x, attn.in_proj.weight, attn.in_proj.bias).chunk(3, dim=-1))
    image = q[:, :, 1:].transpose(-1, -2).reshape(2, 12, *GRID)
    Q0 = F.adaptive_avg_pool2d(image, 2).reshape(2, 3, 4, 4).transpose(-1, -2)
    extracted, A = oracle.attend(Q0, k, v)
    C, _ = oracle.attend(Q0 + extracted, Q0 + extracted, Q0 + extracted)
    torch.testing.assert_close(attn(x, GRID, 1), project_out(attn, A.mT @ C))
