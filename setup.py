from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = (here / 'cbsa_mm/version.py').read_text().split("'")[1]

setup(
    name='cbsa-mm',
    version=version,
    description='Contract-and-Broadcast Self-Attention (CBSA) for OpenMMLab',
    long_description=(here / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='MIT',
    packages=find_packages(include=['cbsa_mm', 'cbsa_mm.*']),
    python_requires='>=3.10',
    install_requires=[
        'torch>=2.1', 'torchvision', 'numpy', 'pillow', 'safetensors', 'lion-pytorch',
        'matplotlib', 'rich', 'pyyaml',
        'ftfy', 'regex',  # mmseg imports both and declares neither
    ],
    extras_require={
        # Two sets of distributions with the same import names: install one of them.
        'onedl': [
            'onedl-mmengine>=0.10.12,<1', 'onedl-mmcv>=2.3.6,<2.4',
            'onedl-mmsegmentation>=1.4.2,<1.5', 'onedl-mmpretrain>=1.3.6,<1.4',
        ],
        'openmmlab': [
            'mmengine>=0.10.3,<1', 'mmcv>=2.0.0,<2.2', 'mmsegmentation>=1.2.2,<1.3',
            'mmpretrain>=1.2.0,<1.3',
        ],
        'explore': ['gradio>=6,<7'],
        'test': ['pytest', 'timm', 'gradio>=6,<7', 'selenium'],
        'lint': ['ruff'],
    },
)
