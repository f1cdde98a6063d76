"""Load a model with Keras alone: ``load_with_keras FILE``, in a folder without ``reid``."""

import sys
from importlib.util import find_spec

import keras

if __name__ == "__main__":
    if find_spec("reid"):
        sys.exit("reid can be imported here")
    keras.saving.load_model(sys.argv[1], compile=False)
