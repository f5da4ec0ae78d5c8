"""Learning rates that fall towards the first layers, to fine-tune pretrained backbones."""
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from cbsa_mm.errors import UserError


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Layer-wise learning rate decay (arXiv 2106.08254) in classifiers, segmenters and detectors.

    The rate of a parameter is multiplied by ``layer_decay_rate ** (number of layers above it)``;
    heads have the full rate. The model's backbone must have a method
    ``get_layer_depth(param_name, prefix)``, as CBT, PlainViT and mmpretrain's ViTs have. In a
    config: ``optim_wrapper = dict(constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75), ...)``.

    Args:
        optim_wrapper_cfg: The optimizer's wrapper.
        paramwise_cfg: ``layer_decay_rate``, and mmengine's options, such as ``norm_decay_mult``.

    Raises:
        UserError: If the rate of decay is missing or not in (0, 1], or the backbone lacks
            ``get_layer_depth``.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        paramwise_cfg = dict(paramwise_cfg or {})
        self.rate = paramwise_cfg.pop('layer_decay_rate', None)
        if not isinstance(self.rate, int | float) or not 0 < self.rate <= 1:
            raise UserError('optim_wrapper.paramwise_cfg.layer_decay_rate must be above 0 and at '
                            f'most 1, got {self.rate}')
        # mmengine makes a group for each parameter only if there are options.
        super().__init__(optim_wrapper_cfg, paramwise_cfg or dict(custom_keys={}))

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '',
                   is_dcn_module: int | float | None = None) -> None:
        """Adds a group of options for each parameter of a module."""
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:
            return
        backbone = getattr(module, 'backbone', None)
        if not hasattr(backbone, 'get_layer_depth'):
            raise UserError(f'layer-wise decay needs a backbone with get_layer_depth, which '
                            f'{type(backbone).__name__} lacks: take PlainViT for a ViT')
        names = {parameter: name for name, parameter in module.named_parameters()}
        for group in params:
            depth, num_depths = backbone.get_layer_depth(names[group['params'][0]], 'backbone.')
            group['lr'] = group.get('lr', self.base_lr) * self.rate**(num_depths - depth - 1)
