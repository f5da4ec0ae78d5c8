import torch

from cbsa_mm.layers import resize_pos_embed


def test_follows_the_axes_and_keeps_extra_tokens():
    rows = torch.arange(4.).view(1, 4, 1).repeat_interleave(3, dim=1)  # value = row of a 4 x 3 grid
    extra = torch.randn(1, 2, 1)
    resized = resize_pos_embed(torch.cat([extra, rows], dim=1), (4, 3), (8, 3),
                               num_extra_tokens=2, mode='bilinear')
    assert torch.equal(resized[:, :2], extra)
    image = resized[0, 2:].view(8, 3)
    assert torch.equal(image, image[:, :1].expand(8, 3))
    assert (image[1:] >= image[:-1]).all()
