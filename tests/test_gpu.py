"""What differs on a GPU: precision, kernels, processes; a rehearsal of it with --device cpu.

On a GPU, parity with the released numbers is ``-m released --device cuda``, and the guard's tests
run there by themselves: benchmarks/prove_gpu.py runs all of it.
"""
import copy
import os
import subprocess
import sys

import pytest
import released
import torch
import torch.nn.functional as F
from tool_process import ROOT, SEGMENTER, curve, free_port, records, run

from cbsa_mm.backbones import CBT
from cbsa_mm.decode_heads import CBTMaskTransformerHead

pytestmark = pytest.mark.gpu
# Relative errors against float32: of class tokens, and of masks, whose cosines enlarge those of the
# tokens. Seen on a CPU: a third.
TOLERANCES = {torch.bfloat16: (1e-2, 0.15), torch.float16: (1.5e-3, 2e-2)}


class Segmenter(torch.nn.Module):
    """A class token, and masks, of a CBT whose normalisations do something."""

    def __init__(self, attention='CBSA'):
        super().__init__()
        torch.manual_seed(0)
        arch = dict(embed_dims=32, num_layers=2, num_heads=2)
        self.backbone = CBT(arch, img_size=64, attn_cfg=dict(type=attention), out_type='raw')
        self.head = CBTMaskTransformerHead(
            32, num_classes=7, attn_cfg=dict(type='CBSA', grid_size=4))
        for name, parameter in self.named_parameters():
            if 'norm' in name:
                torch.nn.init.uniform_(parameter, 0.5, 1.5)

    def forward(self, image):
        [tokens] = self.backbone(image)
        grid = image.shape[2] // 16, image.shape[3] // 16
        return tokens[:, 0], self.head([tokens[:, 1:].mT.unflatten(2, grid)])

    def switch_to_deploy(self):
        self.backbone.switch_to_deploy()
        self.head.switch_to_deploy()


@pytest.fixture(params=['CBSA', 'MSSA', 'TSSA'])
def model(request, device):
    return Segmenter(request.param).to(device).eval()


CBSA = pytest.mark.parametrize('model', ['CBSA'], indirect=True)  # alone


@pytest.fixture
def image(device):
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1)).to(device)


def errors(ours, theirs):
    return [released.relative_error(one.float(), other.float()) for one, other in zip(ours, theirs)]


@torch.no_grad()
def test_as_on_a_cpu(model, image):
    there = copy.deepcopy(model).cpu()(image.cpu())
    released.agree('GPU and CPU', errors([x.cpu() for x in model(image)], there), 3e-5)


@torch.no_grad()
def test_deploy_form(model, image):
    expected = model(image)
    model.switch_to_deploy()
    released.agree('deploy form', errors(model(image), expected), 1e-5)


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize('dtype', TOLERANCES)
@torch.no_grad()
def test_mixed_precision(model, image, dtype, deploy):
    expected = model(image)
    if deploy:
        model.switch_to_deploy()
    with torch.autocast(image.device.type, dtype):
        ours = model(image)
    for what, error, limit in zip(('class token', 'masks'), errors(ours, expected),
                                  TOLERANCES[dtype]):
        released.agree(f'{dtype}, {what}', error, limit)


def test_gradients_under_a_loss_scaler(model, image):
    """They are those of float32, and training with them makes the loss fall."""
    if not hasattr(torch.amp, 'GradScaler') and image.device.type == 'cpu':
        pytest.skip('the loss scaler of this PyTorch needs CUDA')
    device, labels = image.device.type, torch.arange(2, device=image.device)
    Scaler = getattr(torch.amp, 'GradScaler', None)
    scaler = Scaler(device) if Scaler else torch.cuda.amp.GradScaler()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    losses = []
    for _ in range(20):  # in the first ones, the scale is found
        optimizer.zero_grad()
        with torch.autocast(device, torch.float16):
            token, masks = model(image)
            loss = F.cross_entropy(token, labels) + masks.float().square().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@CBSA
@torch.no_grad()
def test_compiled(model, image):
    """With gradients, too; on a GPU by the compiler that users have."""
    torch.compiler.reset()
    backend = 'inductor' if image.device.type == 'cuda' else 'aot_eager'
    compiled, expected = torch.compile(model, backend=backend, fullgraph=True), model(image)
    assert max(errors(compiled(image), expected)) < 1e-4
    with torch.enable_grad():
        compiled(image)[0].square().sum().backward()
        ours = [p.grad.clone() for p in model.backbone.parameters() if p.grad is not None]
        model.zero_grad()
        model(image)[0].square().sum().backward()
    theirs = [p.grad for p in model.backbone.parameters() if p.grad is not None]
    assert max(errors(ours, theirs)) < 1e-3


@CBSA
@torch.no_grad()
def test_cuda_graph(model, image):
    """A recorded deploy form, replayed on another image."""
    model.switch_to_deploy()
    if image.device.type == 'cpu':
        pytest.skip('only a GPU has them')
    expected = model(image.flip(0))
    static, stream = image.clone(), torch.cuda.Stream()
    with torch.cuda.stream(stream):  # a graph is recorded after a warm-up on another stream
        for _ in range(3):
            model(static)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = model(static)
    static.copy_(image.flip(0))
    graph.replay()
    assert max(errors(outputs, expected)) < 1e-5


# Plain SGD: Adam blows up rounding errors of gradients next to zero.
OPTIONS = [
    '--cfg-options', 'train_cfg.max_iters=6', 'model.backbone.drop_path_rate=0',
    'default_hooks.checkpoint.max_keep_ckpts=-1', 'param_scheduler=None',
    'optim_wrapper.optimizer._delete_=True', 'optim_wrapper.optimizer.type=SGD',
    'optim_wrapper.optimizer.lr=0.01', 'optim_wrapper.optimizer.momentum=0.9']


def losses(work_dir, rank=0):
    return {key: float.fromhex(line['loss'])
            for key, line in curve(records(work_dir, rank)).items() if 'loss' in line}


@pytest.fixture(scope='module')
def alone(device, tmp_path_factory):
    """The work dir of a training in one process."""
    folder = tmp_path_factory.mktemp('alone')
    run('train', SEGMENTER, '--device', device, '--work-dir', folder, *OPTIONS, log=folder / 'log')
    return folder


def test_resumes(alone, device, tmp_path):
    run('train', SEGMENTER, '--device', device, '--work-dir', tmp_path / 'resumed',
        '--resume', alone / 'iter_3.pth', *OPTIONS, log=tmp_path / 'log')
    expected = {key: loss for key, loss in losses(alone).items() if key[0] > 3}
    assert losses(tmp_path / 'resumed') == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_trains_in_mixed_precision(alone, device, dtype, tmp_path):
    """Under mmengine's wrapper, which needs a GPU."""
    amp = ['--amp', dtype] if device.type == 'cuda' else []
    run('train', SEGMENTER, '--device', device, '--work-dir', tmp_path / dtype, *amp, *OPTIONS,
        log=tmp_path / 'log')
    assert losses(tmp_path / dtype) == pytest.approx(losses(alone), rel=0.05)


def test_processes_train_as_one_does(alone, device, tmp_path):
    """One for each GPU, by NCCL and with SyncBatchNorm; one by gloo on a CPU."""
    count = torch.cuda.device_count() if device.type == 'cuda' else 1
    if 4 % count:
        pytest.skip(f'{count} processes do not share the batch of 4 images evenly')
    environment = os.environ | dict(PYTHONPATH=f'{ROOT}:{ROOT}/tests', GPUS=str(count))
    if device.type == 'cpu':
        environment['CUDA_VISIBLE_DEVICES'] = ''
    result = subprocess.run(
        [sys.executable, '-m', 'cbsa_mm.torchrun', f'--nproc_per_node={count}',
         f'--master_port={free_port()}', ROOT / 'tools/train.py', SEGMENTER,
         '--launcher', 'pytorch', '--work-dir', tmp_path, *OPTIONS,
         f'train_dataloader.batch_size={4 // count}'],
        env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    ranks = [losses(tmp_path, rank) for rank in range(count)]
    means = {key: sum(rank[key] for rank in ranks) / count for key in ranks[0]}
    assert means == pytest.approx(losses(alone), rel=1e-3)
