"""Vessel trees, bronchi and strands as capsules (line segments with a radius), and how a thick slice cuts them."""

from dataclasses import dataclass

import numpy as np

from .plane import Plane, unit

VESSEL, BRONCHUS = 0, 1
"""Kinds of segment. Segments are float32 rows: start (row, column, z) mm, end, radius mm, kind."""

BRONCHUS_WALL = 1.35
"""Outer over inner radius."""

SMALLEST_RADIUS_MM = 0.3
GENERATIONS = 9


@dataclass(frozen=True)
class VesselField:
    """How far vessels grow, +-reach_mm in the plane and +-(depth_mm + 8) along z, and how many (1: usual)."""

    reach_mm: float = 40.0
    depth_mm: float = 26.0
    crowding: float = 1.0

    @property
    def amount(self) -> float:
        """Branches, relative to a usual field of usual size."""
        return self.crowding * (self.reach_mm / 40.0) ** 2 * self.depth_mm / 26.0


def grow_vessels(rng: np.random.Generator, hilum: np.ndarray, field: VesselField) -> np.ndarray:
    """Segments of branching vessels, and of bronchi beside some of the larger ones.

    hilum: unit vector [3] towards it. Trunks enter from there; twigs start anywhere and run away from it.
    """
    trunks, twigs = int(rng.integers(5, 9) * field.crowding), int(rng.integers(60, 110) * field.amount)
    start, direction, radius = _roots(rng, hilum, trunks, twigs, field)
    grown: list[np.ndarray] = []
    for _ in range(GENERATIONS):
        start, direction, segments = _lengthen(rng, start, direction, radius)
        grown += segments
        start, direction, radius = _fork(rng, start, direction, radius)
        inside = (np.abs(start[:, :2]).max(1) < field.reach_mm + 10) & (np.abs(start[:, 2]) < field.depth_mm + 8)
        keep = inside & (radius > SMALLEST_RADIUS_MM)
        start, direction, radius = start[keep], direction[keep], radius[keep]
        if not len(radius) or sum(map(len, grown)) > 1400 * field.amount:
            break
    return _add_bronchi(rng, np.concatenate(grown)).astype(np.float32)


def _roots(rng, hilum, trunks: int, twigs: int, field: VesselField):
    """Start points, directions and radii of the first generation."""
    along = rng.uniform(0.1, 1.1, (trunks, 1))
    from_hilum = hilum * field.reach_mm * along + rng.normal(0, 17, (trunks, 3))
    anywhere = np.c_[
        rng.uniform(-field.reach_mm, field.reach_mm, (twigs, 2)), rng.uniform(-field.depth_mm, field.depth_mm, twigs)
    ]
    inwards = -hilum + rng.normal(0, 0.55, (trunks, 3))
    outwards = rng.normal(0, 1, (twigs, 3)) - 0.6 * hilum
    radius = np.r_[rng.uniform(0.9, 2.4, trunks), np.clip(rng.gamma(4.0, 0.11, twigs), 0.26, 1.1)]
    return np.r_[from_hilum, anywhere], unit(np.r_[inwards, outwards]), radius


def _lengthen(rng, start, direction, radius):
    """Every branch runs on in two slightly bent pieces, longer the thicker it is."""
    length = radius * rng.uniform(4, 8, len(radius)) + 2.2
    segments = []
    for _ in range(2):
        direction = unit(direction + rng.normal(0, 0.17, direction.shape))
        end = start + direction * (length / 2)[:, None]
        segments.append(np.c_[start, end, radius, np.full(len(radius), VESSEL)])
        start = end
    return start, direction, segments


def _fork(rng, start, direction, radius):
    """Two daughters; their radii follow the cubic law of branching, roughly."""
    sideways = unit(np.cross(direction, rng.normal(size=direction.shape)))
    share = rng.uniform(0.62, 0.9, len(radius))
    other = np.minimum((1 - share**3 + 0.12) ** (1 / 3), 0.8)
    near = unit(direction + sideways * rng.uniform(0.2, 0.45, (len(radius), 1)))
    far = unit(direction - sideways * rng.uniform(0.5, 1.0, (len(radius), 1)))
    return np.r_[start, start], np.r_[near, far], np.r_[radius * share, radius * other]


def _add_bronchi(rng, segments: np.ndarray) -> np.ndarray:
    """A bronchus runs beside some of the larger vessels."""
    large = segments[(segments[:, 6] > 0.95) & (rng.random(len(segments)) < 0.4)]
    along = large[:, 3:6] - large[:, :3]
    aside = unit(np.cross(along, [0.3, 0.9, 0.2])) * large[:, 6:7] * 2.1
    bronchi = np.c_[large[:, :3] + aside, large[:, 3:6] + aside, large[:, 6] * 0.95, np.full(len(large), BRONCHUS)]
    return np.r_[segments, bronchi]


def clear_around(segments: np.ndarray, radius_mm: float) -> np.ndarray:
    """Without the segments that would run through a nodule at the origin and are not thin against it."""
    along = segments[:, 3:6] - segments[:, :3]
    t = np.clip(-(segments[:, :3] * along).sum(1) / ((along * along).sum(1) + 1e-9), 0, 1)
    nearest = np.linalg.norm(segments[:, :3] + along * t[:, None], axis=1)
    through = (nearest < radius_mm + segments[:, 6] + 1.0) & (segments[:, 6] > 0.3 * radius_mm)
    return segments[~through]


def feeding_vessel(rng: np.random.Generator, hilum: np.ndarray, radius_mm: float) -> np.ndarray:
    """A vessel from inside a nodule of the given radius towards the hilum, in five bent pieces."""
    direction = unit(hilum + rng.normal(0, 0.4, 3))
    start, caliber = direction * radius_mm * 0.6, float(np.clip(radius_mm * 0.2, 0.45, 1.3))
    segments = []
    for _ in range(5):
        end = start + direction * 6
        segments.append(np.r_[start, end, caliber, VESSEL])
        start, direction = end, unit(direction + rng.normal(0, 0.15, 3))
    return np.array(segments, np.float32)


def spicules(rng: np.random.Generator, radius_mm: float, spiculation: float) -> np.ndarray:
    """Strands out of a nodule, more and longer the higher the rating (1..5); none at a low one."""
    count = round(4.5 * max(0, spiculation - 1.3) * rng.uniform(0.6, 1.3))
    segments = []
    for _ in range(count):
        direction = unit(rng.normal(size=3) * [1, 1, 0.5])
        tip = direction * (radius_mm * 1.02 + rng.uniform(1.5, 4 + 1.5 * spiculation))
        width = rng.uniform(0.25, 0.5)
        root = direction * radius_mm * 0.6
        bend = root + (tip - root) * 0.55
        tip = tip + rng.normal(0, 0.6, 3)
        segments += [np.r_[root, bend, width, VESSEL], np.r_[bend, tip, width * 0.7, VESSEL]]
    return np.array(segments, np.float32).reshape(-1, 8)


def cut(segments: np.ndarray, plane: Plane, z_mm: float, thickness_mm: float, offset_mm) -> tuple[np.ndarray, ...]:
    """Share of each pixel that vessels, bronchi with their walls, and bronchial lumina fill: three maps on the plane.

    The slice lies at z_mm, the plane's centre at offset_mm (row, column), both in the segments' coordinates. Thick
    slices are averaged over two or three planes.
    """
    vessels, bronchi, lumina = (np.zeros((plane.padded,) * 2, np.float32) for _ in range(3))
    rows, columns = plane.axis_mm + np.float32(offset_mm[0]), plane.axis_mm + np.float32(offset_mm[1])
    heights = (z_mm + _subplanes(thickness_mm)).astype(np.float32)
    for index, box in _boxes(segments, rows, columns, z_mm, thickness_mm):
        segment, radius = segments[index], segments[index, 6]
        distance = _distance(segment, heights, rows[box[0]], columns[box[1]])
        inner = np.clip((radius - distance) / plane.spacing_mm + 0.5, 0, 1).mean(0)
        if segment[7] == VESSEL:
            np.maximum(vessels[box], inner, out=vessels[box])
        else:
            outer = np.clip((radius * BRONCHUS_WALL - distance) / plane.spacing_mm + 0.5, 0, 1).mean(0)
            np.maximum(bronchi[box], outer, out=bronchi[box])
            np.maximum(lumina[box], inner, out=lumina[box])
    return vessels, bronchi, lumina


def _subplanes(thickness_mm: float) -> np.ndarray:
    """Heights within the slice at which it is sampled, mm from its middle."""
    if thickness_mm > 1.9:
        return np.array([-1, 0, 1]) * thickness_mm / 3
    return np.array([-1, 1]) * thickness_mm / 4 if thickness_mm > 0.9 else np.zeros(1)


def _boxes(segments: np.ndarray, rows, columns, z_mm: float, thickness_mm: float):
    """(index, (row slice, column slice)) of the segments that the slice touches within the plane."""
    along = segments[:, 3:6] - segments[:, :3]
    reach = segments[:, 6] * np.where(segments[:, 7] == BRONCHUS, BRONCHUS_WALL, 1.0) + 0.6
    rise = np.where(np.abs(along[:, 2]) < 1e-3, 1e-3, along[:, 2])
    enter = (z_mm - thickness_mm / 2 - reach - segments[:, 2]) / rise
    leave = (z_mm + thickness_mm / 2 + reach - segments[:, 2]) / rise
    first = np.clip(np.minimum(enter, leave), 0, None)
    last = np.clip(np.maximum(enter, leave), None, 1)
    a, b = segments[:, :3] + along * first[:, None], segments[:, :3] + along * last[:, None]
    low, high = np.minimum(a, b)[:, :2] - reach[:, None], np.maximum(a, b)[:, :2] + reach[:, None]
    top, bottom = np.searchsorted(rows, low[:, 0]), np.searchsorted(rows, high[:, 0])
    left, right = np.searchsorted(columns, low[:, 1]), np.searchsorted(columns, high[:, 1])
    for index in np.flatnonzero((first < last) & (bottom > top) & (right > left)):
        yield index, (slice(top[index], bottom[index]), slice(left[index], right[index]))


def _distance(segment: np.ndarray, heights, rows, columns) -> np.ndarray:
    """mm to the segment's axis: [heights, rows, columns]."""
    along = segment[3:6] - segment[:3]
    y = (rows - segment[0])[None, :, None]
    x = (columns - segment[1])[None, None, :]
    z = (heights - segment[2])[:, None, None]
    t = np.clip((y * along[0] + x * along[1] + z * along[2]) / ((along * along).sum() + 1e-9), 0, 1)
    return np.sqrt((y - t * along[0]) ** 2 + (x - t * along[1]) ** 2 + (z - t * along[2]) ** 2)
