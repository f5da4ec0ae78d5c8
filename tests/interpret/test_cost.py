from functools import partial

import pytest
import torch

from cbsa_mm.backbones.attention import AgentAttention
from cbsa_mm.interpret import count_flops, count_similarities, trace
from cbsa_mm.layers import CBSA, MHSA, TSSA, AdaptedMHSA, LinearAttention

D, H, P, N, M = 24, 2, 10, 36, 9  # width, heads, theirs, tokens, representatives


@pytest.mark.parametrize('make, number', [
    (MHSA, N * N), (partial(CBSA, representatives='tokens'), N * N),
    (partial(AgentAttention, grid_size=3), 2 * N * M),
    (partial(AdaptedMHSA, grid_size=3), 2 * N * M),
    (partial(AdaptedMHSA, grid_size=3, contraction=True), N * M + M * M),
    (partial(CBSA, grid_size=3), N * M + M * M),
    (partial(CBSA, representatives='principal', contraction='inverse'), N * P),
    (TSSA, N * P), (LinearAttention, N * P)])
def test_similarities_and_costs_without_data(make, number):
    assert count_similarities(trace(make(D, H, P), torch.zeros(2, N, D), (6, 6))) == number
    costs = []
    for device in ('cpu', 'meta'):
        with torch.device(device):
            costs.append(count_flops(make(D, H, P), torch.zeros(1, N, D), (6, 6)))
    assert costs[0] == costs[1] > 2 * 2 * N * D * H * P  # more than two projections
