# Agent attention in the setting of cbt-t_in1k.py. Published: 63.8 top-1 at 224 px
# (arXiv 2509.16875v3); not trained here.
# bash tools/dist_train.sh configs/agent/agent-t_in1k.py 8 --amp
_base_ = '../cbt/cbt-t_in1k.py'
model = dict(backbone=dict(attn_cfg=dict(type='AgentAttention')))
