"""The parts of the benchmark; each measures one question and returns its numbers."""
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F

from cbsa_mm.backbones.cbt import ARCHS
from cbsa_mm.interpret import count_flops

from .data import data  # noqa: F401 (a part, too)
from .foundation import foundation  # noqa: F401 (so is this)
from .models import Inference, TrainingStep, make_backbone, make_cbt, make_decoder
from .timing import interleave, peak_memory, ratio, summarize

ROOT = Path(__file__).parents[1]
FORMS = ('plain', 'ours', 'deploy')
DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}
DECODER_LAYERS = {'tiny': 3, 'small': 3, 'base': 6, 'large': 9}
SIDES = (224, 384, 512, 768, 1024, 1536)
ATTENTIONS = ('softmax', 'CBSA', 'MSSA', 'TSSA')


def random_images(batch: int, side: int, device: torch.device, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, channels, side, side, generator=generator).to(device)


def differences(cases: dict[str, Callable]) -> dict[str, float]:
    """Relative differences of the results from the first case's."""
    outputs = {name: run().float() for name, run in cases.items()}
    first = next(iter(outputs.values()))
    return {name: ((out - first).norm() / first.norm()).item() for name, out in outputs.items()}


def compare(cases: dict[str, Callable], args: Namespace, label: str, repeats: int = 0) -> dict:
    """Interleaved times relative to the first case, and differences of the results."""
    apart = differences(cases)
    seconds = interleave(cases, repeats or args.repeats, args.device, label)
    return {name: result | dict(difference=apart[name])
            for name, result in summarize(seconds).items()}


def classifiers(args: Namespace) -> dict:
    """CBT classifiers at 224 pixels: plain, ours and deploy form; inference and training step."""
    results = {}
    for arch in args.archs:
        for name, dtype in DTYPES.items():
            images = random_images(args.batch, 224, args.device)
            cases = {form: Inference(make_cbt(form, arch), images, dtype, args.device)
                     for form in FORMS}
            results[f'inference {arch} {name}'] = compare(cases, args, f'inference, {arch}, {name}')
        cases = {name: Inference(make_cbt('ours', arch), images, dtype, args.device)
                 for name, dtype in DTYPES.items()}
        results[f'inference {arch} ours'] = compare(cases, args, f'{arch}, float32 and bfloat16')
    for arch in args.archs:
        for name, dtype in DTYPES.items():
            images = random_images(2 * args.batch, 224, args.device)
            cases = {form: TrainingStep(make_cbt(form, arch), images, dtype, args.device)
                     for form in ('plain', 'ours')}
            results[f'training {arch} {name}'] = compare(
                cases, args, f'training step, {arch}, {name}', max(3, args.repeats // 3))
    return results


def decoders(args: Namespace) -> dict:
    """Decoders on the features of a 512-pixel image, 150 classes."""
    results = {}
    for arch in args.archs:
        d, num_layers = ARCHS[arch]['embed_dims'], DECODER_LAYERS[arch]
        for batch in (1, 4):
            features = random_images(batch, 32, args.device, channels=d)
            cases = {kind: Inference(make_decoder(kind, d, num_layers), [features],
                                     torch.float32, args.device)
                     for kind in (*FORMS, 'DEPICT', 'Segmenter')}
            results[f'{arch}, batch {batch}'] = compare(cases, args, f'decoders, {arch}')
            if batch == 1:
                cases = {kind: upsampled(cases[kind]) for kind in ('plain', 'deploy')}
                results[f'{arch}, upsampled'] = compare(cases, args, f'upsampled, {arch}')
    return results


@torch.inference_mode()
def _upsample(decode: Callable) -> torch.Tensor:
    return F.interpolate(decode(), size=(512, 512), mode='bilinear')


def upsampled(decode: Callable) -> Callable:
    """A decoder with masks upsampled to the image's 512 pixels."""
    return partial(_upsample, decode)


def scaling(args: Namespace) -> dict:
    """Models of width 384 and 12 layers with four attentions, one image of increasing size."""
    results = {}
    for side in args.sides or SIDES:
        images = random_images(1, side, args.device)
        cases = {name: Inference(make_backbone(name, side), images, torch.float32, args.device)
                 for name in ATTENTIONS}
        repeats = max(3, args.repeats * 224 // side)
        seconds = interleave(cases, repeats, args.device, f'{side} pixels')
        results[str(side)] = {
            name: result | dict(memory=peak_memory(make_inference, name, side, str(args.device)))
            for name, result in summarize(seconds).items()}
    return results


def memory(args: Namespace) -> dict:
    """Additional peak memory of a CBT-S training step at 512 pixels."""
    side = args.sides[0] if args.sides else 512
    results = {f'{form}, batch {batch}': peak_memory(
                   make_training_step, form, side, batch, False, str(args.device))
               for batch in (2, 4) for form in ('plain', 'ours')}
    results['ours, batch 4, with_cp'] = peak_memory(
        make_training_step, 'ours', side, 4, True, str(args.device))
    return results


def make_inference(attention: str, side: int, device: str) -> Inference:
    device = torch.device(device)
    return Inference(make_backbone(attention, side), random_images(1, side, device),
                     torch.float32, device)


def make_training_step(form: str, side: int, batch: int, with_cp: bool,
                       device: str) -> TrainingStep:
    device = torch.device(device)
    return TrainingStep(make_cbt(form, 'small', side, with_cp), random_images(batch, side, device),
                        torch.float32, device)


def gemm(args: Namespace) -> dict:
    """The fraction of the machine's matrix product rate that CBT-B's forward pass reaches.

    On a GPU in bfloat16, with eight times as many images.
    """
    side, batch, dtype = (8192, 8 * args.batch, torch.bfloat16) if args.device.type == 'cuda' else (
        2048, args.batch, torch.float32)
    a = torch.randn(side, side, device=args.device, dtype=dtype)
    model = Inference(make_cbt('deploy', 'base'), random_images(batch, 224, args.device), dtype,
                      args.device)
    flops = {'matrix product': 2 * side**3, 'CBT-B': count_flops(model.model, model.inputs)}
    cases = {'matrix product': lambda: a @ a, 'CBT-B': model}
    seconds = interleave(cases, args.repeats, args.device, 'share of the matrix product rate')
    results = {name: result | dict(rate=flops[name] / result['median'])
               for name, result in summarize(seconds).items()}
    share = ratio(seconds, 'matrix product', 'CBT-B') * flops['CBT-B'] / flops['matrix product']
    return results | dict(share=share)


def profile(args: Namespace) -> dict:
    """Fractions of CPU time by operation: a decoder for CBT-S on one image of 512 pixels."""
    results = {}
    for form in ('plain', 'deploy'):
        run = Inference(make_decoder(form, 384, DECODER_LAYERS['small']),
                        [random_images(1, 32, args.device, channels=384)], torch.float32,
                        args.device)
        run()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            for _ in range(args.repeats):
                run()
        times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
        results[form] = {name: times[name] / sum(times.values())
                         for name in sorted(times, key=times.get, reverse=True)[:8]}
    return results


def runner(args: Namespace) -> dict:
    """An iteration of mmengine's Runner on cbt-s_in1k, data in RAM, vs. the bare step."""
    from mmengine.config import Config
    from mmengine.dataset import default_collate
    from mmengine.hooks import Hook
    from mmengine.registry import init_default_scope
    from mmengine.runner import Runner
    from mmpretrain.structures import DataSample

    class PairedTimer(Hook):
        """Runs bare steps after each iteration of the Runner, and times both."""
        priority = 'LOWEST'

        def __init__(self) -> None:
            self.seconds = {'Runner': [], 'settling': [], 'bare step': []}

        def before_train(self, runner: Runner) -> None:
            self.start = time.perf_counter()

        def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict,
                             outputs: dict) -> None:
            model, optimizer = runner.model, runner.optim_wrapper.optimizer
            self.stop('Runner')
            batch = model.data_preprocessor(data_batch, training=True)
            for name in ('settling', 'bare step'):  # so that both timings follow a bare step
                self.start = time.perf_counter()
                model(**batch, mode='loss')['loss'].backward()
                optimizer.step()
                optimizer.zero_grad()
                self.stop(name)
            self.start = time.perf_counter()

        def stop(self, name: str) -> None:
            if args.device.type == 'cuda':
                torch.cuda.synchronize()
            self.seconds[name].append(time.perf_counter() - self.start)

    cfg = Config.fromfile(ROOT / 'configs/cbt/cbt-s_in1k.py')
    init_default_scope(cfg.default_scope)
    batch, iterations = 2 * args.batch, args.repeats + 2
    images = torch.randint(256, (batch, 3, 224, 224), dtype=torch.uint8)
    samples = [dict(inputs=image, data_samples=DataSample().set_gt_label(i))
               for i, image in enumerate(images)] * iterations
    loader = torch.utils.data.DataLoader(samples, batch, collate_fn=default_collate)
    timer = PairedTimer()
    cfg.default_hooks.checkpoint = None  # writing files is not part of the loop
    with tempfile.TemporaryDirectory() as folder:
        Runner(model=dict(cfg.model, data_preprocessor=dict(cfg.data_preprocessor,
                                                            type='ClsDataPreprocessor')),
               work_dir=folder, train_dataloader=loader, optim_wrapper=cfg.optim_wrapper,
               param_scheduler=cfg.param_scheduler, default_hooks=cfg.default_hooks,
               custom_hooks=[timer], visualizer=cfg.visualizer, log_level='ERROR',
               train_cfg=dict(by_epoch=True, max_epochs=1),
               default_scope=cfg.default_scope, experiment_name='benchmark').train()
    seconds = {name: timer.seconds[name][2:] for name in ('Runner', 'bare step')}
    return {'': summarize(seconds)}


def throughput(args: Namespace) -> dict:
    """Images per second at 512 pixels, for the models of the paper's table 7.

    On a GPU with batch size 32 in float16; on a CPU with ``--batch`` in float32.
    """
    batch, dtype = (32, torch.float16) if args.device.type == 'cuda' else (
        args.batch, torch.float32)
    side = args.sides[0] if args.sides else 512
    images, results = random_images(batch, side, args.device), {}
    for arch in [arch for arch in ('tiny', 'small') if arch in args.archs]:
        for name, attention in (('CBT', 'CBSA'), ('ViT', 'softmax'), ('CRATE', 'MSSA'),
                                ('ToST', 'TSSA')):
            train, infer = (make_backbone(attention, side, arch, deploy=False) for _ in range(2))
            cases = {'train': TrainingStep(train, images, dtype, args.device),
                     'inference': Inference(infer, images, dtype, args.device)}
            name = f'{name}-{arch[0].upper()}'
            seconds = interleave(cases, args.repeats, args.device, name)
            results[name] = {case: batch / result['median']
                             for case, result in summarize(seconds).items()}
    return results
