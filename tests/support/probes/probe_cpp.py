"""A stage that reads a file with a library in C++."""

import pyarrow as pa

pa.memory_map("secret.txt").read()
