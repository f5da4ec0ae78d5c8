import json
from pathlib import Path


def run(run_tool, arch, tokens):
    """FLOPs and similarities by attention, for each number of tokens."""
    run_tool('attention_cost', '--archs', arch, '--tokens', *tokens, '--json', 'cost.json')
    assert Path('attention_cost.png').stat().st_size > 10_000
    return json.loads(Path('cost.json').read_text())['counts'].values()


def test_attention_cost_is_that_of_table_1(run_tool):
    N, d, m = 196, 384, 64
    flops, _ = run(run_tool, 'small', [100, N, 4 * N])
    pooling = 8 * N * d + m * 14 * d
    assert flops['CBSA'][1] == 2 * (2 * N * d**2 + 3 * N * m * d + 2 * m**2 * d + pooling)
    assert flops['MSSA (CRATE)'][1] == 2 * (2 * N * d**2 + 2 * N**2 * d)
    assert flops['MHSA'][1] == 2 * (4 * N * d**2 + 2 * N**2 * d)
    less = [cbsa < mssa for cbsa, mssa in zip(flops['CBSA'], flops['MSSA (CRATE)'])]
    assert less == [False, True, True]  # paper, section 3.2: if there are more than 2p tokens
    for name, (_, few, many) in flops.items():
        assert (many > 4 * few) == (name in ('MHSA', 'MSSA (CRATE)'))  # the others are linear


def test_attention_cost_compares_as_often_as_table_4_tells(run_tool):
    _, similarities = run(run_tool, 'tiny', [197])
    millions = {name: 12 * 3 * number / 1e6 for name, [number] in similarities.items()}
    assert round(millions['MSSA (CRATE)'], 1) == 1.4
    assert round(millions['TSSA (ToST)'], 2) == 0.45
    assert round(millions['CBSA'], 2) == 0.60  # published: 0.53
    assert round(millions['Agent attention'], 2) == 0.91  # published: 0.52
