"""Print how similar photos of people are: ``python example.py PHOTO...``."""

import sys
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageOps

network = keras.saving.load_model(Path(__file__).with_name("network.keras"), compile=False)
_, height, width, _ = network.input_shape
upright = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in sys.argv[1:]]
resized = [photo.resize((width, height), Image.Resampling.BILINEAR) for photo in upright]
photos = np.stack([np.asarray(photo) for photo in resized])
embeddings = network.predict_on_batch(photos)
print(embeddings @ embeddings.T)
