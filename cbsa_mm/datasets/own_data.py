"""Looks at folders of images, with masks or a subfolder for each class, to train on them."""
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from cbsa_mm.arguments import IMAGES
from cbsa_mm.errors import UserError

from .check_files import find_faults

TRAIN = ('train', 'training')
VAL = ('val', 'valid', 'validation', 'test', 'testing')  # the first of them that is there
IGNORED = 255


@dataclass
class OwnData:
    """What folders of images hold.

    Attributes:
        dataset: The data set's type and arguments, apart from list and pipeline.
        classes: Names of the classes.
        train: Lines of the list of images to train on,
        val: and of those to validate on.
        short_side: Median of the images' shorter sides, in pixels.
    """
    dataset: dict
    classes: list[str]
    train: list[str]
    val: list[str]
    short_side: int


def look_at_masks(images: Path, masks: Path, names: list[str] | None = None,
                  val_share: float = 0.2, seed: int = 0) -> OwnData:
    """Pairs images with masks of the same names, and finds the classes in the masks.

    Args:
        images: Folder of the images; its subfolders train and val, if there are any, are the split.
        masks: Folder of the masks, laid out as the images.
        names: Names of the classes; 'class 0' and so on if not given.
        val_share: Share of the images that is for validation if there are no such subfolders.
        seed: Of this choice.

    Raises:
        UserError: If they do not fit together, or a mask is no map of classes.
    """
    image_files, mask_files = _find_files(images, 'images'), _find_files(masks, 'masks')
    tail = _tail(image_files, mask_files)
    stems = {kind: {str(Path(file).with_suffix('')) for file in files}
             for kind, files in (('image', image_files), ('mask', mask_files))}
    stems['mask'] = {stem.removesuffix(tail) for stem in stems['mask']}
    if not stems['image'] & stems['mask']:
        raise UserError(f'no mask has the name of an image: {image_files[0]} in {images}, '
                        f'{mask_files[0]} in {masks}; give a pair the same name, apart from the '
                        'suffix')
    train, val = _split(sorted(stems['image']), lambda stem: '', val_share, seed)
    folders = {_folder(stem) for stem in train + val}
    for one, other in (('image', 'mask'), ('mask', 'image')):
        alone = sorted(stem for stem in stems[one] - stems[other] if _folder(stem) in folders)
        if alone:
            raise UserError(f'{len(alone)} {one}s have no {other} of the same name: '
                            f'{", ".join(alone[:3])}. Add it, or take them out')
    img_suffix, mask_suffix = _suffix(image_files, images), _suffix(mask_files, masks)
    values = Counter()
    for stem in track(train + val, 'Reading masks'):
        values.update(_values(masks / f'{stem}{tail}{mask_suffix}'))
    dataset = dict(
        type='BaseSegDataset',
        data_prefix=dict(img_path=str(images.resolve()), seg_map_path=str(masks.resolve())),
        img_suffix=img_suffix,
        seg_map_suffix=tail + mask_suffix)
    sides = [_short_side(images / f'{stem}{img_suffix}') for stem in train + val]
    return OwnData(dataset, _name_values(values, names, masks), train, val, int(np.median(sides)))


def look_at_class_folders(images: Path, names: list[str] | None = None, val_share: float = 0.2,
                          seed: int = 0) -> OwnData:
    """Finds the classes of images that lie in a folder for each class.

    Args:
        images: Folder with a subfolder for each class, or with such folders train and val.
        names: Names of the classes, in the folders' alphabetical order; the folders' if not given.
        val_share: Share of each class that is for validation if there are no such folders.
        seed: Of this choice.

    Raises:
        UserError: If there are not at least two classes, or the names are of another number.
    """
    files = _find_files(images, 'images')
    inside = any(_folder(file) in TRAIN for file in files) and any(
        _folder(file) in VAL for file in files)

    def class_of(file: str) -> str:
        parts = file.split('/')[inside:-1]
        if not parts:
            raise UserError(f'{images / file} lies in no folder of a class: --images takes a '
                            'folder with a subfolder for each class, or, with --masks, any images')
        return parts[0]

    train, val = _split(files, class_of, val_share, seed)
    classes = sorted(set(map(class_of, train)))
    if strange := set(map(class_of, val)) - set(classes):
        raise UserError(f'{images}: there is nothing to train {sorted(strange)[0]} on, only to '
                        'validate')
    if len(classes) < 2:
        raise UserError(f'{images} has a single class, {classes[0]}: there must be two or more')
    if names and len(names) != len(classes):
        raise UserError(f'--classes has {len(names)} names, but there are {len(classes)} folders '
                        f'of classes in {images}')
    index = {name: i for i, name in enumerate(classes)}
    lines = [[f'{file} {index[class_of(file)]}' for file in part] for part in (train, val)]
    sides = [_short_side(images / file) for file in train + val]
    dataset = dict(type='CustomDataset', data_prefix=str(images.resolve()))
    return OwnData(dataset, names or classes, *lines, int(np.median(sides)))


def _find_files(folder: Path, what: str) -> list[str]:
    """The images below a folder, relative to it."""
    if not folder.is_dir():
        raise UserError(f'--{what}: there is no folder {folder}')
    files = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob('*')
        if path.suffix.lower() in IMAGES and not path.name.startswith('.') and path.is_file())
    if not files:
        raise UserError(f'--{what}: {folder} has no images ({", ".join(IMAGES)})')
    return files


def _folder(file: str) -> str:
    return file.partition('/')[0].lower() if '/' in file else ''


def _split(files: list[str], group: Callable[[str], str], val_share: float,
           seed: int) -> tuple[list[str], list[str]]:
    """Splits by the subfolders train and val, else at random within each group."""
    folders = {_folder(file) for file in files}
    val_folder = next((name for name in VAL if name in folders), None)
    if val_folder and folders & set(TRAIN):
        return ([file for file in files if _folder(file) in TRAIN],
                [file for file in files if _folder(file) == val_folder])
    if not 0 < val_share < 1:
        raise UserError(f'--val-share must lie between 0 and 1, got {val_share:g}')
    groups, train, val = defaultdict(list), [], []
    for file in files:
        groups[group(file)].append(file)
    for members in groups.values():
        random.Random(seed).shuffle(members)
        count = min(max(round(val_share * len(members)), 1), len(members) - 1)
        val += members[:count]
        train += members[count:]
    if not val:
        raise UserError('there must be at least two images, one to train on, one to validate')
    return sorted(train), sorted(val)


def _tail(images: list[str], masks: list[str]) -> str:
    """What the masks' names have after those of their images, such as '_mask'."""
    stems = [str(Path(file).with_suffix('')) for file in masks]
    if set(stems) & {str(Path(file).with_suffix('')) for file in images}:
        return ''
    tails = Counter(stem.removeprefix(name) for file in images[:50] for stem in stems
                    if stem.startswith(name := str(Path(file).with_suffix(''))))
    return tails.most_common(1)[0][0] if tails else ''


def _suffix(files: list[str], folder: Path) -> str:
    suffixes = sorted({Path(file).suffix for file in files})
    if len(suffixes) > 1:
        raise UserError(f'{folder} has files of {" and ".join(suffixes)}, and mmseg reads those of '
                        'one suffix: convert or rename them')
    return suffixes[0]


def _open(path: Path, kind: str, read: Callable[[Image.Image], object]) -> object:
    try:
        with Image.open(path) as image:
            return read(image)
    except Exception as error:
        faults = find_faults({kind: str(path)}, error)
        raise UserError('; '.join(faults) or f"{path} can't be read ({error})") from error


def _short_side(path: Path) -> int:
    return min(_open(path, 'img_path', lambda image: image.size))


def _values(path: Path) -> list[int]:
    """The values in a mask."""
    mask = _open(path, 'seg_map_path', np.asarray)
    if mask.ndim != 2:
        raise UserError(f'mask {path} is a picture in colour: a mask must have one channel, whose '
                        'values are the classes 0, 1, ...; convert it')
    values = np.unique(mask).tolist()
    if values[0] < 0 or values[-1] > IGNORED:
        raise UserError(f'mask {path} has values from {values[0]} to {values[-1]}: classes must be '
                        f'numbered 0 to {IGNORED - 1}, and {IGNORED} is ignored')
    return list(map(int, values))


def _name_values(values: Iterable[int], names: list[str] | None, masks: Path) -> list[str]:
    """Names of the classes 0 to the highest."""
    found = sorted(set(values) - {IGNORED})
    told = f'the masks in {masks} have the values {", ".join(map(str, sorted(values)[:12]))}'
    if not found or found[-1] == 0:
        raise UserError(f'{told}, so there are no two classes ({IGNORED} is ignored): give the '
                        'background 0 and the foreground 1')
    count = found[-1] + 1
    if names and len(names) < count:
        raise UserError(f'{told}, but --classes has {len(names)} names')
    if not names and count > 2 * len(found):
        raise UserError(f'{told}, of which few are used: number the classes 0, 1, ..., or name all '
                        f'{count} with --classes')
    return names or [f'class {i}' for i in range(count)]
