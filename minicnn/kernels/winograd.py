"""Convolution by Winograd's minimal filtering: fewer products, more sums, for stride 1.

The transformed images V, filters U and outputs M are tables of n^2 places, and M = V U is a matrix
product (T, C) x (C, O) for each. The gradients are the adjoints of these steps in reverse order:
dM, from the gradient of the outputs, serves both dU = V^T dM and dV = dM U^T.

Layers with few channels have many tiles and small filters: each thread takes its images from end to
end, in chunks whose tables stay in its cache. Where the filters are large, each thread would read
all of them: there the threads share the places of the products instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from minicnn import backend
from minicnn.kernels import compiled
from minicnn.kernels.cook_toom import tile_size
from minicnn.kernels.sizes import Padding, Pair
from minicnn.kernels.threads import limit_blas, parallel, split
from minicnn.kernels.tiles import Tiles

__all__ = ["conv2d", "cost", "filter_cost", "gain", "gradients", "input_cost"]

_CHUNK = 1 << 19  # numbers in a table of one thread, 2 MB: about a core's second-level cache
_BATCH = 1 << 24  # numbers in a table that all threads share
_SHARED = 1 << 14  # pairs of channels from which on the threads share the places
_PARALLEL = 1 << 20  # products of two numbers from which on a second thread gains
_COMPILED = 1 << 19  # numbers in a table of all images from which compiled transforms gain
_LEAST_TILES = 96  # rows of a product, so that the filters are not read again for a few of them
_TRANSFORM = 45  # products in whose time a number of a tile is transformed
_READY = 120  # rows of a product in whose time its filters are made ready, either way
_PATCHES = 1.5  # times the products of the direct way, for its copies of patches
_APART = 48  # numbers between the places, which would else meet in the same lines of the cache


class _Tables:
    """What one thread, or all of them together, work on: V, M and the sum of dU over chunks."""

    def __init__(self, plan: _Plan, filters: bool) -> None:
        tiles = min(plan.images, plan.n) * plan.tiles
        self.plan = plan
        self.v, self.m = plan.table(tiles * plan.c), plan.table(tiles * plan.o)
        self.du = plan.table(plan.c * plan.o) if filters else None
        self.tiles = 0  # in the chunk under way
        self.chunk = -1  # its number

    def start(self, images: slice) -> None:
        """Turn to the next chunk."""
        self.tiles = (images.stop - images.start) * self.plan.tiles
        self.chunk += 1

    @property
    def v_places(self) -> Any:
        """V as matrices (n^2, T, C)."""
        return self.plan.view(self.v, self.tiles, self.plan.c)

    @property
    def m_places(self) -> Any:
        """M as matrices (n^2, T, O)."""
        return self.plan.view(self.m, self.tiles, self.plan.o)


class _Plan:
    """The tiles of one convolution, and the order in which threads work through them."""

    def __init__(
        self, x: Any, filters: tuple[int, ...], images: int, padding: Padding, output: Pair
    ) -> None:
        limit_blas()
        self.n, self.r, self.c, self.o = images, filters[0], filters[2], filters[3]
        self.xp, self.dtype = backend.xp(x), x.dtype
        m = tile_size(self.r, output, images)
        self.places = (m + self.r - 1) ** 2
        counts = (-(-output[0] // m), -(-output[1] // m))
        self.tiles = counts[0] * counts[1]  # of an image
        corner = (padding[0][0], padding[1][0])
        size = self.places * images * self.tiles * max(self.c, self.o)
        if size >= _COMPILED and compiled.usable(x):
            from minicnn.kernels.compiled.tiles import CompiledTiles

            self.work: Tiles = CompiledTiles(x, m, self.r, counts, corner)
        else:
            self.work = Tiles(x, m, self.r, counts, corner)
        pairs = self.c * self.o
        products = images * self.tiles * self.places * pairs
        self.threads = None if products > _PARALLEL else 1
        self.shared = pairs >= _SHARED
        tiles = (_BATCH if self.shared else _CHUNK) // (self.places * max(self.c, self.o))
        self.images = max(1, max(tiles, _LEAST_TILES) // self.tiles)  # of a chunk

    def table(self, columns: int) -> Any:
        """Return a table (n^2, columns) and a little more, of undefined content."""
        return self.xp.empty((self.places, columns + _APART), dtype=self.dtype)

    def view(self, table: Any, rows: int, columns: int) -> Any:
        """View the first columns of a table as matrices (n^2, rows, columns)."""
        return table[:, : rows * columns].reshape(self.places, rows, columns)

    def filters(self, w: Any) -> Any:
        """Return U, (n^2, C, O)."""
        pairs = self.c * self.o
        u, rows = self.table(pairs), w.reshape(self.r**2, pairs)
        parallel(lambda part: self.work.filters(rows, u, part), split(pairs, self.threads))
        return self.view(u, self.c, self.o)

    def filters_gradient(self, du: Any) -> Any:
        """Return the gradient in the filters from that in U."""
        pairs = self.c * self.o
        gw = self.xp.empty((self.r**2, pairs), dtype=self.dtype)
        parallel(lambda part: self.work.filters_gradient(du, gw, part), split(pairs, self.threads))
        return gw.reshape(self.r, self.r, self.c, self.o)

    def run(
        self,
        before: Callable[[_Tables, slice, int], Any],
        product: Callable[[_Tables, slice], None],
        after: Callable[[_Tables, slice, int], None] | None,
        filters: bool = False,
    ) -> tuple[list[_Tables], list[Any]]:
        """Work through the batch: transform images, multiply for each place, transform back.

        Parameters
        ----------
        before, after : callable
            Get tables, images, and the number of the first of their tiles in the tables.
        product : callable
            Gets tables and a range of places.
        filters : bool
            Whether the tables have one for dU.

        Returns
        -------
        tables : list of _Tables
        results : list
            What ``before`` returned, in the order of the images.
        """
        if self.shared:
            return self._run_together(before, product, after, filters)

        def compute(share: slice) -> tuple[_Tables, list[Any]]:
            tables, results = _Tables(self, filters), []
            for images in self._chunks(share):
                tables.start(images)
                results.append(before(tables, images, 0))
                product(tables, slice(0, self.places))
                if after:
                    after(tables, images, 0)
            return tables, results

        done = parallel(compute, split(self.n, self.threads))
        return [tables for tables, _ in done], [each for _, found in done for each in found]

    def _run_together(
        self, before: Any, product: Any, after: Any, filters: bool
    ) -> tuple[list[_Tables], list[Any]]:
        tables, results = _Tables(self, filters), []

        def each(function: Any, images: slice) -> list[Any]:
            def compute(part: slice) -> Any:
                own = slice(images.start + part.start, images.start + part.stop)
                return function(tables, own, part.start * self.tiles)

            return parallel(compute, split(images.stop - images.start, self.threads))

        for images in self._chunks(slice(0, self.n)):
            tables.start(images)
            results += each(before, images)
            parallel(lambda part: product(tables, part), split(self.places, self.threads))
            if after:
                each(after, images)
        return [tables], results

    def _chunks(self, images: slice) -> Iterator[slice]:
        # Of nearly equal size.
        count = images.stop - images.start
        for part in split(count, -(-count // self.images)):
            yield slice(images.start + part.start, images.start + part.stop)


def conv2d(x: Any, w: Any, b: Any, *, padding: Padding, output: Pair, slope: float = 1) -> Any:
    """Cross-correlate images with square filters, with stride 1.

    Parameters
    ----------
    x : array (N, H, W, C)
    w : array (R, R, C, O)
    b : array (O,) or None
    padding : pair of pairs
    output : pair of int
    slope : float
        Factor of negative results, 0 to 1.

    Returns
    -------
    array (N, OH, OW, O)
    """
    xp = backend.xp(x)
    n, c, o = x.shape[0], w.shape[2], w.shape[3]
    y = xp.empty((n, *output, o), dtype=x.dtype)
    if not y.size:
        return y
    plan = _Plan(x, w.shape, n, padding, output)
    u = plan.filters(w)

    def before(tables: _Tables, images: slice, first: int) -> None:
        plan.work.cut(x[images], tables.v, first * c)

    def product(tables: _Tables, part: slice) -> None:
        xp.matmul(tables.v_places[part], u[part], out=tables.m_places[part])

    def after(tables: _Tables, images: slice, first: int) -> None:
        plan.work.join(tables.m, first * o, y[images], b, slope)

    plan.run(before, product, after)
    return y


def gradients(
    x: Any,
    w: Any,
    gy: Any,
    *,
    size: Pair,
    kernel: int,
    padding: Padding,
    y: Any = None,
    slope: float = 1,
    bias: bool = False,
) -> tuple[Any, Any, Any]:
    """Return the gradients in the images, in the filters and in the bias.

    Parameters
    ----------
    x : array (N, H, W, C) or None
        Without it there is no gradient in the filters.
    w : array (R, R, C, O) or None
        Without it there is no gradient in the images.
    gy : array (N, OH, OW, O)
    size : pair of int
        (H, W) of the images.
    kernel : int
        R.
    padding : pair of pairs
    y : array (N, OH, OW, O), optional
        What :func:`conv2d` returned; needed with a slope other than 1.
    slope : float
        As for :func:`conv2d`.
    bias : bool
        Whether the gradient in the bias is wanted.

    Returns
    -------
    gx : array (N, H, W, C) or None
    gw : array (R, R, C, O) or None
    gb : array (O,) or None
    """
    xp = backend.xp(gy)
    n, o = gy.shape[0], gy.shape[3]
    c = x.shape[3] if w is None else w.shape[2]
    gx: Any = None if w is None else xp.empty((n, *size, c), dtype=gy.dtype)
    if not gy.size:
        return _no_gradients(gy, gx, None if x is None else (kernel, kernel, c, o), bias)
    plan = _Plan(gy, (kernel, kernel, c, o), n, padding, gy.shape[1:3])
    u = None if w is None else plan.filters(w).swapaxes(1, 2)

    def before(tables: _Tables, images: slice, first: int) -> Any:
        if x is not None:
            plan.work.cut(x[images], tables.v, first * c)
        outputs = None if y is None else y[images]
        return plan.work.cut_gradient(gy[images], outputs, slope, tables.m, first * o, bias)

    def product(tables: _Tables, part: slice) -> None:
        v, m = tables.v_places[part], tables.m_places[part]
        if x is not None:
            du = plan.view(tables.du, c, o)[part]
            if tables.chunk == 0:
                xp.matmul(v.swapaxes(1, 2), m, out=du)
            else:
                du += xp.matmul(v.swapaxes(1, 2), m)
        if u is not None:
            xp.matmul(m, u[part], out=v)

    def after(tables: _Tables, images: slice, first: int) -> None:
        plan.work.join_gradient(tables.v, first * c, gx[images])

    tables, sums = plan.run(before, product, None if gx is None else after, x is not None)
    gw = None
    if x is not None:
        total, *others = (plan.view(each.du, c, o) for each in tables)
        for other in others:
            total += other
        gw = plan.filters_gradient(tables[0].du)
    return gx, gw, sum(sums[1:], start=sums[0]).astype(gy.dtype) if bias else None


def _no_gradients(gy: Any, gx: Any, filters: tuple[int, ...] | None, bias: bool) -> tuple:
    # Those of a batch without outputs.
    xp = backend.xp(gy)
    if gx is not None:
        gx[...] = 0
    gw = None if filters is None else xp.zeros(filters, dtype=gy.dtype)
    return gx, gw, xp.zeros(gy.shape[3:], dtype=gy.dtype) if bias else None


def cost(n: int, c: int, o: int, kernel: int, output: Pair) -> tuple[int, int]:
    """Return the multiplications and additions of a convolution without bias, transforms included.

    The transforms count as products with whole matrices; compiled ones leave out the zeros.

    Parameters
    ----------
    n, c, o : int
        Images, channels and filters.
    kernel : int
        R.
    output : pair of int

    Returns
    -------
    multiplications, additions : int
    """
    m, tiles = _tiling(n, kernel, output)
    size = m + kernel - 1
    return _total(
        _transform(size, kernel, c * o),
        _transform(size, size, tiles * c),
        _product(size**2 * tiles, c, o),
        _transform(m, size, tiles * o),
    )


def input_cost(
    n: int, c: int, o: int, kernel: int, size: Pair, padding: Padding
) -> tuple[int, int]:
    """Return the multiplications and additions of the gradient in images of a size."""
    (height, width), (rows, columns) = size, padding
    output = (height + sum(rows) - kernel + 1, width + sum(columns) - kernel + 1)
    m, tiles = _tiling(n, kernel, output)
    side = m + kernel - 1
    return _total(
        _transform(side, kernel, c * o),
        _transform(side, m, tiles * o),
        _product(side**2 * tiles, o, c),
        _transform(side, side, tiles * c),
        (0, side**2 * tiles * c),
    )


def filter_cost(n: int, c: int, o: int, kernel: int, output: Pair) -> tuple[int, int]:
    """Return the multiplications and additions of the gradient in the filters."""
    m, tiles = _tiling(n, kernel, output)
    size = m + kernel - 1
    return _total(
        _transform(size, size, tiles * c),
        _transform(size, m, tiles * o),
        _product(size**2 * c, tiles, o),
        _transform(kernel, size, c * o),
    )


def gain(filters: tuple[int, ...], n: int, output: Pair) -> float:
    """Estimate how many times as much work the direct way is, in products of two numbers.

    Parameters
    ----------
    filters : tuple of int
        (R, R, C, O).
    n : int
        Images.
    output : pair of int
    """
    kernel, _, c, o = filters
    m, tiles = _tiling(n, kernel, output)
    places = (m + kernel - 1) ** 2
    work = places * ((tiles + _READY) * c * o + _TRANSFORM * tiles * (c + o))
    pixels = n * output[0] * output[1]
    return _PATCHES * kernel**2 * (pixels + _READY) * c * o / work


def _tiling(n: int, kernel: int, output: Pair) -> Pair:
    # Outputs along a side of a tile, and the number of tiles.
    m = tile_size(kernel, output, n)
    return m, n * -(-output[0] // m) * -(-output[1] // m)


def _transform(rows: int, terms: int, count: int) -> tuple[int, int]:
    # A matrix (rows, terms) on both sides of so many squares.
    first, second = _product(rows, terms, terms * count), _product(rows**2, terms, count)
    return first[0] + second[0], first[1] + second[1]


def _product(rows: int, terms: int, columns: int) -> tuple[int, int]:
    return rows * terms * columns, rows * (terms - 1) * columns


def _total(*pairs: tuple[int, int]) -> tuple[int, int]:
    multiplications, additions = zip(*pairs, strict=True)
    return sum(multiplications), sum(additions)
