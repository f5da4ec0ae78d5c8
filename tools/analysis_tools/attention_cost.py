"""Tabulates and plots the cost of one attention module vs. the number of tokens: FLOPs, as in
figures 2 and 9 of the paper (arXiv 2509.16875v3), and pairwise similarities, as in its table 4.

Both are counted on the modules, not computed from formulas. FLOPs are 2 per
multiply-add and include the projections; normalisations, softmax, sums and matrix factorisations
(p x p in each head, in eq. 12) are not counted. CBSA has the multiply-adds of
table 1, 2Nd^2 + 3Nmd + 2m^2d, with two differences: pooling consists of products here, which adds
8Nd + 64sqrt(N)d on a square grid, and the broadcast comes after the output map if that saves a
tenth of the two, as with many tokens.

Pairwise similarities are the entries of one head's similarity matrices: N^2 among N
tokens; Nm between tokens and m representatives, 2Nm in Agent attention, where each side attends to
the other; m^2 among contracted representatives; Np between tokens and the p directions or
axes of a subspace. Table 4 sums over heads and layers for 197 tokens: our counts match it for
MSSA and TSSA, but not for CBSA (0.60 million for T, published 0.53) and Agent attention (0.91,
published 0.52), whose count the paper does not explain.
"""
from argparse import Namespace

from cbsa_mm.arguments import ARCHS, ArgumentParser, add_output_arguments, integer


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('--archs', nargs='+', choices=ARCHS, default=['tiny', 'small', 'base'],
                        metavar='ARCH', help='width and heads: tiny, small, base, large; the first '
                        'three by default')
    parser.add_argument('--tokens', nargs='+', type=integer(1), metavar='N',
                        default=[196, 576, 1024, 1600, 4096],
                        help='numbers of tokens; by default for 224 to 1024 pixels in patches of '
                        '16; their grid is as close to a square as possible')
    add_output_arguments(parser, 'attention_cost.png')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import itertools
import json
import math
import sys

import matplotlib
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from cbsa_mm.backbones.attention import build_attention
from cbsa_mm.backbones.cbt import ARCHS as SIZES
from cbsa_mm.checkpoints import write_whole
from cbsa_mm.engine import report_user_errors
from cbsa_mm.interpret import count_flops, count_similarities, trace

ATTENTIONS = {
    'MHSA': dict(type='MHSA'),
    'MSSA (CRATE)': dict(type='MSSA'),
    'linear, three projections': dict(type='LinearAttention'),
    'CBSA, three projections': dict(type='AdaptedMHSA', contraction=True),
    'Agent attention': dict(type='AgentAttention'),
    'linear, eq. 12': dict(type='CBSA', representatives='principal', contraction='inverse'),
    'CBSA': dict(type='CBSA'),
    'TSSA (ToST)': dict(type='TSSA'),
}
COLOURS = ('#D55E00', '#E69F00', '#CC79A7', '#009E73', '#56B4E9', 'gray', '#0072B2', 'black')
STYLES = ('o-', 's--', '^-', 'v--', 'D-', '*--', 'P-', 'X--')  # since some curves coincide


def build(arch: str, attn_cfg: dict, num_tokens: int) -> tuple[nn.Module, Tensor, tuple[int, int]]:
    """An attention, tokens (1, N, d) for it, and their grid, on the meta device."""
    height = max(i for i in range(1, math.isqrt(num_tokens) + 1) if num_tokens % i == 0)
    d, num_heads = (SIZES[arch][key] for key in ('embed_dims', 'num_heads'))
    with torch.device('meta'):
        attn, x = build_attention(attn_cfg, d, num_heads), torch.zeros(1, num_tokens, d)
    return attn, x, (height, num_tokens // height)


def count(archs: list[str], tokens: list[int]) -> dict[str, dict[str, list[int]]]:
    """Counts by panel title and attention, for each number of tokens."""
    counts = {f'FLOPs, {arch}': {
        name: [count_flops(*build(arch, attn_cfg, n)) for n in tokens]
        for name, attn_cfg in ATTENTIONS.items()} for arch in archs}
    return counts | {'pairwise similarities in one head': {
        name: [count_similarities(trace(*build(archs[0], attn_cfg, n))) for n in tokens]
        for name, attn_cfg in ATTENTIONS.items()}}


def draw(counts: dict, tokens: list[int]) -> Figure:
    """One panel per kind of count, with one curve per attention."""
    matplotlib.use('agg')
    figure = Figure((1 + 3 * len(counts), 3.6), layout='constrained')
    for axes, (title, curves) in zip(figure.subplots(1, len(counts)), counts.items()):
        for (name, values), colour, style in zip(
                curves.items(), itertools.cycle(COLOURS), itertools.cycle(STYLES)):
            axes.loglog(tokens, values, style, color=colour, markersize=4, label=name)
        axes.set_title(title, fontsize=9)
        axes.set_xticks(tokens, map(str, tokens), fontsize=8)
        axes.minorticks_off()
        axes.set_xlabel('tokens', fontsize=8)
        axes.yaxis.set_major_formatter(EngFormatter())
        axes.grid(alpha=0.3)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc='outside lower center',
                  ncols=4, fontsize=8)
    return figure


def main(args: Namespace) -> None:
    counts = count(args.archs, args.tokens)
    for title, rows in counts.items():
        table = Table(f'{title}, by tokens', *map(str, args.tokens))
        for name, values in rows.items():
            table.add_row(name, *map(EngFormatter(places=2), values))
        Console().print(table)
    write_whole(args.out, lambda file: draw(counts, args.tokens).savefig(file, dpi=110))
    print(f'The picture is {args.out}')
    if args.json:
        text = json.dumps(dict(command=' '.join(sys.argv), tokens=args.tokens, counts=counts),
                          indent=1)
        write_whole(args.json, lambda file: file.write_text(text))


if __name__ == '__main__':
    with report_user_errors():
        main(args)
