"""Converts a trained checkpoint to deploy form: the same predictions with fewer operations.

BatchNorms are folded into the stem's convolutions, LayerNorms' affines into the projections, and
ISTA into one matrix. The result is for inference, with deploy=True in the config.
"""
import argparse
from pathlib import Path

from cbsa_mm.engine import (
    add_config_arguments,
    add_trust_argument,
    load_config,
    report_user_errors,
)
from cbsa_mm.inference import reparameterize_file, use_safe_loading


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser)
    parser.add_argument('checkpoint', type=Path, help='checkpoint of that config')
    parser.add_argument('out', type=Path, metavar='OUT', help='file to write, such as deploy.pth')
    parser.add_argument(
        '--config-out', type=Path, metavar='OUT.py',
        help='also write the matching config, complete in one file')
    add_trust_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    use_safe_loading(args.trust_checkpoint)
    cfg = load_config(args.config, args.cfg_options)
    parts, difference = reparameterize_file(
        cfg, args.checkpoint, args.out, args.config_out, args.trust_checkpoint)
    print(f'{args.out} has the deploy form of {" and ".join(parts)}; outputs on a random image '
          f'differ by a relative {difference:.1e}')
    options = ' '.join(f'model.{part}.deploy=True' for part in parts)
    command = f'{args.config_out} {args.out}' if args.config_out else \
        f'{args.config} {args.out} --cfg-options {options}'
    print(f'Test: python -m cbsa_mm test {command}')


if __name__ == '__main__':
    with report_user_errors():
        main()
