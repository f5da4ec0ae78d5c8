# What every experiment shares: logs, checkpoints, checks, devices.
custom_imports = dict(imports=['cbsa_mm'], allow_failed_imports=False)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
sync_bn = 'torch'  # BatchNorm becomes SyncBatchNorm in distributed runs
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        backend_args=dict(backend='whole')),
    sampler_seed=dict(type='DistSamplerSeedHook'))
custom_hooks = [
    dict(type='StrictLoadHook'), dict(type='PlainCheckpointHook'), dict(type='ClassCountHook'),
    dict(type='NonFiniteGuardHook', max_bad_steps=3), dict(type='ExactResumeHook')
]
log_level = 'INFO'
load_from = None
resume = False
