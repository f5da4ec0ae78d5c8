"""Evaluates a checkpoint of a segmentation, classification or detection config."""
import os
import time
from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from cbsa_mm.arguments import (
    ArgumentParser,
    add_model_arguments,
    add_runner_arguments,
    output_file,
    output_folder,
)


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_model_arguments(parser)
    add_runner_arguments(parser)
    parser.add_argument('--tta', action='store_true', help='use test-time augmentation')
    parser.add_argument(
        '--out', help='save predictions: label maps into this folder (segmentation), or scores '
        '(classification) or instances (detection) into this .pkl file')
    parser.add_argument('--show-dir', type=output_folder,
                        help='save pictures of the predictions into this folder')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from mmengine.config import Config

from cbsa_mm.engine import (
    build_runner,
    load_config,
    report_user_errors,
    use_tta,
)
from cbsa_mm.errors import UserError
from cbsa_mm.inference import use_safe_loading

ENDS = {'.png': b'IEND\xaeB`\x82', '.jpg': b'\xff\xd9', '.pkl': b'.'}  # of whole files


def set_output(cfg: Config, out: str) -> None:
    """Makes the evaluator save predictions."""
    is_folder = cfg.default_scope == 'mmseg'
    try:
        (output_folder if is_folder else output_file('.pkl'))(out)
    except ArgumentTypeError as error:
        raise UserError(f'--out: {error}') from error
    if is_folder:
        if out.endswith('.pkl'):
            raise UserError(f'--out: label maps go into a folder, not into {out}')
        cfg.test_evaluator.update(output_dir=out, keep_results=True)
        return
    dump = 'DumpDetResults' if cfg.default_scope == 'mmdet' else 'DumpResults'
    cfg.test_evaluator = [cfg.test_evaluator, dict(type=dump, out_file_path=out)]


def set_show_dir(cfg: Config, show_dir: str) -> None:
    """Makes the visualization hook save every prediction."""
    hook = cfg.default_hooks.visualization
    if cfg.default_scope == 'mmseg':
        hook.update(draw=True, interval=1)
        cfg.visualizer.save_dir = show_dir
    elif cfg.default_scope == 'mmdet':  # relative folders would be placed below its logs
        hook.update(draw=True, test_out_dir=os.path.abspath(show_dir))
    else:
        hook.update(enable=True, interval=1, out_dir=show_dir)


def remove_cut_files(place: str, since: float) -> list[Path]:
    """Removes what a full disk cut off, which not all libraries report.

    Args:
        place: A folder or file that was written to.
        since: When that began, in seconds since the epoch.
    """
    files = [Path(place), *Path(place).rglob('*')]
    cut = [file for file in files if file.suffix in ENDS and file.is_file()
           and file.stat().st_mtime >= since and not file.read_bytes().endswith(ENDS[file.suffix])]
    for file in cut:
        file.unlink()
    return cut


def main(args: Namespace) -> None:
    start = time.time()
    use_safe_loading(args.trust_checkpoint)
    cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher, detection=True)
    cfg.load_from = args.checkpoint
    if args.out:
        set_output(cfg, args.out)
    if args.show_dir:
        set_show_dir(cfg, args.show_dir)
    if args.tta:
        use_tta(cfg)
    runner = build_runner(cfg, ('test_dataloader', ))
    places = {'Predictions': args.out, 'Pictures': args.show_dir}
    places = {what: place for what, place in places.items() if place}
    try:
        runner.test()
    finally:
        cut = [file for place in places.values() for file in remove_cut_files(place, start)]
    if cut:
        raise UserError(f"can't write {len(cut)} files, such as {cut[0]}. Is the disk full?")
    for what, place in places.items():
        if not any(file.suffix in ENDS for file in (Path(place), *Path(place).rglob('*'))):
            raise UserError(f"can't write {what.lower()} to {place}. Is the disk full?")
        runner.logger.info(f'{what} are in {place}')


if __name__ == '__main__':
    with report_user_errors():
        main(args)
