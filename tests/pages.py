"""What README and docs tell to type."""
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *ROOT.glob('docs/*.md')])


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code of a page, such as those in 'bash'."""
    return re.findall(rf'^```{language}\n(.*?)^```', page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """The commands of a page, without comments."""
    lines = '\n'.join(blocks(page, 'bash')).replace('\\\n', ' ').splitlines()
    lines = [re.sub(r'(^|\s)\s*#.*', '', line).strip() for line in lines]
    return [command for line in lines if line for command in line.split(' && ')]
