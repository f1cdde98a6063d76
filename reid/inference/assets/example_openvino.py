"""Print how similar photos of people are: ``python example.py PHOTO...``."""

import sys
from pathlib import Path

import numpy as np
import openvino
from PIL import Image, ImageOps

# Without this, a processor that has bfloat16 computes with it, and the embeddings differ a little.
precision = {"INFERENCE_PRECISION_HINT": "f32"}
network = openvino.compile_model(Path(__file__).with_name("network.xml"), "CPU", precision)
height, width = (d.get_length() for d in list(network.input(0).partial_shape)[1:3])
upright = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in sys.argv[1:]]
resized = [photo.resize((width, height), Image.Resampling.BILINEAR) for photo in upright]
photos = np.stack([np.asarray(photo) for photo in resized])
embeddings = network(photos)[0]
print(embeddings @ embeddings.T)
