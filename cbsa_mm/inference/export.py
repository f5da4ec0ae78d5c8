"""Exports trained models to files that run without this package: ONNX, TorchScript, torch.export.
"""
import json
import textwrap
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor, nn

from cbsa_mm.arguments import EXPORTS
from cbsa_mm.checkpoints import write_whole
from cbsa_mm.compat import HAS_TORCH_EXPORT, prepare_tracing
from cbsa_mm.datasets import find_test_dataset
from cbsa_mm.errors import UserError

from .deploy import TOLERANCE, switch_to_deploy
from .model import load_model, native_size

METADATA = 'metadata.json'  # the entry of a file with the result of describe()
AXES = {0: 'batch', 2: 'height', 3: 'width'}


class ImageToLogits(nn.Module):
    """The function that is exported.

    Args:
        model: An mmseg ``EncoderDecoder``, or an mmpretrain ``ImageClassifier``.
        size: The only height and width it takes; any by default.
    """

    def __init__(self, model: nn.Module, size: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.model = model
        self.size = size

    def forward(self, image: Tensor) -> Tensor:
        """Maps normalised images (B, C, H, W) to logits.

        Returns:
            Logits (B, K, H, W) of a segmenter, without sliding windows, or (B, K).
        """
        if self.size:
            image = image.expand(-1, -1, *self.size)  # fails for others, even in a traced graph
        logits = self.model(image, mode='tensor')
        if logits.ndim == 2:
            return logits
        return F.interpolate(logits, image.shape[2:], mode='bilinear',
                             align_corners=self.model.align_corners)


def export_file(cfg: Config,
                checkpoint: str,
                dst: Path,
                fmt: str = 'onnx',
                size: tuple[int, int] | None = None,
                fixed_size: bool = False,
                opset: int | None = None,
                trust: bool = False) -> dict[tuple[int, int, int], float]:
    """Writes a model in deploy form, float32, to a file that runs without this package.

    The file is loaded again, and its logits are compared with those of the trained model, on
    random images of several sizes. It also contains the result of :func:`describe`.

    Args:
        cfg: The config.
        checkpoint: A file that fits it, or 'none' for random weights.
        dst: The file to write, with a suffix from ``EXPORTS``.
        fmt: 'onnx', 'torchscript' or 'torch-export'.
        size: Height and width of the example; by default those the backbone was built for.
        fixed_size: Whether the file takes only images of that size; the batch is always dynamic.
        opset: ONNX opset version; by default chosen by the exporter.
        trust: Whether the checkpoint may contain arbitrary objects; loading it may run code.

    Returns:
        Relative errors of the logits by batch, height and width.

    Raises:
        UserError: If a file cannot be read or written, a library is missing, the model cannot be
            exported in this way, or its logits differ.
    """
    _check_format(fmt, dst)
    model = load_model(cfg, checkpoint, trust=trust).requires_grad_(False)
    size = size or native_size(cfg)
    metadata = json.dumps(describe(cfg, model, size, fixed_size), default=str)
    images = _make_images(model, size, fixed_size)
    references = [_infer(ImageToLogits(model), image) for image in images]
    switch_to_deploy(model)
    function = ImageToLogits(model, size if fixed_size else None).eval()
    write, read = FORMATS[fmt]
    advice = 'Try ' + '--fixed-size, or ' * (not fixed_size) + 'another --format'
    errors = {}

    def write_checked(file: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            write(function, images[0], file, metadata, opset)
        run = read(file)
        for image, reference in zip(images, references):
            batch, _, height, width = image.shape
            error = ((run(image) - reference).norm() / reference.norm()).item()
            if not error < TOLERANCE:
                raise UserError(
                    f'at {height} x {width} pixels the logits of the exported model differ by a '
                    f'relative {error:.1e}, so nothing was written. {advice}')
            errors[batch, height, width] = error

    try:
        write_whole(dst, write_checked)
    except (OSError, UserError):
        raise
    except Exception as error:  # each exporter and runtime has its own
        cause = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = textwrap.shorten(str(cause) or type(cause).__name__, 300)
        raise UserError(f"the model can't be exported as {fmt}: {reason}. {advice}") from error
    return errors


def describe(cfg: Config, model: nn.Module, size: tuple[int, int], fixed_size: bool) -> dict:
    """Metadata for using an exported model, as JSON.

    Args:
        cfg: The config.
        model: Its model.
        size: Height and width of the model's images.
        fixed_size: Whether it takes no others.

    Returns:
        ``task``; ``channel_order``, ``mean`` and ``std`` for normalising images from 0 to 255;
        ``size`` and ``fixed_size``; ``classes``, and their colours as ``palette``;
        the config's ``test_pipeline``; and the name of the ``config``.
    """
    meta = model.dataset_meta
    head = model.decode_head if hasattr(model, 'decode_head') else model.head
    # Next to the model in mmpretrain, inside it in mmseg, with different names for it.
    settings = {**cfg.get('data_preprocessor', {}), **cfg.model.get('data_preprocessor', {})}
    rgb = settings.get('to_rgb') or settings.get('bgr_to_rgb')
    channels = getattr(model.backbone, 'in_channels', 3)
    return dict(
        task='segmentation' if hasattr(model, 'decode_head') else 'classification',
        channel_order='RGB' if rgb else 'BGR',
        mean=list(settings.get('mean') or [0.] * channels),
        std=list(settings.get('std') or [1.] * channels),
        size=list(size),
        fixed_size=fixed_size,
        classes=list(meta.get('classes') or map(str, range(head.num_classes))),
        palette=meta.get('palette'),
        test_pipeline=find_test_dataset(cfg).pipeline,
        config=Path(cfg.filename or '').name)


def _check_format(fmt: str, dst: Path) -> None:
    if Path(dst).suffix != EXPORTS[fmt]:
        raise UserError(f'files of the format {fmt} end with {EXPORTS[fmt]}, {dst} does not')
    libraries = ['onnx', 'onnxruntime'] + ['onnxscript'] * HAS_TORCH_EXPORT
    if fmt == 'onnx' and not all(find_spec(library) for library in libraries):
        raise UserError(f'the format onnx needs more libraries: pip install {" ".join(libraries)}')


def _make_images(model: nn.Module, size: tuple[int, int], fixed_size: bool) -> list[Tensor]:
    """Random images: an example, and another batch with, if possible, a non-square size."""
    height, width = size
    other = size if fixed_size else (height * 3 // 4 + 1, width * 5 // 4 + 3)
    channels = getattr(model.backbone, 'in_channels', 3)
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, channels, *shape, generator=generator)
            for batch, shape in ((2, size), (1, other))]


def _free_axes(function: ImageToLogits) -> dict[int, str]:
    return {0: AXES[0]} if function.size else AXES


def _record(function: ImageToLogits, image: Tensor) -> 'torch.export.ExportedProgram':
    dims = {axis: torch.export.Dim.DYNAMIC for axis in _free_axes(function)}
    return torch.export.export(function, (image, ), dynamic_shapes=dict(image=dims), strict=False)


def _write_onnx(function: ImageToLogits, image: Tensor, file: Path, metadata: str,
                opset: int | None) -> None:
    import onnx
    names = dict(input_names=['image'], output_names=['logits'], opset_version=opset)
    axes = _free_axes(function)
    if HAS_TORCH_EXPORT:
        torch.onnx.export(
            _record(function, image), (image, ), file, dynamic_shapes=dict(image=axes),
            dynamo=True, external_data=False, verbose=False, **names)
    else:
        prepare_tracing()
        dynamic_axes = dict(
            image=axes, logits=axes if hasattr(function.model, 'decode_head') else {0: AXES[0]})
        torch.onnx.export(function, (image, ), str(file), dynamic_axes=dynamic_axes, **names)
    model = onnx.load(file)
    for node in model.graph.node:
        del node.metadata_props[:]  # added by the exporter, such as lines of code
    onnx.helper.set_model_props(model, {METADATA: metadata})
    onnx.save(model, file)


def _read_onnx(file: Path) -> Callable[[Tensor], Tensor]:
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are also exceptions
    session = onnxruntime.InferenceSession(file, options, providers=['CPUExecutionProvider'])
    return lambda image: torch.from_numpy(session.run(None, dict(image=image.numpy()))[0])


def _write_torchscript(function: ImageToLogits, image: Tensor, file: Path, metadata: str,
                       opset: int | None) -> None:
    traced = torch.jit.trace(function, image, check_trace=False)
    buffer = BytesIO()  # on a full disk, PyTorch's own writing ends the process
    torch.jit.save(traced, buffer, _extra_files={METADATA: metadata})
    file.write_bytes(buffer.getbuffer())


def _read_torchscript(file: Path) -> Callable[[Tensor], Tensor]:
    return partial(_infer, torch.jit.load(file))


def _write_torch_export(function: ImageToLogits, image: Tensor, file: Path, metadata: str,
                        opset: int | None) -> None:
    buffer = BytesIO()
    torch.export.save(_record(function, image), buffer, extra_files={METADATA: metadata})
    file.write_bytes(buffer.getbuffer())


def _read_torch_export(file: Path) -> Callable[[Tensor], Tensor]:
    return partial(_infer, torch.export.load(file).module())


FORMATS = {
    'onnx': (_write_onnx, _read_onnx),
    'torchscript': (_write_torchscript, _read_torchscript),
    'torch-export': (_write_torch_export, _read_torch_export),
}


@torch.no_grad()
def _infer(function: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    return function(image)
