"""Schedules, checks and start-up for mmengine's Runner."""
from cbsa_mm.require import require

require('mmengine')

from .checks import (
    ClassCountHook,
    StrictLoadHook,
    check_class_count,
    check_data_folders,
    check_model,
    load_strictly,
)
from .compression import CompressionHook
from .convert import Report, convert_file, restore_file
from .deploy import reparameterize_file, switch_to_deploy
from .explain import explain
from .export import export_file
from .guard import NonFiniteGuardHook
from .launch import (
    add_config_arguments,
    add_runner_arguments,
    add_trust_argument,
    build_runner,
    load_config,
    read_metainfo,
    report_user_errors,
    use_amp,
    use_auto_scale_lr,
    use_tta,
)
from .loading import PlainCheckpointHook, load_checkpoint, use_safe_loading
from .randomness import ExactResumeHook, SeededBatchSampler
from .saving import WholeFileBackend, find_checkpoint, use_resume
from .schedulers import MinWarmupCosineLR

__all__ = [
    'ClassCountHook', 'CompressionHook', 'ExactResumeHook', 'MinWarmupCosineLR',
    'NonFiniteGuardHook', 'PlainCheckpointHook', 'Report', 'SeededBatchSampler', 'StrictLoadHook',
    'WholeFileBackend', 'add_config_arguments', 'add_runner_arguments', 'add_trust_argument',
    'build_runner', 'check_class_count', 'check_data_folders', 'check_model',
    'convert_file', 'explain', 'export_file', 'find_checkpoint', 'load_checkpoint', 'load_config',
    'load_strictly', 'read_metainfo', 'reparameterize_file', 'report_user_errors', 'restore_file',
    'switch_to_deploy', 'use_amp', 'use_auto_scale_lr', 'use_resume', 'use_safe_loading', 'use_tta'
]
