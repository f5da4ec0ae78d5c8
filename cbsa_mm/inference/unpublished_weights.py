"""The weights that the metafiles name where there are none to download."""
from typing import NoReturn

from mmengine.runner import CheckpointLoader

from cbsa_mm.errors import UserError


@CheckpointLoader.register_scheme('unpublished://', force=True)
def refuse(filename: str, map_location: object = None) -> NoReturn:
    """Refuses to load weights by a model's name, where mmpretrain would go on with random ones.

    Raises:
        UserError: Always.
    """
    raise UserError(
        'no weights of this model are published in the layout of OpenMMLab: give a file, either '
        "of your own training or converted from the authors' by python -m cbsa_mm "
        'convert_checkpoint SRC DST')
