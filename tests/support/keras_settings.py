"""Print Keras's settings as this project imports it: backend, floatx, epsilon, data format."""

import sys

from reid.model.backend import keras

if __name__ == "__main__":
    config = keras.config
    settings = (config.backend(), config.floatx(), config.epsilon(), config.image_data_format())
    sys.stdout.write(" ".join(map(str, settings)))
