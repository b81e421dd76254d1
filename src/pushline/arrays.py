"""The arrays of numpy, named once for annotations."""

from typing import Any

import numpy as np

Floats = np.ndarray[Any, Any]  # of whichever float type the computation has
Matrix = np.ndarray[Any, np.dtype[np.float32]]  # what a model takes: one row of encoded columns each
Ints = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
