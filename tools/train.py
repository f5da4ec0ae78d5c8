"""Trains a segmentation, classification or detection config."""
import os
from argparse import Namespace

from cbsa_mm.arguments import (
    ArgumentParser,
    add_config_arguments,
    add_runner_arguments,
    add_trust_argument,
)


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_config_arguments(parser)
    add_runner_arguments(parser)
    parser.add_argument(
        '--resume', nargs='?', const='auto', metavar='CHECKPOINT',
        help='resume from a checkpoint, or from the last one in the work dir')
    add_trust_argument(parser)
    parser.add_argument(
        '--amp', nargs='?', const='float16', choices=['float16', 'bfloat16'],
        help='use mixed precision (float16 by default)')
    parser.add_argument(
        '--auto-scale-lr', action='store_true',
        help="scale the learning rate from the recipe's total batch size to that of this run")
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from cbsa_mm.engine import (
    build_runner,
    find_checkpoint,
    load_config,
    report_user_errors,
    use_amp,
    use_auto_scale_lr,
    use_resume,
)
from cbsa_mm.inference import use_safe_loading


def main(args: Namespace) -> None:
    use_safe_loading(args.trust_checkpoint)
    cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher, detection=True)
    if args.amp:
        use_amp(cfg, args.amp)
    if args.auto_scale_lr:
        use_auto_scale_lr(cfg)
    if cfg.get('resume') and not args.resume:
        args.resume = cfg.get('load_from') or 'auto'
    if int(os.environ.get('TORCHELASTIC_MAX_RESTARTS', 0)):  # not all processes see a restart
        args.resume = find_checkpoint(cfg, args.trust_checkpoint) or args.resume or 'auto'
    if args.resume:
        use_resume(cfg, args.resume, args.trust_checkpoint)
    runner = build_runner(cfg, ('train_dataloader', 'val_dataloader'))
    runner.train()
    runner.logger.info(f'Checkpoints are in {runner.work_dir}, logs in {runner.log_dir}')


if __name__ == '__main__':
    with report_user_errors():
        main(args)
