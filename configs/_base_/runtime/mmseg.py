# What every segmentation experiment shares.
_base_ = './default.py'
default_scope = 'mmseg'
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(
        by_epoch=False,
        interval=2 * 2527,  # iterations; 2 epochs of ADE20K
        save_best='mIoU'),
    visualization=dict(type='SegVisualizationHook'))
visualizer = dict(
    type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], alpha=0.6)
log_processor = dict(by_epoch=False)
tta_model = dict(type='SegTTAModel')
