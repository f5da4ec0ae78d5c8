"""Non-finite losses and gradients."""
import math
from functools import partial

import pytest
import torch
from mmengine.device import get_device
from mmengine.hooks import EMAHook
from small_runner import OneWeight, require_fused, small_runner

from cbsa_mm.engine import NonFiniteGuardHook
from cbsa_mm.errors import UserError

CHECKPOINT = dict(type='CheckpointHook', by_epoch=False, interval=1)


@pytest.fixture(autouse=True)
def hooks_of_optimizers():
    """PyTorch 2.1 calls none once anything was compiled in the process, such as by other tests."""
    called, optimizer = [], torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.)
    optimizer.register_step_pre_hook(lambda *args: called.append(True))
    optimizer.step()
    if not called:
        pytest.skip('this PyTorch ignores the hooks of optimizers once torch.compile was used')


def train(work_dir, inputs, **kwargs):
    runner = small_runner(work_dir, inputs, [NonFiniteGuardHook()], **kwargs)
    runner.train()
    return runner


class Normed(OneWeight):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(2)

    def forward(self, inputs, **kwargs):
        return super().forward([self.norm(x + torch.eye(2).to(x)) for x in inputs], **kwargs)


@pytest.mark.parametrize('optimizer', [
    dict(type='SGD', lr=0.1, momentum=0.9), dict(type='AdamW', lr=0.1),
    dict(type='SGD', lr=0.1, momentum=0.9, fused=True), dict(type='AdamW', lr=0.1, fused=True)])
def test_a_bad_step_changes_nothing(optimizer, tmp_path):
    """Neither weights nor momentum, nor BatchNorm's statistics, taken before there is a loss."""
    if 'fused' in optimizer:
        require_fused()
    average = EMAHook(momentum=0.5)
    runners = [
        small_runner(tmp_path / str(len(inputs)), inputs, hooks, model=Normed(),
                     optimizer=optimizer)
        for inputs, hooks in (([math.nan, 1, math.nan, 2, math.inf],
                               [average, NonFiniteGuardHook()]), ([1, 2], []))]
    with_bad, without = (runner.train().state_dict() for runner in runners)
    torch.testing.assert_close(with_bad, without, rtol=0, atol=0)
    momenta = [runner.optim_wrapper.state_dict()['state'] for runner in runners]
    torch.testing.assert_close(*momenta, rtol=0, atol=0)
    assert all(value.isfinite().all() for value in average.ema_model.state_dict().values())


def test_a_model_that_is_not_finite_is_not_saved(tmp_path):
    runner = small_runner(tmp_path, [1, 1], [NonFiniteGuardHook()], checkpoint=CHECKPOINT)
    statistics = torch.tensor([1, math.inf]).to(runner.model.weight.device)
    runner.model.register_buffer('statistics', statistics)
    with pytest.raises(UserError, match='1 tensors of the model, such as statistics, have NaN or'):
        runner.train()
    assert not list(tmp_path.glob('*.pth'))


def test_bad_steps_in_a_row_stop_the_run(tmp_path):
    with pytest.raises(UserError, match='not finite 3 times in a row: iteration 4 .loss nan, '
                       r'gradients not finite. on 3.png; iteration 5 .loss inf.* on 4.png; '
                       r'iteration 6 .* on 5.png. .*--resume and clipped gradients'):
        train(tmp_path, [1, math.nan, 1, math.nan, math.inf, math.nan, 1], checkpoint=CHECKPOINT)
    saved = torch.load(tmp_path / 'iter_5.pth', weights_only=False)
    assert saved['state_dict']['weight'].isfinite().all()


def test_bad_steps_are_reported_every_interval(tmp_path):
    """Also if more than enough of them stop the run."""
    runner = small_runner(tmp_path, [1] * 2 + [math.nan] * 9, [NonFiniteGuardHook(4, interval=8)])
    with pytest.raises(UserError, match='4 times in a row: iteration 3 .*nan.* on 5.png. Check'):
        runner.train()
    assert runner.iter == 7 and runner.model.weight.isfinite()


def test_losses_of_zero_from_the_start_stop_the_run(tmp_path):
    with pytest.raises(UserError, match='the loss was 0 in all of the first 10'):
        train(tmp_path / 'a', [0] * 12)
    train(tmp_path / 'b', [0] * 9 + [1] + [0] * 11)


def overflow(runner, times):
    """Makes the weight's next gradients infinite, and leaves the losses finite."""
    factors = [math.inf] * times
    runner.model.weight.register_hook(lambda gradient: gradient * (factors or [1]).pop())


def test_infinite_gradients_of_finite_losses(tmp_path):
    runner = small_runner(tmp_path, [1] * 3, [NonFiniteGuardHook()])
    overflow(runner, 3)
    with pytest.raises(UserError, match='iteration 1 .loss 1, gradients not finite. on 0.png'):
        runner.train()
    assert runner.model.weight.item() == 1


def test_a_loss_scaler_is_left_to_its_work(tmp_path, monkeypatch):
    """In float16, overflows while it finds its scale are no reason to stop."""
    if not hasattr(torch.amp, 'GradScaler'):
        pytest.skip('the loss scaler of this PyTorch needs CUDA')
    wrapper = 'mmengine.optim.optimizer.amp_optimizer_wrapper'
    monkeypatch.setattr(f'{wrapper}.is_cuda_available', lambda: True)
    monkeypatch.setattr(f'{wrapper}.GradScaler', partial(torch.amp.GradScaler, get_device()))
    runner = small_runner(tmp_path, [1] * 6, [NonFiniteGuardHook()],
                          optim_wrapper='AmpOptimWrapper')
    overflow(runner, 5)
    runner.train()
    assert runner.optim_wrapper.loss_scaler.get_scale() == 2.**16 / 2**5
    assert runner.model.weight.item() == pytest.approx(0.9)
