"""Atomic checkpoints in a folder of their own, and resuming from the last complete one."""
import fcntl
import logging
import re
import zipfile
from difflib import unified_diff
from pathlib import Path

from mmengine.config import Config
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log
from mmengine.runner import Runner

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.errors import UserError, printable

from .distributed import find_rank

# Kept open by work dir. They are POSIX locks, which end with the process, unlike those of flock,
# which the workers of a killed process would hold for seconds.
_locks = {}
# Top-level settings of a call, in the text of a config.
OF_A_CALL = re.compile(r'[-+](work_dir|load_from|resume|launcher|experiment_name) =')


@register_backend('whole')
class WholeFileBackend(LocalBackend):
    """Writes local files atomically, and keeps old ones until a successor exists.

    For mmengine's ``CheckpointHook``, which removes an outdated checkpoint, or the best one so far,
    before it writes the next: ``checkpoint=dict(backend_args=dict(backend='whole'), ...)``.
    """
    outdated = set()  # shared, since mmengine makes a new instance for each file

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes a checkpoint, then removes the outdated ones in its folder.

        Raises:
            UserError: If it cannot be written, as on a full disk.
        """
        try:
            write_whole(filepath, lambda file: file.write_bytes(obj))
        except UserError as error:
            raise UserError(f'{error}. Earlier checkpoints are intact: free disk space, and '
                            'continue with --resume') from error
        path = Path(filepath).absolute()
        for other in self.outdated - {path}:
            if other.parent == path.parent:  # not in the folder of the run it was resumed from
                other.unlink(missing_ok=True)
        self.outdated.clear()

    def remove(self, filepath: str | Path) -> None:
        """Marks a file for removal."""
        self.outdated.add(Path(filepath).absolute())


def claim_work_dir(cfg: Config) -> None:
    """Reserves the work dir for this training until the process ends, also by a kill.

    Args:
        cfg: A config for training.

    Raises:
        UserError: If the work dir can't be written to, another training uses it, or one that is
            not to be resumed left checkpoints there.
    """
    if find_rank(cfg.launcher):
        return
    work_dir = Path(cfg.work_dir).absolute()
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        if work_dir not in _locks:
            _locks[work_dir] = open(work_dir / '.lock', 'w')
        fcntl.lockf(_locks[work_dir], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f'another training is using {work_dir}: wait for it or stop it, or give '
                        'another --work-dir') from error
    except OSError as error:
        raise UserError(f"can't write to the work dir {work_dir}: {error.strerror}") from error
    if not cfg.get('resume') and (found := list_checkpoints(cfg)):
        raise UserError(f'{work_dir} has checkpoints of an earlier training, such as '
                        f'{found[0].name}: continue it with --resume, or give another --work-dir')


def use_resume(cfg: Config, checkpoint: str, trust: bool = False) -> None:
    """Makes the Runner resume from a checkpoint.

    Args:
        cfg: The config to modify.
        checkpoint: A file, or 'auto' for the last one of the work dir. If there is none yet,
            training starts from scratch.
        trust: Whether checkpoints may contain arbitrary objects; loading them may run code.

    Raises:
        UserError: If the work dir has checkpoints, but all are damaged.
    """
    if checkpoint == 'auto':
        checkpoint = find_checkpoint(cfg, trust)
    if checkpoint:
        cfg.resume, cfg.load_from = True, checkpoint
    else:
        print_log(f'--resume: {cfg.work_dir} has no checkpoint yet, training starts from scratch',
                  'current')


def find_checkpoint(cfg: Config, trust: bool = False) -> str | None:
    """Finds the checkpoint to resume: the last or, if that is damaged, the one before.

    Args:
        cfg: A config for training.
        trust: Whether checkpoints may contain arbitrary objects; loading them may run code.

    Returns:
        The checkpoint; None if no training has saved one.

    Raises:
        UserError: If all of them are damaged.
    """
    faults = []
    for file in list_checkpoints(cfg):
        fault = _find_fault(file, trust)
        if fault is None:
            return str(file)
        faults.append(f"{file} can't be resumed: {fault}")
        print_log(faults[-1], 'current', logging.WARNING)
    if faults:
        raise UserError(f'{faults[0]}. {cfg.work_dir} has no other. Use --resume CHECKPOINT, or '
                        'another --work-dir to start from scratch')
    return None


def list_checkpoints(cfg: Config) -> list[Path]:
    """Lists a training's checkpoints, the last one first, without the best ones.

    The last is the one that ``last_checkpoint`` in the work dir names, even if it is missing.
    """
    work_dir = Path(cfg.work_dir).absolute()
    numbers = {file: int(match[1]) for file in work_dir.glob('*.pth')
               if (match := re.fullmatch(r'(?:iter|epoch)_(\d+)\.pth', file.name))}
    files = sorted(numbers, key=numbers.get, reverse=True)
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file() and (text := pointer.read_text(errors='replace').strip('\0\n ')):
        last = work_dir / Path(text).name  # the work dir may have been copied
        files.insert(0, last if last.is_file() else Path(text))
    return [*dict.fromkeys(files)]


def check_state(checkpoint: dict, name: str) -> None:
    """Checks that a checkpoint, called ``name``, has what a training continues from.

    Raises:
        UserError: If it does not, as the best ones, which are saved without optimizer.
    """
    missing = [key for key in ('optimizer', 'message_hub', 'meta')
               if not isinstance(checkpoint.get(key), dict)]
    if missing:
        raise UserError(f"{name} can't be resumed: it holds no state of a training "
                        f'({", ".join(missing)}). To start anew from its weights, give it as '
                        'load_from, without --resume')


def compare_trainings(runner: Runner, checkpoint: dict, name: str) -> None:
    """Tells what the config has changed since a checkpoint, called ``name``, was saved."""
    texts = checkpoint['meta'].get('cfg', ''), runner.cfg.pretty_text
    lines = [*unified_diff(*(text.splitlines() for text in texts), n=0)][2:]  # without names
    changes = [line for line in lines if line[0] in '-+' and line[1:] and not OF_A_CALL.match(line)]
    if changes:
        runner.logger.warning(
            f'the config has changed since {name} was saved. The settings of optimizer and '
            'schedules are taken from there, all others from the config:\n'
            + printable('\n'.join(changes)))


def _find_fault(path: Path, trust: bool) -> str | None:
    """Finds what is wrong with a checkpoint, by its state and its checksums."""
    from cbsa_mm.inference import load_checkpoint  # here, to avoid a circular import
    try:
        check_state(load_checkpoint(path, trust=trust), 'it')
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        return damaged and f'{damaged} in it is damaged'
    except Exception as error:  # any kind, depending on which byte is wrong
        return str(error).removeprefix("it can't be resumed: ") or type(error).__name__
