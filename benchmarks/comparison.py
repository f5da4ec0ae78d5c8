"""Trains several configs with the same seeds, and times their training steps."""
import json
import statistics
import subprocess
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from rich.progress import Progress

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.errors import UserError
from cbsa_mm.inference import build_model
from cbsa_mm.require import require

from .timing import interleave, peak_memory, summarize

ROOT = Path(__file__).parents[1]
METRICS = ('accuracy/top1', 'mIoU')


def compare_configs(configs: list[Path], seeds: list[int], options: dict, folder: Path,
                    repeats: int) -> dict[str, dict]:
    """Trains every config with every seed, then measures a step of each.

    Args:
        configs: Config files with distinct names.
        seeds: Seeds of ``randomness``, which also determine data order and augmentation.
        options: Overrides for all configs, by dotted key.
        folder: Output folder with the runs ``<config>/seed<seed>``; finished runs, which have a
            ``result.json``, are not repeated.
        repeats: Number of interleaved timed steps.

    Returns:
        By the config's name: ``scores`` (the last validation's, in percent), their ``mean`` and
        standard deviation ``std``, ``parameters``, the step's ``median``, ``low``, ``high``
        (seconds), ``ratio`` and peak ``memory`` (bytes).

    Raises:
        UserError: If a file is missing, two have the same name, or a run fails.
    """
    for config in configs:
        if not config.is_file():
            raise UserError(f'there is no config file {config}')
    if len({config.stem for config in configs}) < len(configs):
        raise UserError('runs and results are named after the configs: file names must differ')
    scores = _train_all(configs, seeds, options, folder)
    results = _measure(configs, options, repeats)
    for name, values in scores.items():
        std = statistics.stdev(values) if len(values) > 1 else 0.
        results[name] |= dict(scores=values, mean=statistics.mean(values), std=std)
    return results


def _train_all(configs: list[Path], seeds: list[int], options: dict,
               folder: Path) -> dict[str, list[float]]:
    scores = {config.stem: [] for config in configs}
    with Progress(transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task('training', total=len(configs) * len(seeds))
        for seed in seeds:  # the outer loop, so that a drifting machine speed affects all configs
            for config in configs:
                progress.update(task, description=f'{config.stem}, seed {seed}')
                run = folder / config.stem / f'seed{seed}'
                scores[config.stem].append(
                    _train(config, options | {'randomness.seed': seed}, run))
                progress.advance(task)
    return scores


def _train(config: Path, options: dict, folder: Path) -> float:
    """Trains in a separate process, unless already done; returns the last score."""
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(options)
    result, log, copy = (folder / name for name in ('result.json', 'output.log', 'config.py'))
    if result.exists():
        done = json.loads(result.read_text())
        if done['config'] != cfg.pretty_text:
            raise UserError(f'{folder} has a run with other options, or of another version of '
                            f'{config}: use another --work-dir')
        return done['score']
    folder.mkdir(parents=True, exist_ok=True)
    cfg.dump(copy)  # before the Runner adds to it
    with log.open('w') as file:
        code = subprocess.run(
            [sys.executable, ROOT / 'tools/train.py', copy, '--work-dir', folder],
            stdout=file, stderr=subprocess.STDOUT).returncode
    if code:
        raise UserError(f'training {config} failed: see {log}')
    done = dict(score=_last_score(folder), config=cfg.pretty_text)
    write_whole(result, lambda file: file.write_text(json.dumps(done)))
    return done['score']


def _last_score(folder: Path) -> float:
    scalars = max(folder.glob('*/vis_data/scalars.json'))
    for line in reversed(scalars.read_text().splitlines()):
        values = json.loads(line)
        for metric in METRICS:
            if metric in values:
                return values[metric]
    raise UserError(f'{scalars} has none of {", ".join(METRICS)}: the config must validate at the '
                    'end of training')


class Step:
    """A repeatable training step of a config's model on its first batch."""

    def __init__(self, config: Path, options: dict) -> None:
        cfg = Config.fromfile(config)
        cfg.merge_from_dict(options)
        require(cfg.default_scope)
        torch.manual_seed(0)
        self.model = build_model(cfg).to('cuda' if torch.cuda.is_available() else 'cpu')
        self.model.train()
        loader = dict(cfg.train_dataloader, num_workers=0, persistent_workers=False)
        self.batch = next(iter(Runner.build_dataloader(loader, seed=0)))
        self.optim_wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)

    def __call__(self) -> None:
        self.model.train_step(self.batch, self.optim_wrapper)


def _measure(configs: list[Path], options: dict, repeats: int) -> dict[str, dict]:
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    steps = {config.stem: Step(config, options) for config in configs}
    results = summarize(interleave(steps, repeats, device, 'training steps'))
    for config in configs:
        results[config.stem] |= dict(
            memory=peak_memory(Step, config, options),
            parameters=sum(p.numel() for p in steps[config.stem].model.parameters()))
    return results
