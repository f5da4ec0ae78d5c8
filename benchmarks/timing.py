"""Measures interleaved times, and peak memory in separate processes."""
import multiprocessing
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from rich.progress import Progress


def describe_machine(device: torch.device) -> dict:
    """Describes the machine: processor or GPU, threads, versions, date."""
    info, cpuinfo = {}, Path('/proc/cpuinfo')
    if cpuinfo.exists():
        pairs = (line.split(':', 1) for line in cpuinfo.read_text().splitlines() if ':' in line)
        info = {key.strip(): value.strip() for key, value in pairs}
    return {
        'device': torch.cuda.get_device_name(device) if device.type == 'cuda'
        else info.get('model name', platform.processor() or platform.machine()),
        'processors': multiprocessing.cpu_count(),
        'threads': torch.get_num_threads(),
        'AMX': 'amx_tile' in info.get('flags', ''),
        'torch': torch.__version__,
        'python': platform.python_version(),
        'date': date.today().isoformat(),
    }


def interleave(cases: dict[str, Callable], repeats: int, device: torch.device,
               label: str) -> dict[str, list[float]]:
    """Times calls in turns, so that disturbances affect all of them.

    Args:
        cases: Callables by name.
        repeats: Rounds over all cases, after one warm-up round.
        device: Their device; on CUDA, events are recorded.
        label: Label of the progress bar.

    Returns:
        Seconds of every call, by name; those of one round share an index.
    """
    seconds = {name: [] for name in cases}
    with Progress(transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task(label, total=(repeats + 1) * len(cases))
        for i in range(repeats + 1):
            for name, run in cases.items():
                elapsed = _time(run, device)
                if i:
                    seconds[name].append(elapsed)
                progress.advance(task)
    return seconds


def _time(run: Callable, device: torch.device) -> float:
    if device.type == 'cuda':
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize(device)
        return start.elapsed_time(end) / 1e3
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def summarize(seconds: dict[str, list[float]]) -> dict[str, dict]:
    """Medians and spread of interleaved times.

    Args:
        seconds: From :func:`interleave`.

    Returns:
        By case: ``median``, the quartiles ``low`` and ``high`` (seconds), all ``times``, and
        ``ratio``: the median over rounds of the first case's time divided by this one's.
    """
    results, first = {}, next(iter(seconds))
    for name, times in seconds.items():
        low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
        results[name] = dict(median=statistics.median(times), low=low, high=high, times=times,
                             ratio=ratio(seconds, first, name))
    return results


def ratio(seconds: dict[str, list[float]], above: str, below: str) -> float:
    """The median over rounds of one case's time divided by another's."""
    return statistics.median(a / b for a, b in zip(seconds[above], seconds[below]))


def peak_memory(make: Callable, *args) -> float:
    """Additional bytes that a call needs at its peak.

    Args:
        make: Called with ``args``, on the CPU in a separate process; returns the callable to
            measure.
    """
    if torch.cuda.is_available():  # which counts by itself
        return _measure(make, args, torch.get_num_threads())
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        return pool.apply(_measure, (make, args, torch.get_num_threads()))


def _measure(make: Callable, args: tuple, threads: int) -> float:
    torch.set_num_threads(threads)
    run = make(*args)
    if torch.cuda.is_available():
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        return torch.cuda.max_memory_allocated() - before
    status = Path('/proc/self/status')
    if not status.exists():  # not Linux: the peak since the process started
        run()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = _read(status, 'VmRSS')
    Path('/proc/self/clear_refs').write_text('5')  # resets the peak
    run()
    return _read(status, 'VmHWM') - before


def _read(status: Path, key: str) -> float:
    [line] = (line for line in status.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024
