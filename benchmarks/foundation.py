"""Decoders on the features of one frozen encoder, and that encoder: their cost apart."""
from argparse import Namespace

import torch
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn

from cbsa_mm.interpret import count_flops, count_parameters

from .models import Inference
from .timing import interleave, peak_memory, summarize

# DINOv3's by arch: width, heads, the four layers that some decoders take, layers of the CBT decoder
# of such a ViT (arXiv 2509.16875v3).
ENCODERS = {'base': (768, 12, (2, 5, 8, 11), 6), 'large': (1024, 16, (5, 11, 17, 23), 9)}
CASES = ('encoder', 'CBT', 'Segmenter', 'PMT', 'UPerNet')
CLASSES, PATCH = 150, 16


class PlainMaskDecoder(nn.Module):
    """The sizes of PMT's decoder (arXiv 2603.25398; github.com/tue-mps/pmt, pmt_l.yaml of ADE20K).

    Four levels, each normalised and mapped by a small MLP, are added up; 100 queries and the tokens
    pass six transformer blocks with MLPs of the tokens' width; masks are products of queries with
    the map, enlarged four times, and are summed by class. Rotary embeddings, LayerScale and
    the encoder's five special tokens are left out, and attention is not masked, as at the end of
    its training: all of that is small. It is to be measured, not to be trained.

    Args:
        width: Width of the features.
        num_heads: Attention heads.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(4))
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width // 2), nn.GELU(), nn.Linear(width // 2, width))
            for _ in range(4))
        self.queries = nn.Parameter(torch.zeros(1, 100, width))
        layer = nn.TransformerEncoderLayer(
            width, num_heads, width, 0., 'gelu', batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 6, nn.LayerNorm(width),
                                            enable_nested_tensor=False)
        self.enlarge = nn.Sequential(*(
            nn.Sequential(nn.ConvTranspose2d(width, width, 2, 2), nn.GELU(),
                          nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
                          nn.GroupNorm(1, width)) for _ in range(2)))
        self.mask_head = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU(),
            nn.Linear(width, width))
        self.class_head = nn.Linear(width, CLASSES + 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps four features (B, d, H, W) to logits (B, K, 4 H, 4 W)."""
        grid, x = maps[0].shape[2:], 0
        for norm, lateral, level in zip(self.norms, self.laterals, maps):
            level = norm(level).flatten(2).mT
            x = x + level + lateral(level)
        x = self.blocks(torch.cat([self.queries.expand(len(x), -1, -1), x], dim=1))
        queries, x = x[:, :100], x[:, 100:].mT.unflatten(2, grid)
        masks = torch.einsum('bqd,bdhw->bqhw', self.mask_head(queries), self.enlarge(x))
        classes = self.class_head(queries).softmax(-1)[..., :-1]
        return torch.einsum('bqhw,bqk->bkhw', masks.sigmoid(), classes)


def make_case(name: str, arch: str) -> nn.Module:
    """The encoder, or a decoder of its features, with random weights: a name of ``CASES``."""
    width, num_heads, levels, num_layers = ENCODERS[arch]
    torch.manual_seed(0)
    if name == 'encoder':
        from cbsa_mm.backbones import TimmEncoder
        return TimmEncoder(f'vit_{arch}_patch16_dinov3', pretrained=False, out_indices=levels,
                           frozen=True, keep_weights=True)
    if name == 'PMT':
        return PlainMaskDecoder(width, num_heads)
    init_default_scope('mmseg')
    common = dict(in_channels=width, num_classes=CLASSES)
    if name == 'CBT':
        head = MODELS.build(
            dict(common, type='CBTMaskTransformerHead', num_layers=num_layers, in_index=3))
        head.switch_to_deploy()
        return head
    if name == 'Segmenter':
        return MODELS.build(dict(
            common, type='SegmenterMaskTransformerHead', channels=width, embed_dims=width,
            num_layers=2, num_heads=num_heads, dropout_ratio=0, in_index=3))
    return nn.Sequential(  # with the neck that makes a pyramid of a ViT's levels
        MODELS.build(dict(type='MultiLevelNeck', in_channels=[width] * 4, out_channels=width,
                          scales=[4, 2, 1, 0.5])),
        MODELS.build(dict(common, type='UPerHead', in_channels=[width] * 4, channels=512,
                          in_index=[0, 1, 2, 3], norm_cfg=dict(type='BN'))))


def make_run(name: str, arch: str, side: int, device: str) -> Inference:
    """A forward pass on one image of ``side`` pixels, or on its features."""
    shape = (3, side, side) if name == 'encoder' else (
        ENCODERS[arch][0], side // PATCH, side // PATCH)
    inputs = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    return Inference(make_case(name, arch), inputs if name == 'encoder' else [inputs] * 4,
                     torch.float32, torch.device(device))


def foundation(args: Namespace) -> dict:
    """Encoder and decoders for one image, by arch and side: FLOPs, parameters, time, memory."""
    results = {}
    for arch in [arch for arch in ENCODERS if arch in args.archs] or ENCODERS:
        for side in args.sides or (512, 640, 1024):
            cases = {name: make_run(name, arch, side, str(args.device)) for name in CASES}
            seconds = interleave(cases, args.repeats, args.device, f'{arch}, {side} pixels')
            results[f'{arch}, {side} pixels'] = {
                name: result | dict(
                    parameters=count_parameters(cases[name].model),
                    flops=count_flops(cases[name].model, cases[name].inputs),
                    memory=peak_memory(make_run, name, arch, side, str(args.device)))
                for name, result in summarize(seconds).items()}
    return results
