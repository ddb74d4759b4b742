"""Draw grayscale faces from numbers, many at once, with antialiased distance functions.

Every shape is a function of coordinate planes that follow the pose of the head: `across` and `down`
the face, in units of half the width of an average head. Left and right are drawn as one, in the
mirrored coordinate `side`, the absolute value of `across`. Shapes are painted as tones (how bright
skin, hair or cloth is); light falls on them at the end.
"""

from __future__ import annotations

import numpy as np

__all__ = ["Values", "draw_faces"]

Array = np.ndarray
Number = np.ndarray | float
Values = dict[str, Array]  # each of shape (N, 1, 1), float32

FACES_PER_BLOCK = 32  # so that a plane of numbers of all of them, 300 kB, stays in the cache
UNITS_PER_IMAGE = 2.6  # widths of half a head that the image is wide


def draw_faces(values: Values, rng: np.random.Generator, size: int) -> Array:
    """Draw one face for each entry of the values.

    Parameters
    ----------
    values : dict of str to array of shape (N, 1, 1)
        By the names that the functions below read; see :mod:`minicnn.data.faces`.
    rng : numpy.random.Generator
        For the noise.
    size : int
        Height and width in pixels.

    Returns
    -------
    array of shape (N, size, size, 1)
        uint8.
    """
    n = len(values["scale"])
    images = np.empty((n, size, size, 1), dtype=np.uint8)
    for start in range(0, n, FACES_PER_BLOCK):
        block = slice(start, start + FACES_PER_BLOCK)
        face = {name: value[block] for name, value in values.items()}
        canvas = _Canvas(face, size)
        for draw in _FROM_BACK_TO_FRONT:
            draw(canvas, face)
        images[block, :, :, 0] = _photograph(canvas.tone, face, rng)
    return images


class _Canvas:
    """A block of pictures while they are drawn, and the shapes to draw with.

    Attributes
    ----------
    tone : array of shape (N, size, size)
        The pictures so far, 0 black to 1 white.
    x, y : array of shape (N, size, size)
        Coordinates of the head's outline.
    across, down, side : array of shape (N, size, size)
        Coordinates of the features: where the head turns, its middle moves and its outline stays.
    radius : array of shape (N, size, size)
        0 in the middle of the head and 1 on its outline.
    """

    def __init__(self, face: Values, size: int) -> None:
        self.pixel = UNITS_PER_IMAGE / (size * face["scale"])  # the width of one, in units
        grid = np.arange(size, dtype=np.float32) - (size - 1) / 2
        x = grid * self.pixel - face["shift_x"]
        y = grid.reshape(size, 1) * self.pixel - face["shift_y"]
        cosine, sine = np.cos(face["roll"]), np.sin(face["roll"])
        self.x = x * cosine + y * sine
        self.y = y * cosine - x * sine
        self.across = self.x - face["turn"] * np.maximum(1 - self.x**2, 0)
        self.down = self.y - face["nod"] * np.maximum(1 - (self.y / 1.3) ** 2, 0)
        self.down += face["tilt"] * self.across
        self.side = np.abs(self.across)
        width = face["head_width"] * (1 - face["taper"] * np.maximum(self.y, 0))
        jaw = face["head_height"] + 0.13 * face["jaw_drop"]
        height = np.where(self.y < 0, face["head_height"], jaw)
        self.radius = np.sqrt((self.x / width) ** 2 + (self.y / height) ** 2)
        self.tone = np.zeros_like(self.x)

    def inside(self, *distances: Array) -> Array:
        """Return the share of each pixel that lies inside all of these edges (signed distances)."""
        distance = distances[0]
        for other in distances[1:]:
            distance = np.maximum(distance, other)
        share = 0.5 - distance / self.pixel
        return np.clip(share, 0, 1, out=share)

    def ellipse(self, x: Array, y: Array, half_width: Number, half_height: Number) -> Array:
        """Return the cover of an ellipse about (0, 0)."""
        radius = np.sqrt((x / half_width) ** 2 + (y / half_height) ** 2)
        return self.inside((radius - 1) * np.minimum(half_width, half_height))

    def stroke(
        self,
        x: Array,
        y: Array,
        half_length: Number,
        half_width: Number,
        slope: Number = 0.0,
        bend: Number = 0.0,
    ) -> Array:
        """Return the cover of a stroke along y = slope t + bend t^2, with t from -1 to 1 in x."""
        t = np.clip(x / half_length, -1, 1)
        return self.inside(_length(x - t * half_length, y - t * (slope + t * bend)) - half_width)

    def paint(self, share: Array, tone: Number) -> None:
        """Lay a tone over the pictures."""
        self.tone += share * (tone - self.tone)

    def darken(self, share: Array, amount: Number) -> None:
        """Take a part of the light away."""
        self.tone *= 1 - share * amount


def _length(x: Array, y: Array) -> Array:
    return np.sqrt(x * x + y * y)  # several times as fast as np.hypot


def _spot(x: Array, y: Array, half_width: Number, half_height: Number) -> Array:
    """Return a spot that fades from 1 in its middle to 0 at its edge."""
    return np.maximum(1 - (x / half_width) ** 2 - (y / half_height) ** 2, 0)


def _positive(value: Array) -> Array:
    return np.maximum(value, 0)


def _backdrop(c: _Canvas, f: Values) -> None:
    c.tone += f["backdrop_tone"] + f["backdrop_slope_x"] * c.x + f["backdrop_slope_y"] * c.y
    c.tone += f["backdrop_step"] * c.inside(c.x + 0.3 * c.y - f["backdrop_edge"])


def _hair_behind(c: _Canvas, f: Values) -> None:
    volume = f["hair_volume"]
    crown = c.ellipse(c.x, c.y + 0.12, f["head_width"] + volume, f["head_height"] + volume)
    hanging = c.inside(np.abs(c.x) - f["head_width"] - volume, -0.1 - c.y)
    hair = np.maximum(crown, hanging) * c.inside(c.y - f["hair_length"])
    c.paint(hair * (1 - f["is_bald"]), f["hair_tone"])


def _neck(c: _Canvas, f: Values) -> None:
    c.paint(c.inside(np.abs(c.x) - 0.5, 0.6 - c.y), 0.7 * f["skin_tone"])
    c.paint(c.ellipse(c.x, c.y - 2.15, 1.6, 0.75), f["clothes_tone"])


def _head(c: _Canvas, f: Values) -> None:
    ears = c.ellipse(np.abs(c.x) - f["head_width"], c.y - 0.05, 0.1, 0.24)
    c.paint(ears * (f["hair_length"] < 0.6), 0.85 * f["skin_tone"])
    c.paint(c.inside(c.radius - 1), f["skin_tone"])


def _fringe(c: _Canvas, f: Values) -> None:
    line = f["hairline"] + f["fringe"] * (c.x - f["parting"]) ** 2
    c.paint(c.inside(c.radius - 1.05, c.down - line) * (1 - f["is_bald"]), f["hair_tone"])


def _nose_level(f: Values) -> Array:
    return f["eye_level"] + f["nose_length"] - 0.08 * f["nose_wrinkle"]


def _nose(c: _Canvas, f: Values) -> None:
    y = c.down - _nose_level(f)
    width = f["nose_width"] * (1 + 0.2 * f["nose_wrinkle"] + 0.12 * f["corner_pull"])
    c.tone *= 1 + 0.12 * _spot(c.across, y + 0.1, 0.09, 0.3)  # light on the ridge
    c.darken(_spot(c.side - 0.55 * width, y + 0.22, 0.09, 0.3), 0.18)  # and shadow beside it
    c.darken(_spot(c.across, y - 0.1, 1.3 * width, 0.09), 0.3)
    c.darken(c.ellipse(c.side - 0.45 * width, y - 0.04, 0.3 * width, 0.03), 0.6)  # nostrils
    c.darken(c.stroke(y + 0.01, c.side - 1.02 * width, 0.07, 0.018, bend=-0.04), 0.35)  # wings


def _cheeks(c: _Canvas, f: Values) -> None:
    c.tone *= 1 + 0.14 * _positive(f["cheek_raise"]) * _spot(c.side - 0.5, c.down - 0.2, 0.3, 0.22)
    # The fold from the wings of the nose round the corners of the mouth.
    depth = 0.32 * f["corner_pull"] + 0.4 * np.maximum(f["nose_wrinkle"], f["upper_lip_raise"])
    x = c.side - (0.5 * f["mouth_width"] + 0.16 + 0.05 * f["corner_pull"])
    y = c.down - (_nose_level(f) + f["mouth_level"]) / 2 + 0.02
    fold = c.stroke(y, x, 0.2, 0.022, slope=0.13, bend=0.03)
    c.darken(fold, np.clip(0.1 * f["age"] + depth, 0, 0.55))


def _beard(c: _Canvas, f: Values) -> None:
    chin = c.inside(0.62 - c.down - 0.35 * c.side, 0.62 - c.radius, c.radius - 1)
    moustache = c.inside(c.side - 0.45, np.abs(c.down - f["mouth_level"] + 0.17) - 0.09)
    c.paint(np.maximum(chin, moustache) * f["beard"] * f["has_beard"], f["hair_tone"])


def _mouth(c: _Canvas, f: Values) -> None:
    drop, part, press = (_positive(f[name]) for name in ("jaw_drop", "lips_part", "lip_press"))
    pull, depress, chin = (
        _positive(f[name]) for name in ("corner_pull", "corner_depress", "chin_raise")
    )
    stretch, raised = f["lip_stretch"], _positive(f["upper_lip_raise"])
    width = f["mouth_width"] * (
        1 + 0.3 * pull + 0.26 * stretch - 0.3 * drop - 0.14 * press - 0.08 * chin
    )
    level = f["mouth_level"] + 0.06 * pull + 0.05 * drop - 0.05 * chin - 0.03 * raised
    corner = f["mouth_curve"] - 0.2 * pull + 0.19 * depress + 0.04 * (stretch + chin)

    square = np.clip(c.across / width, -1.2, 1.2) ** 2
    y = c.down - level - corner * (square - 0.35)
    full, round_ = 1 - square * square, 1 - square
    upper = (0.06 * part + 0.08 * drop + 0.06 * raised * np.maximum(part, 0.25)) * full
    lower = (0.13 * part + 0.26 * drop) * full
    lip = f["lip_width"] * (1 - 0.6 * np.minimum(press, 1) - 0.2 * pull) * round_
    beyond = np.abs(c.across) - width
    over = upper + lip + 0.04 * raised * full
    c.darken(c.inside(-over - y, y - lower - 1.25 * lip, beyond), 1 - f["lip_tone"])
    gap = c.inside(-upper - y - 0.012, y - lower - 0.012, beyond)
    c.paint(gap, 0.07)
    teeth = c.inside(0.01 - upper - y, y + upper - 0.12, y - lower + 0.01)
    shown = np.clip(3 * part - 0.3, 0, 1) * (1 - 0.75 * np.clip(drop - 0.3, 0, 1))
    c.paint(gap * teeth * shown, 0.88)

    corners = _spot(c.side - width, c.down - level - 0.65 * corner, 0.09, 0.07)
    c.darken(corners, 0.15 + 0.3 * np.maximum(pull, depress))
    crease = _spot(c.across, c.down - level - lower - 0.2, 0.3, 0.07)
    c.darken(crease, 0.12 + 0.35 * np.minimum(chin, 1))


def _eyes(c: _Canvas, f: Values) -> None:
    wide, tight = f["upper_lid_raise"], _positive(f["lid_tighten"])
    cheek = _positive(f["cheek_raise"])
    x = c.side - f["eye_spacing"]
    y = c.down - f["eye_level"] + f["eye_slant"] * x
    c.darken(_spot(x, y + 0.06, 0.3, 0.24), 0.16)  # the socket
    arc = _positive(1 - (x / f["eye_width"]) ** 2)
    upper = f["eye_height"] * np.maximum(1 + 0.75 * wide - 0.3 * (tight + cheek), 0.12) * arc
    lower = f["eye_height"] * np.maximum(0.65 + 0.25 * wide - 0.5 * (tight + cheek), 0.05) * arc
    beyond = np.abs(x) - f["eye_width"]
    eye = c.inside(-upper - y, y - lower, beyond)
    c.paint(eye, 0.62 + 0.3 * f["skin_tone"])
    look = x - f["gaze"] * np.sign(c.across)  # both eyes look the same way
    c.paint(eye * c.ellipse(look, y + 0.01, f["iris_size"], f["iris_size"]), f["iris_tone"])
    c.paint(eye * c.ellipse(look + 0.03, y + 0.04, 0.025, 0.025), 0.95)  # a glint
    beyond = _positive(beyond)
    c.darken(c.inside(_length(beyond, y + upper) - 0.03), 0.65)  # lashes
    c.darken(c.inside(_length(beyond, y - lower) - 0.012), 0.35)
    bag = _positive(1 - np.abs(y - lower - 0.09 + 0.02 * cheek) / 0.05) * arc
    c.darken(bag, 0.05 + 0.12 * f["age"] + 0.22 * np.maximum(cheek, tight))


def _brows(c: _Canvas, f: Values) -> None:
    inner, outer, lowered = f["inner_brow_raise"], f["outer_brow_raise"], f["brow_lower"]
    wrinkle = f["nose_wrinkle"]
    x = c.side - f["eye_spacing"] + 0.05 * lowered
    raised = f["brow_gap"] + 0.09 * inner + 0.08 * outer - 0.085 * lowered - 0.04 * wrinkle
    y = c.down - f["eye_level"] + raised + f["brow_arch"]
    slope = 0.02 + 0.09 * inner - 0.075 * outer - 0.085 * lowered - 0.02 * wrinkle  # outwards
    bend = f["brow_arch"] * (1 + 0.8 * outer - 0.7 * lowered)
    thickness = f["brow_width"] * (1.05 - 0.45 * np.clip(x / f["brow_length"], -1, 1))
    brow = c.stroke(x, y, f["brow_length"], thickness, slope=slope, bend=bend)
    c.paint(0.85 * brow, 0.8 * f["hair_tone"])


def _wrinkles(c: _Canvas, f: Values) -> None:
    depth = 0.35 + 0.65 * f["age"]
    y = c.down - f["eye_level"]
    raised = np.clip((f["inner_brow_raise"] + f["outer_brow_raise"]) / 2, 0, 1)
    for level in (-0.4, -0.54):  # across the forehead
        line = c.stroke(c.across, y - level + 0.12 * raised, 0.42, 0.015, bend=0.05)
        c.darken(line, 0.4 * raised * depth)
    frown = c.stroke(y + 0.17, c.side - 0.075, 0.1, 0.017)  # upright, between the brows
    c.darken(frown, 0.5 * np.clip(f["brow_lower"], 0, 1) * depth)
    for level in (0.07, -0.02):  # across the bridge of the nose
        line = c.stroke(c.across, y - level, 0.12, 0.015, bend=0.03)
        c.darken(line, 0.5 * np.clip(f["nose_wrinkle"], 0, 1) * depth)


def _glasses(c: _Canvas, f: Values) -> None:
    size = f["glasses_size"]
    x = (c.side - f["eye_spacing"] - 0.01) / size
    y = c.down - f["eye_level"] - 0.02
    rounded = np.sqrt(_length(x * x, (y / (0.78 * size)) ** 2))  # between a circle and a square
    rim = np.abs(rounded - 1) * 0.8 * size - 0.025
    bridge = np.maximum(c.side - 0.14, np.abs(y + 0.06) - 0.025)
    temple = np.maximum(np.abs(y + 0.08) - 0.025, np.abs(c.side - 0.85) - 0.2)
    frame = c.inside(np.minimum(np.minimum(rim, bridge), temple))
    c.paint(frame * f["has_glasses"], f["glasses_tone"])


def _light(c: _Canvas, f: Values) -> None:
    towards_viewer = np.sqrt(np.maximum(1.08 - c.radius * c.radius, 0.08))  # as if it were a ball
    across, down = f["light_x"], f["light_y"]
    falling = c.x * across + 0.7 * c.y * down + towards_viewer
    falling /= np.sqrt(1 + across * across + down * down)
    shade = f["light_share"] * (1.25 * _positive(falling) - 1)
    c.tone *= 1 + shade * np.clip(8 * (1.1 - c.radius), 0, 1)  # on the head only


def _cover(c: _Canvas, f: Values) -> None:
    x = c.x - f["cover_distance"] * np.cos(f["cover_angle"])
    y = c.y - f["cover_distance"] * np.sin(f["cover_angle"]) - 0.1
    cosine, sine = np.cos(f["cover_turn"]), np.sin(f["cover_turn"])
    along, aside = np.abs(x * cosine + y * sine), np.abs(y * cosine - x * sine)
    bar = c.inside(along - 3.2 * f["cover_width"], aside - f["cover_width"])
    c.paint(bar * f["has_cover"], f["cover_tone"])


_FROM_BACK_TO_FRONT = (
    *(_backdrop, _hair_behind, _neck, _head, _fringe, _nose, _cheeks, _beard, _mouth),
    *(_eyes, _brows, _wrinkles, _glasses, _light, _cover),
)


def _photograph(tone: Array, f: Values, rng: np.random.Generator) -> Array:
    """Blur, expose, add noise and round to grey levels."""
    beside = f["blur"] / 3  # 0 keeps a pixel; at most it becomes the mean of three, on each axis
    size = tone.shape[1]
    padded = np.pad(tone, ((0, 0), (1, 1), (0, 0)), mode="edge")
    tone = (1 - 2 * beside) * tone + beside * (padded[:, :size] + padded[:, 2:])
    padded = np.pad(tone, ((0, 0), (0, 0), (1, 1)), mode="edge")
    tone = (1 - 2 * beside) * tone + beside * (padded[:, :, :size] + padded[:, :, 2:])
    tone = tone * f["gain"] + f["bias"]
    tone += rng.standard_normal(tone.shape, dtype=np.float32) * f["noise"]
    return np.clip(255 * tone + 0.5, 0, 255).astype(np.uint8)
