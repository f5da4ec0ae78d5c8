import torch

from cbsa_mm.layers import resize_pos_embed


def test_keeps_extra_tokens_and_constants():
    pos_embed = torch.cat([torch.randn(1, 2, 5), torch.ones(1, 12, 5)], dim=1)
    resized = resize_pos_embed(pos_embed, (3, 4), (6, 5), num_extra_tokens=2)
    assert resized.shape == (1, 2 + 30, 5)
    assert torch.equal(resized[:, :2], pos_embed[:, :2])
    torch.testing.assert_close(resized[:, 2:], torch.ones(1, 30, 5))


def test_follows_the_axes():
    rows = torch.arange(4.).view(1, 4, 1).repeat_interleave(3, dim=1)  # value = row of a 4 x 3 grid
    resized = resize_pos_embed(rows, (4, 3), (8, 3), num_extra_tokens=0, mode='bilinear')
    assert torch.equal(resized.view(8, 3), resized.view(8, 3)[:, :1].expand(8, 3))
    assert (resized.view(8, 3)[1:, 0] >= resized.view(8, 3)[:-1, 0]).all()
