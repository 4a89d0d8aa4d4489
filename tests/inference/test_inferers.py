"""Windows, blending and the way back, with networks simple enough to know the answer."""

import tracemalloc

import numpy as np
import pytest

from ultralightunet.inference.inferers import Tiling, label_image


class OneHot:
    """A network that sees in each voxel the class written there."""

    name, device = "one-hot", "cpu"

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.shapes.append(batch.shape)
        assert all(side % 32 == 0 for side in batch.shape[2:])
        if self.classes == 1:
            return batch - 0.5
        return np.stack([-np.abs(batch[:, 0] - n) for n in range(self.classes)], axis=1).astype(np.float32)


def run(engine: OneHot, image: np.ndarray, out: np.ndarray, tiling: Tiling) -> list[tuple[int, int]]:
    return list(label_image(engine, image[None].astype(np.float32), out, tiling, engine.classes))


@pytest.mark.parametrize("step", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("grid", [(40, 70, 50), (96, 33, 32), (10, 20, 100), (32, 32, 32)])
def test_windows_give_back_what_is_in_the_image(grid: tuple[int, ...], step: float) -> None:
    labels = np.random.default_rng(0).integers(0, 4, grid)
    tiling = Tiling.plan(grid, (32, 32, 32), whole=0, step=step)
    out = np.full(grid, 9, np.uint8)
    events = run(OneHot(4), labels, out, tiling)
    np.testing.assert_array_equal(out, labels)
    assert sorted({done for done, _ in events}) == list(range(1, tiling.count + 1))
    assert events == sorted(events)


def test_a_two_dimensional_image_and_a_sigmoid_work_alike() -> None:
    labels = np.random.default_rng(0).integers(0, 2, (75, 130))
    out = np.zeros((75, 130), np.uint8)
    run(OneHot(1), labels, out, Tiling.plan((75, 130), (64, 64), whole=0, step=0.5))
    np.testing.assert_array_equal(out, labels)


def test_labels_are_written_through_flipped_and_permuted_views() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (40, 50, 60))
    store = np.zeros((60, 40, 50), np.uint8)
    view = store.transpose(1, 2, 0)[::-1, :, ::-1]
    run(OneHot(3), labels, view, Tiling.plan((40, 50, 60), (32, 32, 32), whole=0, step=0.5))
    np.testing.assert_array_equal(store[::-1].transpose(1, 2, 0)[::-1], labels)


@pytest.mark.parametrize("shape", [(80, 60, 100), (30, 90, 25), (40, 45, 50)])
def test_labels_come_back_on_a_finer_or_coarser_grid(shape: tuple[int, ...]) -> None:
    """A ball stays the same ball, to the nearest voxel."""

    def ball(grid: tuple[int, ...]) -> np.ndarray:
        axes = np.meshgrid(*[(np.arange(n) + 0.5) / n - 0.5 for n in grid], indexing="ij")
        return sum(a**2 for a in axes) < 0.3**2

    grid = (40, 45, 50)
    results = []
    for whole in (0, 1):
        out = np.zeros(shape, np.uint8)
        run(OneHot(2), ball(grid).astype(int), out, Tiling.plan(grid, (32, 32, 32), whole=whole, step=0.5))
        expected = ball(shape)
        assert 2 * (out & expected).sum() / (out.sum() + expected.sum()) > 0.95
        results.append(out)
    np.testing.assert_array_equal(*results)


def test_an_image_that_fits_is_seen_whole() -> None:
    engine = OneHot(2)
    run(engine, np.zeros((50, 60, 70)), np.zeros((50, 60, 70), np.uint8), Tiling.plan((50, 60, 70), (32, 32, 32), whole=1, step=0.5))
    assert engine.shapes == [(1, 1, 64, 64, 96)]


def test_the_network_sees_the_axes_in_their_own_order() -> None:
    engine = OneHot(2)
    run(engine, np.zeros((40, 50, 200)), np.zeros((40, 50, 200), np.uint8), Tiling.plan((40, 50, 200), (32, 64, 96), whole=0, step=0.5))
    assert set(engine.shapes) == {(1, 1, 32, 64, 96)}


def test_memory_does_not_grow_with_classes_times_volume() -> None:
    """Thirty classes of the whole volume would take 240 MB here; the cross-section that is kept takes a tenth."""
    grid = (2000, 32, 32)
    engine = OneHot(30)
    image = np.random.default_rng(0).integers(0, 30, grid).astype(np.float32)[None]
    out = np.zeros(grid, np.uint8)
    tracemalloc.start()
    list(label_image(engine, image, out, Tiling.plan(grid, (32, 32, 32), whole=0, step=0.5), 30))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(out, image[0])
    assert peak < 60e6


def test_closing_stops_after_the_window_at_hand() -> None:
    engine = OneHot(2)
    work = label_image(
        engine,
        np.zeros((1, 96, 96, 96), np.float32),
        np.zeros((96, 96, 96), np.uint8),
        Tiling.plan((96,) * 3, (32,) * 3, whole=0, step=0.5),
        2,
    )
    next(work)
    next(work)
    work.close()
    assert len(engine.shapes) == 2


@pytest.mark.parametrize("classes", [1, 4])
def test_columns_worked_on_in_strips_get_the_same_labels(monkeypatch: pytest.MonkeyPatch, classes: int) -> None:
    grid, shape = (40, 45, 50), (60, 70, 80)
    coarse = np.random.default_rng(0).integers(0, max(2, classes), (8, 9, 10))
    image = np.kron(coarse, np.ones((5, 5, 5), int))
    results = []
    for values in (10**6, 500):
        monkeypatch.setattr("ultralightunet.inference.assembly._CACHED", values)
        out = np.zeros(shape, np.uint8)
        run(OneHot(classes), image, out, Tiling.plan(grid, (32, 32, 32), whole=0, step=0.5))
        results.append(out)
    assert len(np.unique(results[0])) == max(2, classes)
    # A class that comes second on both sides of a border may win between them only where it is looked at.
    assert (results[0] != results[1]).mean() < (0.002 if classes > 1 else 1e-9)
