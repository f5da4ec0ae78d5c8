"""Converts a trained checkpoint to deploy form: the same predictions with fewer operations.

BatchNorms are folded into the stem's convolutions, LayerNorms' affines into the projections, and
ISTA into one matrix. The result is for inference, with deploy=True in the config.
"""
from argparse import Namespace

from cbsa_mm.arguments import ArgumentParser, add_model_arguments, output_file


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_model_arguments(parser)
    parser.add_argument('out', type=output_file('.pth'), metavar='OUT',
                        help='file to write, such as deploy.pth')
    parser.add_argument(
        '--config-out', type=output_file('.py'), metavar='OUT.py',
        help='also write the matching config, complete in one file')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from cbsa_mm.engine import (
    load_config,
    report_user_errors,
)
from cbsa_mm.inference import reparameterize_file, use_safe_loading


def main(args: Namespace) -> None:
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
        main(args)
