"""Trains several configs with the same seeds, and times their training steps."""
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from rich.progress import Progress

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.engine import load_config
from cbsa_mm.errors import UserError
from cbsa_mm.inference import build_model
from cbsa_mm.require import require

from .timing import describe_machine, interleave, peak_memory, summarize

ROOT = Path(__file__).parents[1]
METRICS = ('accuracy/top1', 'mIoU')


def compare_configs(configs: list[Path], seeds: list[int], options: dict, folder: Path,
                    file: Path, repeats: int, jobs: int = 1) -> dict[str, dict]:
    """Trains every config with every seed, then measures a step of each.

    Args:
        configs: Config files with distinct names.
        seeds: Seeds of ``randomness``, which also determine data order and augmentation.
        options: Overrides for all configs, by dotted key.
        folder: Output folder with the runs ``<config>/seed<seed>``.
        file: JSON file of the results, written after each run. Those that it has are kept, also of
            other configs and seeds, and are not repeated.
        repeats: Number of interleaved timed steps; 0 to measure none.
        jobs: Trainings at a time.

    Returns:
        For each of ``configs`` by its name: ``config``, the settings; ``runs`` by seed with
        ``score`` (the last validation's, in percent), ``curve`` (all validations') and
        ``seconds``; the ``scores`` of ``seeds``, their ``mean`` and standard deviation ``std``;
        and, if measured, the number of trained ``parameters``, the step's ``median``, ``low``,
        ``high`` (seconds), ``ratio`` and peak ``memory`` (bytes).

    Raises:
        UserError: If two files have the same name, a run fails, or ``file`` has runs
            with other settings.
    """
    if len({config.stem for config in configs}) < len(configs):
        raise UserError('runs and results are named after the configs: file names must differ')
    document = json.loads(file.read_text()) if file.exists() else dict(results={})
    results = document['results']
    for config in configs:
        settings = _settings(config, options)
        result = results.setdefault(config.stem, dict(config=settings, runs={}))
        if result['config'] != settings:
            raise UserError(f'{file} has results of {config.stem} with other options, or of '
                            f'another version of {config}: use another --json')
    _train_all(configs, seeds, options, folder, results, jobs, lambda: _write(file, document))
    for config in configs:
        result = results[config.stem]
        scores = [result['runs'][str(seed)]['score'] for seed in seeds]
        std = statistics.stdev(scores) if len(scores) > 1 else 0.
        result |= dict(scores=scores, mean=statistics.mean(scores), std=std)
    if repeats:
        for name, measured in _measure(configs, options, repeats).items():
            results[name] |= measured
        document['machine'] = describe_machine(torch.device(get_device()))
    _write(file, document)
    return {config.stem: results[config.stem] for config in configs}


def _settings(config: Path, options: dict) -> dict:
    """A config's values, without those of a run, as JSON has them."""
    cfg = load_config(str(config), options)
    values = {key: value for key, value in cfg.to_dict().items()
              if key not in ('randomness', 'work_dir', 'launcher')}
    return json.loads(json.dumps(values))


def _write(file: Path, document: dict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1)
    write_whole(file, lambda path: path.write_text(text))


def _train_all(configs: list[Path], seeds: list[int], options: dict, folder: Path, results: dict,
               jobs: int, write: Callable[[], None]) -> None:
    """Adds the runs that ``results`` do not have."""
    tasks = [(config, str(seed)) for seed in seeds for config in configs  # seed by seed, so that
             if str(seed) not in results[config.stem]['runs']]  # a drift affects all configs
    with (Progress(transient=True, disable=not sys.stdout.isatty()) as progress,
          ThreadPoolExecutor(jobs) as pool):
        bar = progress.add_task('training', total=len(tasks))
        runs = {pool.submit(_train, config, options | {'randomness.seed': int(seed)},
                            folder / config.stem / f'seed{seed}'): (config, seed)
                for config, seed in tasks}
        try:
            for run in as_completed(runs):
                config, seed = runs[run]
                results[config.stem]['runs'][seed] = run.result()
                write()
                progress.advance(bar)
        except UserError:
            pool.shutdown(cancel_futures=True)
            raise


def _train(config: Path, options: dict, folder: Path) -> dict:
    """Trains in a separate process, and reads the log."""
    cfg = load_config(str(config), options)
    folder /= time.strftime('%Y%m%d_%H%M%S')  # a new one: an interrupted run may have left its own
    log, copy = folder / 'output.log', folder / 'config.py'
    folder.mkdir(parents=True, exist_ok=True)
    cfg.dump(copy)  # before the Runner adds to it
    start = time.monotonic()
    with log.open('w') as file:
        code = subprocess.run(
            [sys.executable, ROOT / 'tools/train.py', copy, '--work-dir', folder],
            stdout=file, stderr=subprocess.STDOUT).returncode
    if code:
        raise UserError(f'training {config} failed: see {log}')
    curve = _read_curve(folder)
    return dict(score=curve[-1], curve=curve, seconds=round(time.monotonic() - start))


def _read_curve(folder: Path) -> list[float]:
    """The scores of all validations of the last training in a work dir."""
    scalars = max(folder.glob('*/vis_data/scalars.json'))
    curve = [values[metric] for values in map(json.loads, scalars.read_text().splitlines())
             for metric in METRICS if metric in values]
    if not curve:
        raise UserError(f'{scalars} has none of {", ".join(METRICS)}: the config must validate at '
                        'the end of training')
    return curve


class Step:
    """A repeatable training step of a config's model on its first batch."""

    def __init__(self, config: Path, options: dict) -> None:
        cfg = load_config(str(config), options)
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
            parameters=sum(p.numel() for p in steps[config.stem].model.parameters()
                           if p.requires_grad))
    return results
