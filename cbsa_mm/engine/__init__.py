"""Schedules, checks and start-up for mmengine's Runner."""
from cbsa_mm.require import require

require('mmengine')

from .checks import ClassCountHook, StrictLoadHook, check_data_folders, load_strictly
from .launch import (
    add_config_arguments,
    add_runner_arguments,
    build_runner,
    load_config,
    report_user_errors,
    use_amp,
    use_auto_scale_lr,
    use_tta,
)
from .schedulers import MinWarmupCosineLR

__all__ = [
    'ClassCountHook', 'MinWarmupCosineLR', 'StrictLoadHook', 'add_config_arguments',
    'add_runner_arguments', 'build_runner', 'check_data_folders', 'load_config', 'load_strictly',
    'report_user_errors', 'use_amp', 'use_auto_scale_lr', 'use_tta'
]
