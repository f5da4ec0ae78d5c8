# What every classification experiment shares.
_base_ = './default.py'
default_scope = 'mmpretrain'
default_hooks = dict(
    logger=dict(interval=100),
    checkpoint=dict(save_best='auto'),
    visualization=dict(type='VisualizationHook'))
visualizer = dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
tta_model = dict(type='AverageClsScoreTTA')
