import torch

from stemwise.data.augment import timing

RATE = 100


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_delay_moves_each_stem_by_up_to_a_second_either_way() -> None:
    impulse = torch.zeros(200, 2, 2, 1001)
    impulse[..., 500] = 1
    moved = timing.delay(impulse, seeded(), sample_rate=RATE)
    assert (moved.sum(dim=-1) == 1).all()
    places = moved.argmax(dim=-1)
    assert torch.equal(places[:, :, 0], places[:, :, 1])
    assert (places[:, 0, 0] != places[:, 1, 0]).float().mean() > 0.9
    assert 400 <= places.min() < 410
    assert 590 < places.max() <= 600


def test_what_is_moved_in_is_silence() -> None:
    ramp = torch.arange(1.0, 301).expand(50, 1, 2, 300)
    for moved in timing.delay(ramp, seeded(), sample_rate=RATE)[:, 0, 0]:
        heard = moved[moved != 0]
        assert 200 <= len(heard) <= 300
        assert torch.equal(heard.diff(), torch.ones(len(heard) - 1))  # untouched, only moved
        assert moved[0] == 0 or moved[-1] == 0 or len(heard) == 300


def test_cross_song_deals_out_each_stem_to_every_example_once() -> None:
    songs = torch.arange(20.0)[:, None, None, None] + torch.tensor([0.0, 100, 200])[:, None, None]
    songs = songs.expand(20, 3, 2, 5)
    mixed = timing.cross_song(songs, seeded())
    for s in range(3):
        assert torch.equal(mixed[:, s].sort(dim=0).values, songs[:, s])
    numbers = mixed[:, :, 0, 0] % 100
    assert (numbers[:, 0] != numbers[:, 1]).sum() > 15
    assert (numbers[:, 0] != torch.arange(20)).sum() > 15
    assert torch.equal(timing.cross_song(songs[:1], seeded()), songs[:1])
