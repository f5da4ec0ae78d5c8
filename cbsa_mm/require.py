"""What to say when one of the OpenMMLab libraries is missing."""
from importlib import import_module

SETS = (
    "one set of the OpenMMLab libraries: pip install 'cbsa-mm[onedl]' (current PyTorch) or "
    "'cbsa-mm[openmmlab]' (the original distributions), not both")
DETECTION = (
    "it beside an mmcv with compiled ops, as docs/detection.md says: pip install "
    "'cbsa-mm[openmmlab,detection]'")


class MissingLibraryError(ImportError):
    """An OpenMMLab library that a part of cbsa_mm needs can't be imported."""


def require(library: str) -> None:
    """Imports an OpenMMLab library, or says how to get it.

    Args:
        library: Import name, such as 'mmseg'.

    Raises:
        MissingLibraryError: If it is not installed, or fails to import (as mmseg does beside an
            mmcv that it does not support).
    """
    try:
        import_module(library)
    except (ImportError, AssertionError) as error:
        raise MissingLibraryError(
            f'this part of cbsa_mm needs {library}, which can\'t be imported ({error}). Install '
            + (DETECTION if library.startswith('mmdet') else SETS)) from error
