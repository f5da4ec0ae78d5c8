"""Imports OpenMMLab libraries, or explains how to install them."""
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from warnings import catch_warnings, simplefilter

SETS = (
    "one set of the OpenMMLab libraries: pip install 'cbsa-mm[onedl]' (current PyTorch) or "
    "'cbsa-mm[openmmlab]' (the original distributions), not both")
DETECTION = (
    'it beside the original set of the OpenMMLab libraries, with an mmcv with compiled ops (the '
    "onedl set has none, so it takes another environment): pip install 'cbsa-mm[detection]'")


class MissingLibraryError(ImportError):
    """An OpenMMLab library that a part of cbsa_mm needs cannot be imported."""


def require(library: str) -> None:
    """Imports an OpenMMLab library, or explains how to install it.

    Args:
        library: Import name, such as 'mmseg'.

    Raises:
        MissingLibraryError: If it is not installed or fails to import (as mmseg does with an
            unsupported mmcv).
    """
    try:
        with redirect_stdout(StringIO()), catch_warnings():  # on what they can do without
            simplefilter('ignore')
            import_module(library)
    except (ImportError, AssertionError) as error:
        raise MissingLibraryError(
            f'this part of cbsa_mm needs {library}, which can\'t be imported ({error}). Install '
            + (DETECTION if library.startswith('mmdet') else SETS)) from error
