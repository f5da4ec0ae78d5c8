"""Command-line arguments of the tools: their kinds, ranges and files.

Imports nothing heavy, so that ``--help`` and wrong arguments are answered at once.
"""
import argparse
import math
import os
import sys
from argparse import Action, ArgumentError, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from cbsa_mm import MIM

ORDER = 'the order is CONFIG CHECKPOINT, then all else'
CONFIGS = ('.py', '.json', '.yaml', '.yml')
IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.ppm', '.webp')
PICTURES = ('.png', '.jpg', '.jpeg', '.pdf', '.svg', '.webp')
ARCHS = ('tiny', 'small', 'base', 'large')
WEIGHTS = ('.pth', '.pt', '.tar', '.safetensors', '.npz')
# Models in the package, by the word that stands for their config and checkpoint.
DEMOS = {name: (f'{MIM}/configs/cbt/{config}.py', f'{MIM.parent}/demo/{config}.safetensors')
         for name, config in (('demo', 'cbt-t_shapes'), ('demo-cls', 'cbt-t_shapes-cls'))}
EXPORTS = {'onnx': '.onnx', 'torchscript': '.pt', 'torch-export': '.pt2'}


class OutputFile(type(Path())):
    """The path of a file to write."""


class ArgumentParser(argparse.ArgumentParser):
    """A parser that also checks that no output replaces another argument's file.

    Args:
        description: What the tool does.
    """

    def __init__(self, description: str) -> None:
        super().__init__(description=description,
                         formatter_class=argparse.RawDescriptionHelpFormatter)
        self.num_models = 0  # pairs CONFIG CHECKPOINT that it takes first

    def parse_args(self, arguments: list[str] | None = None) -> Namespace:
        """Parses the command line, or ends the program with one message."""
        parsed = super().parse_args(
            self._with_demos(sys.argv[1:] if arguments is None else arguments))
        paths = list(_paths(vars(parsed).values()))
        for i, path in enumerate(paths):
            others = map(os.path.realpath, paths[:i] + paths[i + 1:])
            if isinstance(path, OutputFile) and os.path.realpath(path) in others:
                self.error(f'{path} is another argument too: name another file to write')
        return parsed

    def _with_demos(self, arguments: list[str]) -> list[str]:
        """Replaces the names of models in the package."""
        models, rest = [], list(arguments)
        while rest and len(models) < 2 * self.num_models:
            if rest[0] in DEMOS:
                models += DEMOS[rest.pop(0)]
            elif Path(rest[0]).suffix in CONFIGS:
                models += rest[:2]
                del rest[:2]
            else:
                break
        return [*models, *rest]

    def error(self, message: str) -> NoReturn:
        """Ends the program with a message of one line, as errors later on do."""
        sys.exit(f'{self.prog}: error: {message} (see --help)')


def images_last(arguments: list[str]) -> list[str]:
    """Moves images that come before the config, as in earlier versions, behind the models."""
    first = next((i for i, text in enumerate(arguments)
                  if text in DEMOS or Path(text).suffix in CONFIGS), 0)
    end = next((i for i, text in enumerate(arguments) if text.startswith('-')), len(arguments))
    if not 0 < first < end:
        return arguments
    models, images = arguments[first:end], arguments[:first]
    print(f'warning: {ORDER}: {" ".join(models + images)}', file=sys.stderr)
    return [*models, *images, *arguments[end:]]


def _paths(values: Iterable) -> Iterator[str | Path]:
    for value in values:
        if isinstance(value, str | Path):
            yield value
        elif isinstance(value, list | tuple):
            yield from _paths(value)


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """Whole numbers from ``low`` to ``high``."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= (2**31 - 1 if high is None else high):
            limits = f'at least {low}' if high is None else f'from {low} to {high}'
            raise ArgumentTypeError(f'it takes whole numbers, {limits}, not {text}')
        return value

    return parse


def positive(text: str) -> float:
    """Positive numbers."""
    return _real(text, math.nextafter(0, 1), math.inf, 'positive numbers')


def share(text: str) -> float:
    """Numbers from 0 to 1."""
    return _real(text, 0, 1, 'numbers from 0 to 1')


def _real(text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (low <= value <= high and math.isfinite(value)):
        raise ArgumentTypeError(f'it takes {what}, not {text}')
    return value


def config_file(text: str) -> str:
    """A config."""
    if Path(text).suffix not in CONFIGS:
        raise ArgumentTypeError(f'{text} is no config, whose name would end in .py: {ORDER}')
    return str(existing_file(text, 'config file'))


def checkpoint_file(text: str) -> str:
    """A checkpoint: a file, an address, or 'none' for random weights where a tool takes that."""
    if Path(text).suffix in CONFIGS + IMAGES:
        raise ArgumentTypeError(f'{text} is no checkpoint: {ORDER}')
    return text if text == 'none' or '://' in text else str(existing_file(text, 'checkpoint'))


def existing_file(text: str, what: str = 'file') -> Path:
    """A file to read."""
    if not os.path.isfile(text):
        raise ArgumentTypeError(f'{text} is no regular file' if os.path.exists(text)
                                else f'there is no {what} {text}')
    return Path(text)


def output_file(*suffixes: str) -> Callable[[str], OutputFile]:
    """A file to write, with one of some suffixes."""

    def parse(text: str) -> OutputFile:
        path = OutputFile(text)
        if path.suffix.lower() not in suffixes:
            raise ArgumentTypeError(f'{text} must end in {" or ".join(suffixes)}')
        if os.path.exists(path) and not os.path.isfile(path):
            raise ArgumentTypeError(f'{text} is no regular file: name one to write')
        _check_writable(path.absolute().parent)
        return path

    return parse


def output_folder(text: str) -> str:
    """A folder to write to; it is made later, if it is not there."""
    _check_writable(Path(text).absolute())
    return text


def _check_writable(folder: Path) -> None:
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise ArgumentTypeError(f'{folder} is no folder: choose another place to write to')
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ArgumentTypeError(f"{folder} can't be written to: choose another place")


class _ConfigOptions(Action):
    """mmengine's, imported once there are options."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: list[str],
                 option_string: str | None = None) -> None:
        from mmengine.config import DictAction
        try:
            DictAction(self.option_strings, self.dest)(parser, namespace, values, option_string)
        except (AssertionError, ValueError) as error:
            raise ArgumentError(self, f'it takes KEY=VALUE, not {" ".join(values)}') from error


class _Device(Action):
    """Hides the other devices, as mmengine takes the first that it sees."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, value: str,
                 option_string: str | None = None) -> None:
        kind, _, index = value.partition(':')
        visible = os.environ.get('CUDA_VISIBLE_DEVICES')
        try:
            if kind != 'cuda':
                os.environ['CUDA_VISIBLE_DEVICES'] = '-1'
            elif index:
                os.environ['CUDA_VISIBLE_DEVICES'] = \
                    visible.split(',')[int(index)] if visible else str(int(index))
            from mmengine.device import get_device
            if get_device() != kind:
                raise ValueError
        except (IndexError, ValueError) as error:
            raise ArgumentError(self, f'{value} is not here, or not supported by the installed '
                                'PyTorch') from error
        namespace.device = kind


class _Models(Action):

    def __init__(self, *args: Any, images: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.images = images

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: list[str],
                 option_string: str | None = None) -> None:
        if self.images:
            end = 2 * sum(Path(value).suffix in CONFIGS for value in values[::2])
            values, images = values[:end], values[end:]
        if len(values) % 2:
            raise ArgumentError(self, 'give a checkpoint for each config: CONFIG CHECKPOINT '
                                '[CONFIG CHECKPOINT ...]')
        try:
            models = [(config_file(config), checkpoint_file(checkpoint))
                      for config, checkpoint in zip(values[::2], values[1::2])]
            if self.images:
                namespace.images = [existing_file(image, 'image file') for image in images]
        except ArgumentTypeError as error:
            raise ArgumentError(self, str(error)) from error
        setattr(namespace, self.dest, models)


def add_config_arguments(parser: ArgumentParser) -> None:
    """Adds a config, and options that override its values and choose the device."""
    parser.add_argument('config', type=config_file, help='config file')
    add_options_arguments(parser)


def add_model_arguments(parser: ArgumentParser) -> None:
    """Adds a config and its checkpoint."""
    add_config_arguments(parser)
    parser.add_argument('checkpoint', type=checkpoint_file, help='checkpoint file; the word demo '
                        'or demo-cls stands for both, a trained model of this package')
    add_trust_argument(parser)
    parser.num_models = 1


def add_models_arguments(parser: ArgumentParser, images: bool = False) -> None:
    """Adds models to compare, as a list of pairs (config, checkpoint).

    Args:
        parser: The parser.
        images: Whether image files may follow, as ``images``.
    """
    parser.add_argument(
        'models', nargs='+', action=_Models, images=images,
        metavar='CONFIG CHECKPOINT' + ' IMAGE' * images,
        help='one or more pairs; the words demo and demo-cls each stand for one, a trained model '
        'of this package' + '; then image files' * images)
    parser.num_models = math.inf
    add_options_arguments(parser)
    add_trust_argument(parser)


def add_options_arguments(parser: ArgumentParser) -> None:
    """Adds options that override a config's values and choose the device."""
    parser.add_argument(
        '--cfg-options', nargs='+', action=_ConfigOptions, metavar='KEY=VALUE', default={},
        help='override config values, such as train_dataloader.batch_size=4 or '
        'test_pipeline.1.scale="(2048,512)"')
    add_device_argument(parser)


def add_device_argument(parser: ArgumentParser) -> None:
    """Adds the device to run on."""
    parser.add_argument('--device', action=_Device, metavar='cpu|cuda|cuda:N',
                        help='where to run; on the first GPU by default, if there is one')


def add_runner_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of tools that start a Runner, alone or in several processes."""
    parser.add_argument(
        '--work-dir', type=output_folder,
        help='folder for logs and checkpoints; work_dirs/<config> by default')
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
        help='how the processes of a distributed run were started')
    # Older torch.distributed.launch passes it; the environment has the same value.
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)


def add_trust_argument(parser: ArgumentParser) -> None:
    """Adds the argument of all tools that load a checkpoint."""
    parser.add_argument(
        '--trust-checkpoint', action='store_true',
        help='also load checkpoints that contain more than tensors and plain values; this may run '
        'code in them')


def add_output_arguments(parser: ArgumentParser, out: str | None) -> None:
    """Adds the files to write of tools that draw a picture.

    Args:
        parser: The parser.
        out: The picture by default; None if there is none.
    """
    parser.add_argument('--out', type=output_file(*PICTURES), metavar='PICTURE', default=out,
                        help='picture to write' + '; %(default)s by default' * (out is not None))
    add_json_argument(parser)


def add_json_argument(parser: ArgumentParser) -> None:
    """Adds a file for the numbers."""
    parser.add_argument('--json', type=output_file('.json'), metavar='FILE',
                        help='also write the numbers here, to a .json file')
