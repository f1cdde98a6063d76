"""Print how similar photos of people are: ``python example.py PHOTO...``."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

network = tf.lite.Interpreter(str(Path(__file__).with_name("network.tflite")))
_, height, width, _ = network.get_input_details()[0]["shape"]
upright = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in sys.argv[1:]]
resized = [photo.resize((width, height), Image.Resampling.BILINEAR) for photo in upright]
photos = np.stack([np.asarray(photo) for photo in resized])
embed = network.get_signature_runner()
(embeddings,) = embed(photos=photos).values()
print(embeddings @ embeddings.T)
