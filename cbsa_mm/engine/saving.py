"""Checkpoints that are whole whenever a run ends, and how it goes on from the last whole one."""
import logging
import re
import zipfile
from collections import deque
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.errors import UserError


@register_backend('whole')
class WholeFileBackend(LocalBackend):
    """Local files that appear whole or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes a checkpoint.

        Raises:
            UserError: If it can't be written, as on a full disk.
        """
        try:
            write_whole(filepath, lambda file: file.write_bytes(obj))
        except UserError as error:
            raise UserError(f'{error}. The checkpoints before it are whole: make room, and go on '
                            'with --resume') from error


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """mmengine's, whose checkpoints are whole whenever the run ends, be it in the midst of saving.

    A file gets its name when it is complete, and none is removed before its successor is.

    Args:
        args: As in :class:`mmengine.hooks.CheckpointHook`,
        kwargs: with the same names.
        backend_args: Where checkpoints go; local files unless told.
    """

    def __init__(self, *args, backend_args: dict | None = None, **kwargs) -> None:
        super().__init__(*args, backend_args=backend_args or dict(backend='whole'), **kwargs)

    def before_train(self, runner: Runner) -> None:
        """Clears what a killed run left half written."""
        super().before_train(runner)
        if self.max_keep_ckpts > 0:
            self.keep_ckpt_ids = deque(self.keep_ckpt_ids)  # without mmengine's limit, as one waits
        if is_main_process():
            for leftover in Path(self.out_dir).glob('.*.pth'):
                leftover.unlink()

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir, name, save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=self.by_epoch,
            backend_args=self.backend_args, **self.args)
        if is_main_process():
            write_whole(Path(runner.work_dir, 'last_checkpoint'),
                        lambda file: file.write_text(self.last_ckpt))
        while 0 < self.max_keep_ckpts < len(self.keep_ckpt_ids):
            self._remove(self.filename_tmpl.format(self.keep_ckpt_ids.popleft()))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not self.save_best or len(self.key_indicators) > 1:
            return super()._save_best_checkpoint(runner, metrics)
        before, self.best_ckpt_path = self.best_ckpt_path, None  # mmengine would remove it first
        super()._save_best_checkpoint(runner, metrics)
        if self.best_ckpt_path is None:
            self.best_ckpt_path = before
        elif before and before != self.best_ckpt_path:
            self._remove(before)

    def _remove(self, name: str) -> None:
        path = self.file_backend.join_path(self.out_dir, name)
        if is_main_process() and self.file_backend.isfile(path):
            self.file_backend.remove(path)


def use_resume(cfg: Config, checkpoint: str) -> None:
    """Has the Runner go on from a checkpoint.

    Args:
        cfg: A config to change.
        checkpoint: A file; or 'auto', for the last one in the work dir. If there is none yet, the
            training starts anew.

    Raises:
        UserError: If the work dir has checkpoints, but none is whole.
    """
    if checkpoint == 'auto':
        checkpoint = find_checkpoint(cfg.work_dir)
    if checkpoint:
        cfg.resume, cfg.load_from = True, checkpoint
    else:
        print_log(f'--resume: {cfg.work_dir} has no checkpoint yet, so the training starts anew',
                  'current')


def find_checkpoint(work_dir: str | Path) -> str | None:
    """Finds the checkpoint to go on from: the last or, if that is damaged, the newest whole one.

    Args:
        work_dir: Folder with ``last_checkpoint``, which names the last one.

    Returns:
        The checkpoint; None if no run has saved one.

    Raises:
        UserError: If none of them is whole.
    """
    pointer = Path(work_dir, 'last_checkpoint')
    if not pointer.is_file():
        return None
    last = Path(pointer.read_text().strip())
    if _is_whole(last):
        return str(last)
    files = [file for file in Path(work_dir).glob('*.pth')
             if re.fullmatch(r'(epoch|iter)_\d+\.pth', file.name)]
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        if _is_whole(file):
            print_log(f'The last checkpoint, {last}, is missing or damaged: going on from {file}',
                      'current', logging.WARNING)
            return str(file)
    raise UserError(f'--resume: the last checkpoint, {last}, is missing or damaged, and {work_dir} '
                    'has no other that is whole. Give one, --resume CHECKPOINT, or another '
                    '--work-dir to start anew')


def _is_whole(path: Path) -> bool:
    """Whether a checkpoint's checksums are right."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False
