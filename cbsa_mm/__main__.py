"""Runs a tool of the package wherever it is installed: ``python -m cbsa_mm train CONFIG ...``."""
import os
import runpy
import sys

from cbsa_mm import MIM


def main() -> None:
    folder = MIM / 'tools'
    tools = {path.stem: path for path in folder.rglob('*.*') if path.suffix in ('.py', '.sh')}
    if len(sys.argv) < 2 or sys.argv[1] not in tools:
        sys.exit(f'usage: python -m cbsa_mm TOOL [ARGUMENT ...]\n\nTOOL is one of '
                 f'{", ".join(sorted(tools))}; run TOOL --help for its arguments.\nThe scripts '
                 f'are in {folder}.')
    tool = tools[sys.argv[1]]
    if tool.suffix == '.sh':
        os.execvp('bash', ['bash', str(tool), *sys.argv[2:]])
    sys.argv[:2] = [str(tool)]
    runpy.run_path(str(tool), run_name='__main__')


if __name__ == '__main__':
    main()
