"""The array types that this floor passes around."""

import numpy as np
from jaxtyping import UInt8, UInt16

Image = (
    UInt8[np.ndarray, "height width"]
    | UInt16[np.ndarray, "height width"]
    | UInt8[np.ndarray, "height width 3"]
    | UInt16[np.ndarray, "height width 3"]
)
Volume = UInt8[np.ndarray, "depth height width"] | UInt16[np.ndarray, "depth height width"]
FittedImage = UInt8[np.ndarray, "channels *sides"] | UInt16[np.ndarray, "channels *sides"]
Pixels = UInt8[np.ndarray, "images channels *sides"] | UInt16[np.ndarray, "images channels *sides"]
