"""Writes a config for your own data, and checks the data.

  python -m cbsa_mm new clothes --images data/images --masks data/masks --classes names.txt
  python -m cbsa_mm new birds --images data/birds

The first is for segmentation: images, and masks with the same names whose values are the classes
0, 1, ..., and 255 for pixels to ignore. The second is for classification: a folder of images for
each class. If the folders have subfolders train and val, these are the split; otherwise a share of
the images is put aside for validation. What is written is a new folder with a config, which
inherits from a shipped one, and lists of the images. Nothing that exists is changed.
"""
import runpy
import shlex
import sys
from argparse import Namespace
from pathlib import Path

from cbsa_mm.arguments import ArgumentParser, existing_file, integer, share


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('folder', type=Path, metavar='FOLDER',
                        help='folder to write; the config in it has its name')
    parser.add_argument('--images', type=Path, required=True, metavar='DIR', help='the images')
    parser.add_argument('--masks', type=Path, metavar='DIR',
                        help='their masks, for segmentation')
    parser.add_argument('--classes', type=existing_file, metavar='FILE',
                        help='names of the classes, one a line: in the order of the labels, or of '
                        'the folders of classes')
    parser.add_argument('--from', dest='base', metavar='NAME',
                        help='shipped config to inherit from. By default, cbt-s_ade20k in '
                        'segmentation, which downloads pretrained weights of its encoder '
                        '(cbt-t_camvid is small and starts from scratch), and cbt-t_shapes-cls in '
                        'classification, small and from scratch')
    parser.add_argument('--encoder', metavar='NAME',
                        help="for segmentation: timm's name of a pretrained encoder, such as "
                        'vit_small_patch14_reg4_dinov2.lvd142m, which is frozen; '
                        'dinov3-b_frozen_ade20k is the config then, if no other is given')
    parser.add_argument('--crop', type=integer(1), metavar='N',
                        help="side of the training images in pixels; that of NAME by default, or "
                        'less if the images are smaller')
    parser.add_argument('--epochs', type=integer(1), metavar='N',
                        help='how often to train on each image; by default 100 times in '
                        'classification, and 64 in segmentation, or enough for 2000 iterations')
    parser.add_argument('--val-share', type=share, default=0.2, metavar='X',
                        help='share of the images to validate on; %(default)s by default')
    parser.add_argument('--seed', type=integer(0, 2**32 - 1), default=0, metavar='N',
                        help='of the choice of these; %(default)s by default')
    return parser.parse_args()


def read_names(path: Path | None) -> list[str] | None:
    """Names of classes, one a line."""
    from cbsa_mm.errors import UserError
    if path is None:
        return None
    try:
        names = [line.strip() for line in path.read_text(encoding='utf-8-sig').splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--classes: can't read {path} ({error})") from error
    names = [name for name in names if name]
    if len(set(names)) < max(len(names), 1):
        raise UserError(f'--classes: {path} has no names, or one of them twice')
    return names


def look_at_encoder(name: str):
    """What a config needs to know of one of timm's encoders; its weights are not fetched."""
    import torch

    from cbsa_mm.backbones import TimmEncoder
    from cbsa_mm.datasets import Encoder
    from cbsa_mm.errors import building
    with building('--encoder'), torch.device('meta'):
        found = TimmEncoder(name)
    return Encoder(name, found.patch_size, found.out_channels[-1], found.mean, found.std)


def main(args: Namespace) -> None:
    from cbsa_mm.datasets import look_at_class_folders, look_at_masks, write_new
    split = dict(names=read_names(args.classes), val_share=args.val_share, seed=args.seed)
    if args.masks:
        data = look_at_masks(args.images, args.masks, **split)
    else:
        data = look_at_class_folders(args.images, **split)
    base = args.base or ('dinov3-b_frozen_ade20k' if args.encoder else 'cbt-s_ade20k'
                         if args.masks else 'cbt-t_shapes-cls')
    encoder = look_at_encoder(args.encoder) if args.encoder else None
    config, checkpoint = write_new(args.folder, data, base, args.crop, args.epochs, encoder)
    print(f'{len(data.classes)} classes: {", ".join(data.classes[:10])}'
          f'{", ..." if len(data.classes) > 10 else ""}')
    print(f'{config}, with lists of {len(data.train)} images to train on and {len(data.val)} to '
          'validate on')
    faulty = check(config)
    checkpoint = shlex.quote(f'work_dirs/{config.stem}/{checkpoint}')
    config = shlex.quote(str(config))
    print(f'''
{'Mend these faults first' if faulty else 'Next'}:
  python -m cbsa_mm check_data {config}
  python -m cbsa_mm train {config}
  python -m cbsa_mm train {config} --resume
  python -m cbsa_mm test {config} {checkpoint}
  python -m cbsa_mm test {config} {checkpoint} --tta
  python -m cbsa_mm predict {config} {checkpoint} IMAGES
  python -m cbsa_mm export {config} {checkpoint}''')
    sys.exit(faulty)


def check(config: Path) -> int:
    """Runs check_data.py: 1 if it finds faults, else 0."""
    tool = Path(__file__).parent / 'analysis_tools/check_data.py'
    sys.argv = [str(tool), str(config)]
    try:
        runpy.run_path(str(tool), run_name='__main__')
    except SystemExit as end:
        if end.code not in (0, 1):
            raise
        return end.code
    return 0


if __name__ == '__main__':
    arguments = parse_args()
    from cbsa_mm.engine import report_user_errors
    with report_user_errors():
        main(arguments)
