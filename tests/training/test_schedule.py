import pytest

from nmt.training.schedule import learning_rate_factor


def course(schedule: str, updates: list[int], warmup: int = 4, total: int = 12) -> list[float]:
    return [
        learning_rate_factor(
            update,
            schedule=schedule,  # type: ignore[arg-type]
            warmup_updates=warmup,
            total_updates=total,
        )
        for update in updates
    ]


@pytest.mark.parametrize("schedule", ["cosine", "inverse_sqrt", "plateau", "constant"])
def test_the_warm_up_is_a_line_that_starts_above_zero(schedule: str) -> None:
    assert course(schedule, [0, 1, 2, 3]) == [0.25, 0.5, 0.75, 1.0]


def test_cosine_by_hand() -> None:
    # 8 updates after the warm-up: at a quarter, half, three quarters and all of the way.
    points = course("cosine", [4, 6, 8, 10, 12, 15])
    assert points == pytest.approx([1, 0.5 + 0.5**0.5 / 2, 0.5, 0.5 - 0.5**0.5 / 2, 0, 0])


def test_inverse_square_root_by_hand() -> None:
    assert course("inverse_sqrt", [3, 15, 35]) == pytest.approx([1, 0.5, 1 / 3])


def test_constant_and_plateau_stay() -> None:
    for schedule in ("constant", "plateau"):
        assert course(schedule, [4, 100]) == [1, 1]


def test_no_warm_up_starts_at_the_peak() -> None:
    assert course("constant", [0], warmup=0) == [1]
