"""Times CBT, interleaved in one run: plain form, ours, deploy form, and other attentions.

Parts: classifiers (inference and training step, float32 and bfloat16), decoders at 512 pixels,
scaling (with image size, and peak memory), memory (of a training step), gemm (fraction of
the machine's matrix product rate), profile (time of a decoder by operation), runner (mmengine's
loop vs. the bare step), throughput (images per second at 512 pixels of CBT, ViT, CRATE and ToST,
T and S, as in the paper's table 7), and, by name only, data (processor time of the training
pipelines of ADE20K and ImageNet, on the images in data/) and foundation (decoders on DINOv3-B and
-L, and these encoders, apart). The plain form computes the same as the released code.
"""
import sys
from argparse import Namespace
from pathlib import Path

from cbsa_mm.arguments import (
    ARCHS,
    ArgumentParser,
    add_device_argument,
    add_json_argument,
    integer,
    output_folder,
)

PARTS = ('classifiers', 'decoders', 'scaling', 'memory', 'gemm', 'profile', 'runner', 'throughput',
         'data', 'foundation')


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('--parts', nargs='+', choices=PARTS, metavar='PART',
                        help='parts to run; by default all but data and foundation, and '
                        'throughput only on a GPU')
    parser.add_argument('--archs', nargs='+', choices=ARCHS, default=ARCHS,
                        metavar='ARCH', help='tiny, small, base, large; all by default')
    parser.add_argument('--sides', nargs='+', type=integer(16), metavar='PIXELS',
                        help='image sizes of the parts scaling and foundation, by default 224 to '
                        '1536, and 512, 640, 1024; the first one also of memory and throughput, '
                        'by default 512')
    parser.add_argument('--repeats', type=integer(1), default=15,
                        help='rounds of interleaved calls; fewer for slow parts')
    parser.add_argument('--batch', type=integer(1), default=8,
                        help='images per forward pass; a training step takes twice as many')
    parser.add_argument('--threads', type=integer(1),
                        help="CPU threads; PyTorch's default otherwise")
    add_device_argument(parser)
    add_json_argument(parser)
    parser.add_argument('--plot', type=output_folder, metavar='FOLDER', help='write figures here')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import json
import os

import torch
from mmengine.device import get_device
from rich.console import Console

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'benchmarks')]  # for its parts, and the plain form

from benchmarks import parts
from benchmarks.figures import plot
from benchmarks.tables import show
from benchmarks.timing import describe_machine
from cbsa_mm.checkpoints import write_whole
from cbsa_mm.engine import report_user_errors


def main(args: Namespace) -> None:
    args.device = torch.device(get_device())
    if args.threads:
        os.environ['OMP_NUM_THREADS'] = str(args.threads)
        torch.set_num_threads(args.threads)
    machine = describe_machine(args.device)
    console = Console()
    console.width = max(console.width, 100)
    console.print(', '.join(f'{key} {value}' for key, value in machine.items()))
    results = dict(machine=machine, command=' '.join(sys.argv))
    on_cpu = args.device.type == 'cpu'
    left_out = {'data', 'foundation', 'throughput' if on_cpu else None}
    for part in args.parts or [part for part in PARTS if part not in left_out]:
        results[part] = getattr(parts, part)(args)
        show(part, results[part], console)
        if args.json:  # after every part, so that an interruption loses at most one
            text = json.dumps(results, indent=1)
            write_whole(args.json, lambda file, text=text: file.write_text(text))
    if args.plot:
        for file in plot(results, Path(args.plot)):
            console.print(f'Figure: {file}')


if __name__ == '__main__':
    with report_user_errors():
        main(args)
