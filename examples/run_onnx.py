"""Runs an exported ONNX model on an image, without PyTorch and OpenMMLab.

pip install numpy pillow onnxruntime
python examples/run_onnx.py MODEL.onnx IMAGE               prints a classifier's five best classes
python examples/run_onnx.py MODEL.onnx IMAGE LABELS.png    writes a segmenter's label map
"""
import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(
    sys.argv[1], providers=onnxruntime.get_available_providers())
meta = json.loads(session.get_modelmeta().custom_metadata_map['metadata.json'])
original = image = Image.open(sys.argv[2]).convert('RGB')
if meta['fixed_size'] or meta['task'] == 'classification':
    image = original.resize(meta['size'][::-1])
pixels = np.asarray(image)[:, :, ::1 if meta['channel_order'] == 'RGB' else -1]
inputs = ((pixels - np.array(meta['mean'])) / np.array(meta['std'])).astype(np.float32)
logits = session.run(['logits'], {'image': inputs.transpose(2, 0, 1)[None]})[0][0]
if meta['task'] == 'classification':
    scores = np.exp(logits - logits.max())
    for i in scores.argsort()[::-1][:5]:
        print(f'{scores[i] / scores.sum():.4f}  {meta["classes"][i]}')
else:
    labels = Image.fromarray(logits.argmax(0).astype(np.uint8))
    labels.putpalette(np.array(meta['palette'], np.uint8).tobytes())
    labels.resize(original.size, Image.Resampling.NEAREST).save(sys.argv[3])
