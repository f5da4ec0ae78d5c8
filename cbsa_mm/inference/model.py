"""A config's model and images, without a Runner: for tools that look inside."""
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from cbsa_mm.checkpoints import load_strictly
from cbsa_mm.datasets import (
    CheckedPipeline,
    build_dataset,
    find_test_dataset,
    read_metainfo,
)
from cbsa_mm.errors import DataError, UserError, building

from .loading import load_checkpoint


def build_model(cfg: Config) -> nn.Module:
    """Builds the model of a config as the Runner does, with the data preprocessor."""
    init_default_scope(cfg.default_scope)
    if not cfg.model:
        raise UserError(f'{cfg.filename or "the config"} has no model')
    model = dict(cfg.model)
    if 'data_preprocessor' in cfg:
        model['data_preprocessor'] = cfg.data_preprocessor
    with building('model'):
        return MODELS.build(model)


def load_model(cfg: Config, checkpoint: str, device: torch.device | str = 'cpu',
               trust: bool = False) -> nn.Module:
    """Builds a config's model with the weights of a checkpoint, for inference.

    Args:
        cfg: The config.
        checkpoint: A file that fits it; ``dataset_meta`` tells the classes and their colours, else
            the config's data set does. 'none' stands for random weights, the same each time.
        device: Where the model goes.
        trust: Whether the checkpoint may hold any object; loading such a file may run code.

    Raises:
        UserError: If the checkpoint is not there, holds more than data, or does not fit.
    """
    MMLogger.get_current_instance().setLevel('WARNING')  # not a word on each initial weight
    if checkpoint == 'none':
        torch.manual_seed(0)
        model, content = build_model(cfg), {}
        model.init_weights()
    else:
        model = build_model(cfg)
        content = load_checkpoint(checkpoint, trust=trust)
        load_strictly(model, content, checkpoint)
    model.dataset_meta = read_metainfo(cfg, content)
    model.to(device)
    model.eval()
    return model


def image_pipeline(cfg: Config) -> Compose:
    """The test pipeline of a config, for image files.

    Args:
        cfg: The config; its data set may hold arrays instead of files, such as CIFAR's.

    Returns:
        The pipeline, to be called with ``dict(img_path=...)``. It raises a ``DataError`` that names
        the file if that is no image.
    """
    init_default_scope(cfg.default_scope)
    steps = [step for step in find_test_dataset(cfg).pipeline
             if step['type'] != 'LoadAnnotations']
    if not any('Load' in str(step['type']) for step in steps):
        steps = [dict(type='LoadImageFromFile'), _bgr_to_rgb, *steps]
    return CheckedPipeline(steps)


def _bgr_to_rgb(results: dict) -> dict:
    """From the channel order of files to that of the data sets that hold arrays."""
    return dict(results, img=np.ascontiguousarray(results['img'][..., ::-1]))


def native_size(cfg: Config) -> tuple[int, int]:
    """Height and width of the images, in pixels, that a config's backbone is built for."""
    size = cfg.model.backbone.get('img_size', 224)
    return (size, size) if isinstance(size, int) else tuple(size)


def read_image(cfg: Config, model: nn.Module, path: Path | str) -> tuple[Tensor, np.ndarray]:
    """Reads an image as the config's test pipeline does.

    Args:
        cfg: The config.
        model: Its model, whose data preprocessor normalises the image.
        path: The image file.

    Returns:
        The model's input (1, 3, H, W), and what it shows, as RGB (H, W, 3) of uint8.

    Raises:
        UserError: If the file is no image.
    """
    try:
        sample = image_pipeline(cfg)(dict(img_path=str(path)))
    except DataError as error:  # it is of no data set
        raise UserError(str(error)) from error
    preprocessor = model.data_preprocessor
    inputs = preprocessor(pseudo_collate([sample]), False)['inputs']
    shown = inputs[0]
    if getattr(preprocessor, 'mean', None) is not None:
        shown = shown * preprocessor.std + preprocessor.mean
    shown = shown.round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    return inputs, shown


def read_test_images(cfg: Config, num: int, batch_size: int = 1) -> DataLoader:
    """Reads images of a config's test set, evenly spaced, as its test pipeline does.

    Args:
        cfg: The config.
        num: How many at most; all if 0.
        batch_size: Images in a batch.

    Returns:
        Batches for the model's data preprocessor.

    Raises:
        UserError: If a folder of the data set is missing.
    """
    init_default_scope(cfg.default_scope)
    with building('test_dataloader.dataset'):
        dataset = build_dataset(find_test_dataset(cfg))
    num = min(num or len(dataset), len(dataset))
    indices = torch.linspace(0, len(dataset) - 1, num).long().tolist()
    return DataLoader(Subset(dataset, indices), batch_size, collate_fn=pseudo_collate)


def preprocess(model: nn.Module, image: np.ndarray) -> Tensor:
    """Makes a model's input (1, 3, H, W) of an image: RGB (H, W, 3) of uint8, taken as it is."""
    image = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)  # BGR, as OpenMMLab reads
    return model.data_preprocessor(dict(inputs=[image]), False)['inputs']


@torch.no_grad()
def predict(model: nn.Module, inputs: Tensor) -> Tensor:
    """Runs a whole model once.

    Args:
        model: An mmseg ``EncoderDecoder``, or an mmpretrain ``ImageClassifier``.
        inputs: Images (B, 3, H, W).

    Returns:
        Logits (B, K, H', W') of a segmenter, at its decoder's resolution, or (B, K).
    """
    features = model.extract_feat(inputs)
    head = model.decode_head if hasattr(model, 'decode_head') else model.head
    return head(features)
