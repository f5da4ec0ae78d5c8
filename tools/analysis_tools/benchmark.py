"""Times CBT, interleaved in one run: plain form, ours, deploy form, and other attentions.

Parts: classifiers (inference and training step, float32 and bfloat16), decoders at 512 pixels,
scaling (with image size, and peak memory), memory (of a training step), gemm (fraction of
the machine's matrix product rate), profile (time of a decoder by operation), runner (mmengine's
loop vs. the bare step), throughput (images per second at 512 pixels of CBT, ViT, CRATE and ToST,
T and S, as in the paper's table 7). The plain form computes the same as the released code.
"""
import argparse
import json
import os
import sys
from pathlib import Path

import torch
from rich.console import Console

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'benchmarks')]  # for its parts, and the plain form

from benchmarks.figures import plot  # noqa: E402
from benchmarks.parts import PARTS, SIDES  # noqa: E402
from benchmarks.tables import show  # noqa: E402
from benchmarks.timing import describe_machine  # noqa: E402
from cbsa_mm.backbones.cbt import ARCHS  # noqa: E402
from cbsa_mm.checkpoints import write_whole  # noqa: E402
from cbsa_mm.engine import report_user_errors  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--parts', nargs='+', choices=PARTS, metavar='PART',
                        help='parts to run; all by default, throughput only on a GPU')
    parser.add_argument('--archs', nargs='+', choices=ARCHS, default=list(ARCHS),
                        metavar='ARCH', help='tiny, small, base, large; all by default')
    parser.add_argument('--sides', nargs='+', type=int, default=SIDES, metavar='PIXELS',
                        help='image sizes of the part scaling; %(default)s by default')
    parser.add_argument('--repeats', type=int, default=15,
                        help='rounds of interleaved calls; fewer for slow parts')
    parser.add_argument('--batch', type=int, default=8,
                        help='images per forward pass; a training step takes twice as many')
    parser.add_argument('--threads', type=int, help="CPU threads; PyTorch's default otherwise")
    parser.add_argument('--device', help='such as cpu or cuda:0; by default the first GPU, if any')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all numbers here')
    parser.add_argument('--plot', type=Path, metavar='FOLDER', help='write figures here')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    args.device = torch.device(args.device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    if args.threads:
        os.environ['OMP_NUM_THREADS'] = str(args.threads)
        torch.set_num_threads(args.threads)
    machine = describe_machine(args.device)
    console = Console()
    console.width = max(console.width, 100)
    console.print(', '.join(f'{key} {value}' for key, value in machine.items()))
    results = dict(machine=machine, command=' '.join(sys.argv))
    on_cpu = args.device.type == 'cpu'
    for part in args.parts or [part for part in PARTS if not (on_cpu and part == 'throughput')]:
        results[part] = PARTS[part](args)
        show(part, results[part], console)
        if args.json:  # after every part, so that an interruption loses at most one
            text = json.dumps(results, indent=1)
            write_whole(args.json, lambda file, text=text: file.write_text(text))
    if args.plot:
        for file in plot(results, args.plot):
            console.print(f'Figure: {file}')


if __name__ == '__main__':
    with report_user_errors():
        main()
