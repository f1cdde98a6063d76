"""Print how similar photos of people are: ``python example.py PHOTO...``."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

network = onnxruntime.InferenceSession(Path(__file__).with_name("network.onnx"))
_, height, width, _ = network.get_inputs()[0].shape
upright = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in sys.argv[1:]]
resized = [photo.resize((width, height), Image.Resampling.BILINEAR) for photo in upright]
photos = np.stack([np.asarray(photo) for photo in resized])
(embeddings,) = network.run(None, {network.get_inputs()[0].name: photos})
print(embeddings @ embeddings.T)
