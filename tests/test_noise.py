"""Random numbers belong to examples."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from daedal.nn.noise import Noise


@given(st.integers(0, 2**63), st.integers(0, 2**40), st.integers(1, 9), st.data())
def test_a_part_of_the_noise_is_the_noise_of_the_part(seed: int, first: int, count: int, data: st.DataObject) -> None:
    noise = Noise(seed, first, count)
    start = data.draw(st.integers(0, count - 1))
    stop = data.draw(st.integers(start + 1, count))
    whole = noise.normal("x", 2, 3)
    assert torch.equal(noise.part(start, stop).normal("x", 2, 3), whole[start:stop])
    assert torch.equal(noise.part(start, stop).uniform("t"), noise.uniform("t")[start:stop])
    assert torch.equal(noise.part(start, stop).integers("k", 10, 2), noise.integers("k", 10, 2)[start:stop])


def test_streams_seeds_and_examples_are_independent() -> None:
    one, two = Noise(0, 0, 4000).normal("one", 4), Noise(0, 0, 4000).normal("two", 4)
    other = Noise(1, 0, 4000).normal("one", 4)
    assert abs(float(one.mean())) < 0.03
    assert abs(float(one.std()) - 1) < 0.03
    for pair in ((one, two), (one, other), (one[:-1], one[1:])):
        assert abs(float((pair[0] * pair[1]).mean())) < 0.03
