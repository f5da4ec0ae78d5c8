"""Exports a trained model in deploy form to a file that runs without this package.

The file maps normalised images (B, 3, H, W), 'image', to 'logits': (B, K) for a classifier,
(B, K, H, W) for a segmenter, which takes whole images regardless of test_cfg. Classes and
normalisation are in the file as metadata.json. Its outputs are checked against the PyTorch model.
"""
from argparse import Namespace
from pathlib import Path

from cbsa_mm.arguments import EXPORTS, ArgumentParser, add_model_arguments, integer, output_file


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_model_arguments(parser)
    parser.add_argument(
        '--format', choices=EXPORTS, default='onnx', help='onnx by default')
    parser.add_argument(
        '--out', type=output_file(*EXPORTS.values()),
        help='file to write; CONFIG.onnx, .pt (torchscript) or .pt2 (torch-export) by default')
    parser.add_argument(
        '--size', type=integer(1), nargs=2, metavar=('HEIGHT', 'WIDTH'),
        help="size of the example image, in pixels; the backbone's img_size by default")
    parser.add_argument(
        '--fixed-size', action='store_true',
        help='accept only images of that size, for models and runtimes that need it')
    parser.add_argument(
        '--opset', type=integer(17, 25),  # none before has LayerNorm
        help='ONNX opset version; chosen by the exporter by default')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from cbsa_mm.engine import (
    load_config,
    report_user_errors,
)
from cbsa_mm.inference import export_file, use_safe_loading


def main(args: Namespace) -> None:
    use_safe_loading(args.trust_checkpoint)
    cfg = load_config(args.config, args.cfg_options)
    out = args.out or Path(args.config).with_suffix(EXPORTS[args.format]).name
    errors = export_file(cfg, args.checkpoint, out, args.format, args.size, args.fixed_size,
                         args.opset, args.trust_checkpoint)
    free = 'any batch' if args.fixed_size else 'any batch, height and width'
    print(f'{out} takes {free}; relative difference of its logits from the PyTorch model:')
    for (batch, height, width), error in errors.items():
        print(f'  {error:.1e} for {batch} of {height} x {width} pixels')


if __name__ == '__main__':
    with report_user_errors():
        main(args)
