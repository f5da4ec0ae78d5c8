"""Checkpoints that are whole whenever a run ends, and how it goes on from the last whole one."""
import logging
import re
import zipfile
from pathlib import Path

from mmengine.config import Config
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.errors import UserError


@register_backend('whole')
class WholeFileBackend(LocalBackend):
    """Local files that appear whole or not at all, and stay until a successor is there.

    For mmengine's ``CheckpointHook``, which removes an outdated checkpoint, or the best one so far,
    before it writes the next: ``checkpoint=dict(backend_args=dict(backend='whole'), ...)``.
    """
    outdated = set()  # of all instances, as mmengine makes a new one for each file

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes a checkpoint, then removes those in its folder that were to be removed.

        Raises:
            UserError: If it can't be written, as on a full disk.
        """
        try:
            write_whole(filepath, lambda file: file.write_bytes(obj))
        except UserError as error:
            raise UserError(f'{error}. The checkpoints before it are whole: make room, and go on '
                            'with --resume') from error
        path = Path(filepath).resolve()
        for other in self.outdated - {path}:
            if other.parent == path.parent:  # not those of a run that this one was resumed from
                other.unlink(missing_ok=True)
        self.outdated.clear()

    def remove(self, filepath: str | Path) -> None:
        """Notes that a file is to be removed."""
        self.outdated.add(Path(filepath).resolve())


def use_resume(cfg: Config, checkpoint: str, trust: bool = False) -> None:
    """Has the Runner go on from a checkpoint.

    Args:
        cfg: A config to change.
        checkpoint: A file; or 'auto', for the last one in the work dir. If there is none yet, the
            training starts anew.
        trust: Whether checkpoints may hold any object; loading such a file may run code.

    Raises:
        UserError: If the work dir has checkpoints, but none is whole.
    """
    if checkpoint == 'auto':
        checkpoint = find_checkpoint(cfg.work_dir, trust)
    if checkpoint:
        cfg.resume, cfg.load_from = True, checkpoint
    else:
        print_log(f'--resume: {cfg.work_dir} has no checkpoint yet, so the training starts anew',
                  'current')


def find_checkpoint(work_dir: str | Path, trust: bool = False) -> str | None:
    """Finds the checkpoint to go on from: the last or, if that is damaged, the one before.

    Args:
        work_dir: Folder with ``last_checkpoint``, which names the last one.
        trust: Whether checkpoints may hold any object; loading such a file may run code.

    Returns:
        The checkpoint; None if no run has saved one.

    Raises:
        UserError: If none of them is whole.
    """
    work_dir = Path(work_dir).absolute()
    folders, names, files = [work_dir], [r'(iter|epoch)_\d+\.pth'], []
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file() and (text := pointer.read_text(errors='replace').strip('\0\n ')):
        last = Path(text)
        local = work_dir / last.name  # the work dir may have been copied
        files.append(local if local.is_file() else last)
        folders.append(last.parent)  # of a checkpoint hook with an out_dir
        names.append(re.sub(r'\d+(?!.*\d)', r'\\d+', re.escape(last.name)))
    others = [file for folder in folders for file in folder.glob('*')
              if re.fullmatch('|'.join(names), file.name)]
    others.sort(key=lambda file: [*map(int, re.findall(r'\d+', file.name))][-1:], reverse=True)
    faults = []
    for file in dict.fromkeys(files + others):
        fault = _find_fault(file, trust)
        if fault is None:
            return str(file)
        faults.append(f"{file} can't be resumed: {fault}")
        print_log(faults[-1], 'current', logging.WARNING)
    if faults:
        raise UserError(f'{faults[0]}. {work_dir} has no other. Give one, --resume CHECKPOINT, or '
                        'another --work-dir to start anew')
    return None


def _find_fault(path: Path, trust: bool) -> str | None:
    """Says what is wrong with a checkpoint, which its checksums or loading it may tell."""
    from cbsa_mm.inference import load_checkpoint  # which imports what imports this
    try:
        load_checkpoint(path, trust=trust)
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        return damaged and f'{damaged} in it is damaged'
    except Exception as error:  # of many kinds, depending on which byte is wrong
        return str(error) or type(error).__name__
