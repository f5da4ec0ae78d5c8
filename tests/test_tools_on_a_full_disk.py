"""On a full disk, tools end with one message, and leave nothing behind that is not whole."""
import resource

import pytest
from PIL import Image
from tool_process import start

from cbsa_mm.datasets.shapes import render

LIMIT = 20_000  # bytes, of each file
CALLS = {
    'predict': ['../image.png'],
    'test': ['--show-dir', 'show', '--cfg-options', 'test_dataloader.dataset.num_images=1',
             'test_dataloader.dataset.size=256', 'test_dataloader.num_workers=0'],
    'export': ['--format', 'torchscript'],
}


@pytest.mark.parametrize('tool', CALLS)
def test_full_disk(tool, make, tmp_path):
    model = make('cbt-t_shapes', attn_cfg=dict(type='CBSA', grid_size=4))
    Image.fromarray(render(0, 0, 512, 4)[0]).save(tmp_path / 'image.png')
    (tmp_path / 'folder').mkdir()
    log = tmp_path / 'log.txt'
    process = start(tool, *model, *CALLS[tool], log=log, cwd=tmp_path / 'folder')
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    process.join()
    output = log.read_text()
    assert process.exitcode == 1
    assert f"{tool}.py: error: can't write " in output
    assert 'Traceback' not in output and 'resume' not in output
    left = [path for path in (tmp_path / 'folder').rglob('*') if path.is_file()]
    assert not [path for path in left if path.stat().st_size in (0, LIMIT) or path.name[0] == '.']
