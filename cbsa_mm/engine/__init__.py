"""Running experiments: start-up, checks, hooks, schedules and processes."""
from cbsa_mm.require import require

require('mmengine')

from .check_config import check_config
from .checks import ClassCountHook, StrictLoadHook, check_class_count
from .compression import CompressionHook
from .guard import NonFiniteGuardHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .launch import build_runner, load_config, use_amp, use_auto_scale_lr, use_tta
from .plain_checkpoints import PlainCheckpointHook
from .randomness import ExactResumeHook, SeededBatchSampler
from .report_errors import report_user_errors
from .saving import WholeFileBackend, find_checkpoint, use_resume
from .schedulers import MinWarmupCosineLR

__all__ = [
    'ClassCountHook', 'CompressionHook', 'ExactResumeHook', 'LayerDecayOptimWrapperConstructor',
    'MinWarmupCosineLR', 'NonFiniteGuardHook', 'PlainCheckpointHook', 'SeededBatchSampler',
    'StrictLoadHook', 'WholeFileBackend', 'build_runner', 'check_class_count', 'check_config',
    'find_checkpoint', 'load_config', 'report_user_errors', 'use_amp',
    'use_auto_scale_lr', 'use_resume', 'use_tta'
]
