"""The simulation of a cluster, where its outcome can be reckoned without it."""

from dataclasses import dataclass, replace

import pytest

from fleet import Fleet, simulate
from links import Link

PLAIN = Fleet(n_seats=8, n_songs=400, seats_per_node=2, compute_per_s=0.1, song_spread=0.0)
TROUBLE = replace(
    PLAIN,
    song_spread=0.4,
    input_bytes_per_s=1e4,
    output_bytes_per_s=1e5,
    storage_bytes_per_s=5e6,
    seat_bytes_per_s=2e6,
    latency_s=0.1,
    journal_s=0.002,
    start_s=2.0,
    crash_s=400.0,
    node_loss_s=1000.0,
    slow_nodes=0.3,
    bad_songs=0.05,
    failing_transfers=0.05,
)


def test_seats_that_wait_for_nothing_are_always_busy() -> None:
    out = simulate(PLAIN)
    assert out.wall_s == pytest.approx(400 / 8 * 24)
    assert out.busy == pytest.approx(1)


def test_transfers_hide_behind_the_work_of_the_song_before() -> None:
    fleet = replace(PLAIN, input_bytes_per_s=1e3, seat_bytes_per_s=1e5, ahead=2)
    out = simulate(fleet)
    assert out.wall_s == pytest.approx(400 / 8 * 24 + 2.4)  # the first fetch alone is waited for
    alone = simulate(replace(fleet, ahead=0))
    assert alone.wall_s == pytest.approx(400 / 8 * (24 + 2.4))


def test_storage_and_driver_are_limits() -> None:
    full = simulate(replace(PLAIN, output_bytes_per_s=1e6, storage_bytes_per_s=2e7))
    assert full.songs_per_hour == pytest.approx(3600 * 2e7 / 240e6, rel=0.03)
    assert full.network > 0.97
    slow = simulate(replace(PLAIN, journal_s=3.0))
    assert slow.songs_per_hour == pytest.approx(3600 / 6.0, rel=0.03)
    assert slow.driver > 0.97


def test_every_song_ends_once_whatever_happens() -> None:
    out = simulate(TROUBLE)
    assert out.done + out.bad == TROUBLE.n_songs
    assert out.most_often == 1
    assert out.bad > 0
    assert out.n_crashes > 10
    assert out.n_nodes_lost > 1
    assert out.n_interrupted > out.n_crashes
    assert 0 < out.wasted < 0.3
    assert out.wall_s > simulate(replace(TROUBLE, crash_s=float("inf"), node_loss_s=float("inf"))).wall_s


def test_one_seed_is_one_outcome() -> None:
    assert simulate(TROUBLE) == simulate(TROUBLE)
    assert simulate(TROUBLE) != simulate(replace(TROUBLE, seed=1))


@dataclass
class Holder:
    life: int = 0
    transfers: int = 0


def test_a_lost_seat_leaves_its_bandwidth_to_the_others() -> None:
    link, stays, goes, ended = Link(total=10.0, most=100.0), Holder(), Holder(), []
    link.begin(100.0, stays, 0, lambda: ended.append("stays"))
    link.begin(10.0, goes, 1, lambda: ended.append("goes"))
    assert link.next_end() == 2.0
    link.advance(1.0)
    link.give_up(goes)
    goes.life += 1
    assert link.next_end() == pytest.approx(1.0 + 95 / 10)
    link.advance(link.next_end())
    link.end()
    assert ended == ["stays"]
    assert link.active == 0
