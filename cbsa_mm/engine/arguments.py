"""Command-line arguments shared by several tools."""
from argparse import SUPPRESS, Action, ArgumentParser
from typing import Any

from mmengine.config import DictAction


def add_config_arguments(parser: ArgumentParser) -> None:
    """Adds a config, and options that override its values."""
    parser.add_argument('config', help='config file')
    add_options_argument(parser)


def add_options_argument(parser: ArgumentParser) -> None:
    """Adds options that override a config's values."""
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', default={},
        help='override config values, such as train_dataloader.batch_size=4 or '
        'test_pipeline.1.scale="(2048,512)"')


def add_models_argument(parser: ArgumentParser) -> None:
    """Adds models to compare, as a list of pairs (config, checkpoint)."""
    parser.add_argument('models', nargs='+', action=_Pairs, metavar='CONFIG CHECKPOINT',
                        help='one or more pairs')


class _Pairs(Action):

    def __call__(self, parser: ArgumentParser, namespace: Any, values: list[str],
                 option_string: str | None = None) -> None:
        if len(values) % 2:
            parser.error('give a checkpoint for each config: CONFIG CHECKPOINT [CONFIG CHECKPOINT '
                         '...]')
        setattr(namespace, self.dest, list(zip(values[::2], values[1::2])))


def add_runner_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of tools that start a Runner, alone or in several processes."""
    parser.add_argument(
        '--work-dir', help='folder for logs and checkpoints; work_dirs/<config> by default')
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
        help='how the processes of a distributed run were started')
    # Older torch.distributed.launch passes it; the environment has the same value.
    parser.add_argument('--local_rank', '--local-rank', type=int, help=SUPPRESS)


def add_trust_argument(parser: ArgumentParser) -> None:
    """Adds the argument of all tools that load a checkpoint."""
    parser.add_argument(
        '--trust-checkpoint', action='store_true',
        help='also load checkpoints that contain more than tensors and plain values; this may run '
        'code in them')
