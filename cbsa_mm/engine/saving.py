"""Atomic checkpoints, and resuming from the last complete one."""
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
        path = Path(filepath).resolve()
        for other in self.outdated - {path}:
            if other.parent == path.parent:  # not in the folder of the run it was resumed from
                other.unlink(missing_ok=True)
        self.outdated.clear()

    def remove(self, filepath: str | Path) -> None:
        """Marks a file for removal."""
        self.outdated.add(Path(filepath).resolve())


def use_resume(cfg: Config, checkpoint: str, trust: bool = False) -> None:
    """Makes the Runner resume from a checkpoint.

    Args:
        cfg: The config to modify.
        checkpoint: A file, or 'auto' for the last one in the work dir. If there is none yet,
            training starts from scratch.
        trust: Whether checkpoints may contain arbitrary objects; loading them may run code.

    Raises:
        UserError: If the work dir has checkpoints, but all are damaged.
    """
    if checkpoint == 'auto':
        checkpoint = find_checkpoint(cfg.work_dir, trust)
    if checkpoint:
        cfg.resume, cfg.load_from = True, checkpoint
    else:
        print_log(f'--resume: {cfg.work_dir} has no checkpoint yet, training starts from scratch',
                  'current')


def find_checkpoint(work_dir: str | Path, trust: bool = False) -> str | None:
    """Finds the checkpoint to resume: the last or, if that is damaged, the one before.

    Args:
        work_dir: Folder with ``last_checkpoint``, which names the last one.
        trust: Whether checkpoints may contain arbitrary objects; loading them may run code.

    Returns:
        The checkpoint; None if no run has saved one.

    Raises:
        UserError: If all of them are damaged.
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
        raise UserError(f'{faults[0]}. {work_dir} has no other. Use --resume CHECKPOINT, or '
                        'another --work-dir to start from scratch')
    return None


def _find_fault(path: Path, trust: bool) -> str | None:
    """Finds what is wrong with a checkpoint, by loading it and its checksums."""
    from cbsa_mm.inference import load_checkpoint  # here, to avoid a circular import
    try:
        load_checkpoint(path, trust=trust)
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        return damaged and f'{damaged} in it is damaged'
    except Exception as error:  # any kind, depending on which byte is wrong
        return str(error) or type(error).__name__
