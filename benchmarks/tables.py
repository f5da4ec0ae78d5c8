"""Prints the measurements."""
from rich.console import Console
from rich.table import Table

TITLES = dict(
    classifiers='Classifiers at 224 pixels',
    decoders='Decoders alone at 512 pixels, 150 classes',
    scaling='Width 384, 12 layers, one image: increasing resolution',
    memory='Peak memory of a CBT-S training step at 512 pixels',
    gemm='Fraction of the rate of a large matrix product',
    profile='Time of the decoder of S by operation: one image of 512 pixels',
    runner="mmengine's Runner vs. the bare step, cbt-s_in1k, data in RAM",
    throughput='Images per second at 512 pixels',
    data='Training pipelines: processor time for an image',
    foundation='DINOv3 and decoders on its features: one image, 150 classes')


def show(part: str, results: dict, console: Console) -> None:
    """Prints one part's numbers.

    Args:
        part: Name of the part.
        results: Its results.
        console: The console.
    """
    table = Table(title=TITLES[part], title_justify='left')
    rows = _rows(part, results)
    for name in rows[0]:
        table.add_column(name, justify='left' if isinstance(rows[0][name], str) else 'right')
    for row in rows:
        table.add_row(*(_render(value) for value in row.values()))
    console.print(table)


def _rows(part: str, results: dict) -> list[dict]:
    if part == 'memory':
        return [{'case': name, 'MiB': size / 2**20} for name, size in results.items()]
    if part == 'gemm':
        return [{'case': name, 'ms': results[name]['median'] * 1e3,
                 'GFLOP/s': results[name]['rate'] / 1e9,
                 'share': results['share'] if name == 'CBT-B' else None}
                for name in ('matrix product', 'CBT-B')]
    if part == 'profile':
        return [{'form': form, 'operation': name, 'share': share}
                for form, shares in results.items() for name, share in shares.items()]
    if part == 'throughput':
        return [{'model': name, **rates} for name, rates in results.items()]
    return [
        {'': group if name == next(iter(cases)) else '', 'case': name,
         'median, ms': r['median'] * 1e3,
         'quartiles, ms': f'{r["low"] * 1e3:.1f} .. {r["high"] * 1e3:.1f}',
         'first / case': r['ratio'],
         **({'difference': f'{r["difference"]:.1e}'} if 'difference' in r else {}),
         **({'images/s and core': r['rate']} if 'rate' in r else {}),
         **({'GFLOPs': r['flops'] / 1e9, 'parameters, M': r['parameters'] / 1e6}
            if 'flops' in r else {}),
         **({'peak memory, MiB': r['memory'] / 2**20} if 'memory' in r else {})}
        for group, cases in results.items() for name, r in cases.items()]


def _render(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ''
    return f'{value:.3f}' if value < 100 else f'{value:.0f}'
