"""Atomic checkpoints in a folder of their own, and resuming from the last complete one."""
import fcntl
import logging
import re
import zipfile
from datetime import datetime
from difflib import unified_diff
from pathlib import Path

from mmengine.config import Config
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import EMAHook
from mmengine.logging import print_log
from mmengine.runner import Runner

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.errors import UserError, printable

from .distributed import find_rank

# Kept open by work dir. They are POSIX locks, which end with the process, unlike those of flock,
# which the workers of a killed process would hold for seconds.
_locks = {}
# What a config determines in a schedule's state; the rest are counters and what follows from it.
SCHEDULE = {'begin', 'end', 'by_epoch', 'T_max', 'eta_min', 'eta_min_ratio', 'power',
            'start_factor', 'end_factor', 'factor', 'gamma', 'milestones', 'step_size'}
# Top-level settings of a call, in the text of a config.
OF_A_CALL = re.compile(r'[-+](work_dir|load_from|resume|launcher|experiment_name) =')


@register_backend('whole')
class WholeFileBackend(LocalBackend):
    """Writes local files atomically, and keeps old ones until a successor exists.

    For mmengine's ``CheckpointHook``, which removes an outdated checkpoint, or the best one so far,
    before it writes the next: ``checkpoint=dict(backend_args=dict(backend='whole'), ...)``.
    """
    # Shared, since mmengine makes a new instance for each file.
    outdated = set()
    foreign = set()  # of an earlier training in the same folder, which is not resumed

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes a checkpoint, then removes the outdated ones in its folder.

        A file of an earlier training is not replaced, but renamed by its date.

        Raises:
            UserError: If it cannot be written, as on a full disk.
        """
        path = Path(filepath).absolute()
        if path in self.foreign and path.exists():
            date = datetime.fromtimestamp(path.stat().st_mtime)
            path.rename(path.with_stem(f'{path.stem}.{date:%Y%m%d_%H%M%S}'))
        self.foreign.discard(path)
        try:
            write_whole(filepath, lambda file: file.write_bytes(obj))
        except UserError as error:
            raise UserError(f'{error}. Earlier checkpoints are intact: free disk space, and '
                            'continue with --resume') from error
        for other in self.outdated - {path}:
            if other.parent == path.parent:  # not in the folder of the run it was resumed from
                other.unlink(missing_ok=True)
        self.outdated.clear()

    def remove(self, filepath: str | Path) -> None:
        """Marks a file for removal, unless it is of an earlier training."""
        self.outdated |= {Path(filepath).absolute()} - self.foreign


def claim_work_dir(cfg: Config) -> None:
    """Reserves the work dir for this training until the process ends, also by a kill.

    Args:
        cfg: A config for training.

    Raises:
        UserError: If the work dir can't be written to, or another training uses it.
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
    WholeFileBackend.foreign = set()
    if not cfg.get('resume') and (found := list_checkpoints(cfg)):
        folders = {file.parent for file in found}
        WholeFileBackend.foreign = {
            file.absolute() for folder in folders for file in folder.glob('*.pth')}
        print_log(f'{work_dir} has checkpoints of an earlier training, such as {found[0].name}. '
                  'They are kept, renamed where a new one has the same name. To continue that '
                  'training instead: --resume', 'current', logging.WARNING)


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

    They are where the checkpoint hook saves them, or beside the one that ``last_checkpoint`` in
    the work dir names, which is the last one, even if it is missing.
    """
    work_dir = Path(cfg.work_dir).absolute()
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    folders, names, last = {work_dir}, [r'(?:iter|epoch)_(\d+)\.pth'], []
    if hook.get('out_dir'):
        folders.add(Path(hook['out_dir']).absolute() / work_dir.name)
    if hook.get('filename_tmpl'):
        names.append(re.escape(hook['filename_tmpl']).replace(r'\{\}', r'(\d+)'))
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file() and (text := pointer.read_text(errors='replace').strip('\0\n ')):
        named = Path(text)
        if (work_dir / named.name).is_file():  # the work dir may have been copied
            named = work_dir / named.name
        last = [named]
        folders.add(named.parent)
        names.append(re.sub(r'\d+(?!.*\d)', r'(\\d+)', re.escape(named.name)))
    numbers = {}
    for file in (file for folder in folders for file in folder.glob('*')):
        if match := re.fullmatch('|'.join(names), file.name):
            numbers[file] = max(int(number) for number in match.groups('-1'))
    return [*dict.fromkeys(last + sorted(numbers, key=numbers.get, reverse=True))]


def check_state(checkpoint: dict, name: str) -> None:
    """Checks that a checkpoint, called ``name``, has what a training continues from.

    Raises:
        UserError: If it does not, as the best ones, which are saved without optimizer.
    """
    found = checkpoint | checkpoint.get('meta', {})
    kinds = dict(epoch=int, iter=int, message_hub=dict, optimizer=dict)
    missing = [key for key, kind in kinds.items() if not isinstance(found.get(key), kind)]
    if missing:
        raise UserError(f"{name} can't be resumed: it holds no state of a training "
                        f'({", ".join(missing)}). To start anew from its weights, give it as '
                        'load_from, without --resume')


def compare_trainings(runner: Runner, checkpoint: dict, name: str) -> None:
    """Tells what the config has changed since a checkpoint, called ``name``, was saved.

    Raises:
        UserError: If neither the one training nor the other would be continued, since optimizer,
            schedules or moving average are others.
    """
    mixed = _find_mixed(runner.param_schedulers, checkpoint.get('param_schedulers', []))
    if 'ema_state_dict' in checkpoint and not any(isinstance(h, EMAHook) for h in runner.hooks):
        mixed.append('EMAHook is missing')
    if _kinds(checkpoint['optimizer']) != _kinds(runner.optim_wrapper.state_dict()):
        mixed.append('the optimizer is another, or has other groups of parameters')
    if mixed:
        raise UserError(f"{name} can't be resumed with another config, since that would mix two "
                        f'trainings: {", ".join(mixed[:3])}. Restore that, or start anew from its '
                        'weights: give it as load_from, without --resume')
    now = runner.cfg.pretty_text
    texts = checkpoint['meta'].get('cfg', now), now
    lines = [*unified_diff(*(text.splitlines() for text in texts), n=0)][2:]  # without names
    changes = [line for line in lines if line[0] in '-+' and line[1:] and not OF_A_CALL.match(line)]
    if changes:
        runner.logger.warning(
            f'the config has changed since {name} was saved. The settings of optimizer and '
            'schedules are taken from there, all others from the config:\n'
            + printable('\n'.join(changes)))


def _kinds(optimizer: dict) -> list[set[str]]:
    """What tells optimizers apart in their states, by group of parameters."""
    return [{'momentum', 'betas'} & group.keys() for group in optimizer.get('param_groups', [])]


def _find_mixed(schedules: object, saved: list[dict]) -> list[str]:
    """Settings of schedules that differ from the saved ones."""
    if not isinstance(schedules, list):  # none, or those of several optimizers
        return []
    mixed = []
    for i, (before, schedule) in enumerate(zip(saved, schedules)):
        now = schedule.state_dict()
        if 'milestones' in before or 'step_size' in before:  # steps go on in a longer training
            before['end'] = now.get('end', before['end'])
        mixed += [f'param_scheduler.{i}.{key} was {before[key]}, now {now.get(key)}'
                  for key in before if key in SCHEDULE and before[key] != now.get(key)]
    return mixed


def _find_fault(path: Path, trust: bool) -> str | None:
    """Finds what is wrong with a checkpoint, by its state and its checksums."""
    from cbsa_mm.inference import load_checkpoint  # here, to avoid a circular import
    try:
        check_state(load_checkpoint(path, trust=trust), 'it')
        with zipfile.ZipFile(path) as archive:
            # PyTorch reads none of what is marked as a folder, which a checksum does not show.
            folders = (file.filename for file in archive.infolist() if file.external_attr)
            damaged = archive.testzip() or next(folders, None)
        return damaged and f'{damaged} in it is damaged'
    except Exception as error:  # any kind, depending on which byte is wrong
        return str(error).removeprefix("it can't be resumed: ") or type(error).__name__
