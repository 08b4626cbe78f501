"""Time of `medshot.imaging.resampling.resample` compared with the SimpleITK calls that do the same, in one run.

The two take turns on the same volume, and each line gives the medians and their ratio. SimpleITK starts and ends with
the same NumPy array as medshot; if voxels get wider it blurs first, as medshot does.
"""

import numpy as np
import SimpleITK as sitk

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.tables import table
from benchmarks.common.timing import take_turns
from benchmarks.speed.report import finish
from medshot.imaging.resampling import resample
from medshot.imaging.scan import Scan

ROUNDS = 9
SHAPE, SPACING = (40, 256, 256), (3.0, 0.69, 0.69)
Spacing = tuple[float, float, float]
CASES: dict[str, tuple[Spacing, str]] = {
    "finer slices, linear": ((1.0, 0.69, 0.69), "linear"),
    "1 mm cubes, linear": ((1.0, 1.0, 1.0), "linear"),
    "2 mm cubes, linear": ((2.0, 2.0, 2.0), "linear"),
    "1 mm cubes, nearest": ((1.0, 1.0, 1.0), "nearest"),
    "1 mm cubes, cubic": ((1.0, 1.0, 1.0), "cubic"),
}
METHODS = {"nearest": sitk.sitkNearestNeighbor, "linear": sitk.sitkLinear, "cubic": sitk.sitkBSpline3}


def main() -> None:
    arguments = parse(make_parser("speed.resampling", __doc__, data=False, work=False))
    rounds = 1 if arguments.quick else ROUNDS
    array = np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)
    scan = Scan(array=array, kind="volume", spacing=SPACING)
    rows = []
    for name, (spacing, method) in CASES.items():
        new = resample(scan, spacing=spacing, interpolation=method)
        theirs = raw(array, spacing, new.array.shape, method)
        assert np.isclose(new.array, theirs, atol=1e-2).mean() > 0.95, "the two do not do the same"
        works = (
            lambda spacing=spacing, method=method: resample(scan, spacing=spacing, interpolation=method),
            lambda spacing=spacing, method=method, sides=new.array.shape: raw(array, spacing, sides, method),
        )
        ours, other = np.median(take_turns(works, rounds), axis=0)
        rows.append([name, f"{1000 * ours:.0f}", f"{1000 * other:.0f}", f"{ours / other:.2f}"])
    finish(arguments, "resampling", table(["to", "medshot, ms", "SimpleITK, ms", "ratio"], rows))


def raw(array: np.ndarray, spacing: Spacing, sides: tuple[int, ...], method: str) -> np.ndarray:
    """Return the same by SimpleITK alone."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING[::-1])
    ratio = np.array(spacing) / SPACING
    origin = np.array(SPACING) * (np.array(array.shape) - 1) / 2 - np.array(spacing) * (np.array(sides) - 1) / 2
    kind = image.GetPixelID() if method == "nearest" else sitk.sitkFloat32
    if method != "nearest" and ratio.max() > 1:
        variance = np.maximum(ratio**2 - 1, 0) / (8 * np.log(2))
        widest = int(2 * np.ceil(4 * np.sqrt(variance.max())) + 1)
        image = sitk.DiscreteGaussian(sitk.Cast(image, kind), variance[::-1].tolist(), widest, 0.01, False)
    new = sitk.Resample(
        image, sides[::-1], sitk.Transform(), METHODS[method], origin[::-1].tolist(), spacing[::-1],
        image.GetDirection(), -1000.0, kind,
    )  # fmt: skip
    return sitk.GetArrayFromImage(new)


if __name__ == "__main__":
    main()
