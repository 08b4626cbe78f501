"""The array types that this floor passes around."""

import numpy as np
from jaxtyping import UInt8, UInt16

Image = (
    UInt8[np.ndarray, "height width"]
    | UInt16[np.ndarray, "height width"]
    | UInt8[np.ndarray, "height width 3"]
    | UInt16[np.ndarray, "height width 3"]
)
Pixels = UInt8[np.ndarray, "images channels size size"] | UInt16[np.ndarray, "images channels size size"]
