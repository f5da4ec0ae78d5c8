"""The compared models: CBT in its forms, and with other attentions."""
import contextlib
import copy
import logging

import oracle
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from cbsa_mm.backbones import CBT


class PlainCBT(nn.Module):
    """A CBT computed in the plain form, with the same weights."""

    def __init__(self, model: CBT) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).to(memory_format=torch.contiguous_format)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        weights = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
        num_heads = self.model.layers[0].attn.num_heads
        return oracle.cbt(image, weights, num_heads, self.training),


class PlainDecoder(nn.Module):
    """A CBT decoder computed in the plain form, with the same weights."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = copy.deepcopy(head)

    def forward(self, inputs: list[Tensor]) -> Tensor:
        attn = self.head.layers[0].attn
        return oracle.decoder(inputs[0], dict(self.head.named_parameters()), attn.num_heads,
                              attn.representatives.grid_size)


def make_cbt(form: str, arch: str, size: int = 224, with_cp: bool = False) -> nn.Module:
    """A CBT with seeded weights: 'plain', 'ours' or 'deploy'."""
    torch.manual_seed(0)
    model = CBT(arch, img_size=size, with_cp=with_cp)
    if form == 'plain':
        return PlainCBT(model)
    if form == 'deploy':
        model.switch_to_deploy()
    return model


def make_backbone(attention: str, size: int, arch: str = 'small',
                  deploy: bool = True) -> nn.Module:
    """A model with the width, depth and heads of CBT's arch, and one of four attentions."""
    if attention == 'softmax':
        from mmpretrain.models import VisionTransformer
        return VisionTransformer(f'deit-{arch}', img_size=size)
    return CBT(arch, img_size=size, attn_cfg=dict(type=attention), deploy=deploy)


def make_decoder(kind: str, embed_dims: int, num_layers: int, num_classes: int = 150) -> nn.Module:
    """A decoder: 'plain', 'ours', 'deploy', 'DEPICT' (-SA), or mmseg's 'Segmenter'."""
    from mmseg.models.decode_heads import SegmenterMaskTransformerHead

    from cbsa_mm.decode_heads import CBTMaskTransformerHead, DEPICTSAHead
    torch.manual_seed(0)
    init_default_scope('mmseg')
    if kind == 'Segmenter':
        head = SegmenterMaskTransformerHead(
            in_channels=embed_dims, channels=embed_dims, embed_dims=embed_dims, num_layers=2,
            num_heads=embed_dims // 64, num_classes=num_classes, dropout_ratio=0)
        logging.disable(logging.INFO)  # it logs every initialized tensor
        head.init_weights()
        logging.disable(logging.NOTSET)
        return head
    decoder = DEPICTSAHead if kind == 'DEPICT' else CBTMaskTransformerHead
    head = decoder(embed_dims, num_layers=num_layers, num_classes=num_classes)
    if kind == 'plain':
        return PlainDecoder(head)
    if kind == 'deploy':
        head.switch_to_deploy()
    return head


class Inference:
    """A repeatable forward pass without gradients.

    Args:
        model: A module; moved to the device and set to evaluation mode.
        inputs: Its argument.
        dtype: float32, or the autocast dtype.
        device: Its device.
    """

    def __init__(self, model: nn.Module, inputs: Tensor | list[Tensor], dtype: torch.dtype,
                 device: torch.device) -> None:
        model.to(device).eval()
        self.model, self.inputs, self.dtype, self.device = model, inputs, dtype, device

    @torch.inference_mode()
    def __call__(self) -> Tensor:
        with autocast(self.device, self.dtype):
            out = self.model(self.inputs)
        return out[0] if isinstance(out, tuple) else out


class TrainingStep:
    """Forward pass, cross-entropy over 1000 classes, backward pass, AdamW.

    Args:
        model: A backbone that returns class tokens (B, d).
        images: (B, 3, H, W).
        dtype: float32, or the autocast dtype.
        device: Its device.
    """

    def __init__(self, model: nn.Module, images: Tensor, dtype: torch.dtype,
                 device: torch.device) -> None:
        torch.manual_seed(1)
        model.to(device).train()
        self.model, self.images, self.dtype, self.device = model, images, dtype, device
        width = getattr(model, 'model', model).embed_dims
        self.head = nn.Linear(width, 1000).to(device)
        self.labels = torch.arange(len(images), device=device)
        self.optimizer = torch.optim.AdamW([*model.parameters(), *self.head.parameters()], lr=1e-4)

    def __call__(self) -> Tensor:
        self.optimizer.zero_grad()
        with autocast(self.device, self.dtype):
            loss = F.cross_entropy(self.head(self.model(self.images)[0]), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager:
    """Autocast, or nothing for float32."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype)
