"""Pretrained weights by timm's model names, wherever OpenMMLab takes a checkpoint."""
import textwrap

from mmengine.runner import CheckpointLoader
from torch import Tensor

from cbsa_mm.errors import UserError


@CheckpointLoader.register_scheme('timm://', force=True)
def load_from_timm(filename: str, map_location: object = None) -> dict[str, Tensor]:
    """Loads weights that timm downloads from the Hugging Face Hub and caches.

    Args:
        filename: 'timm://' and a name of ``timm.list_pretrained()``, such as
            'timm://vit_base_patch16_384.augreg_in21k_ft_in1k'; or a local folder with its
            files, 'timm://local-dir:FOLDER'.
        map_location: Ignored: the weights are on the CPU.

    Returns:
        A state dict with timm's names, including the classification head.

    Raises:
        UserError: If timm is not installed, does not know the weights, or cannot get them.
    """
    try:
        import timm
        return timm.create_model(filename.removeprefix('timm://'), pretrained=True).state_dict()
    except ImportError as error:
        raise UserError(f'{filename} needs timm: pip install timm') from error
    except Exception as error:  # timm's, the hub's or the network's
        reason = textwrap.shorten(str(error), 150)
        raise UserError(
            f"{filename} can't be loaded ({type(error).__name__}: {reason}). This needs a name of "
            'timm.list_pretrained() and a connection to huggingface.co. Without one, download '
            "the model's model.safetensors elsewhere, and use it as checkpoint") from error
