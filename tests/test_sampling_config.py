"""Settings of generation: what is accepted, and what is refused with which words."""

import dataclasses
import importlib.util

import numpy as np
import pytest

from gemma_edu import sampling_config

# Read anew, without the type checks that the test suite adds to the package: users meet the errors without them.
SPEC = importlib.util.spec_from_file_location("unchecked", sampling_config.__file__)
UNCHECKED = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(UNCHECKED)
Sampling = UNCHECKED.Sampling

HOT = {"temperature": 1.0}


def test_the_default_is_64_greedy_tokens_with_everything_else_off():
    sampling = Sampling()
    assert (sampling.max_tokens, sampling.temperature, sampling.seed, sampling.top_p) == (64, 0.0, 0, 1.0)
    assert (sampling.top_k, sampling.frequency_penalty, sampling.presence_penalty) == (None, 0.0, 0.0)
    assert sampling.stop == () and sampling.is_greedy


@pytest.mark.parametrize(
    "values",
    [
        {"max_tokens": 1, "seed": 2**32 - 1},
        {"temperature": 2},
        {"temperature": np.float32(0.7), "top_p": np.float64(0.9)},
        HOT | {"top_p": 1e-9, "top_k": 1},
        HOT | {"top_p": 1, "top_k": 10**9},
        {"top_p": 1.0, "top_k": None},
        {"frequency_penalty": -2, "presence_penalty": 2.0},
        {"frequency_penalty": 0.5},  # greedy: penalties change which token is the most likely
    ],
)
def test_ends_of_the_ranges_are_accepted(values):
    sampling = Sampling(**values)
    assert {name: getattr(sampling, name) for name in values} == values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_tokens": 0}, "max_tokens = 0: ask for at least 1"),
        ({"max_tokens": True}, "max_tokens = True: it must be a whole number"),
        ({"max_tokens": 2.0}, r"max_tokens = 2\.0: it must be a whole number"),
        ({"max_tokens": None}, "max_tokens = None: it must be a whole number"),
        ({"seed": 0.5}, r"seed = 0\.5: it must be a whole number"),
        ({"seed": None}, "seed = None: it must be a whole number"),
        ({"seed": -1}, "seed = -1: it must lie between 0 and"),
        ({"seed": 2**32}, "seed = 4294967296: it must lie between 0 and"),
        ({"temperature": -0.5}, "temperature = -0.5: it must be 0"),
        ({"temperature": float("inf")}, "temperature = inf"),
        ({"temperature": float("nan")}, "temperature = nan"),
        ({"temperature": "1"}, "temperature = '1'"),
        ({"temperature": None}, "temperature = None"),
        ({"temperature": True}, "temperature = True"),
        (HOT | {"top_p": 0}, "top_p = 0: no set of tokens has probability 0; .* set temperature = 0"),
        (HOT | {"top_p": -0.1}, "top_p = -0.1: it must be above 0 and at most 1; 1 is off"),
        (HOT | {"top_p": 1.01}, "top_p = 1.01: it must be above 0 and at most 1"),
        (HOT | {"top_p": 90}, "top_p = 90: it must be above 0 and at most 1"),
        (HOT | {"top_p": float("nan")}, "top_p = nan"),
        (HOT | {"top_p": None}, "top_p = None"),
        (HOT | {"top_k": 0}, "top_k = 0: keep at least 1 token, or set None to keep all"),
        (HOT | {"top_k": -1}, "top_k = -1: keep at least 1 token"),
        (HOT | {"top_k": 40.0}, "top_k = 40.0: it must be a whole number"),
        (HOT | {"top_k": True}, "top_k = True: it must be a whole number"),
        ({"frequency_penalty": 2.1}, "frequency_penalty = 2.1: it must be a number from -2 to 2; 0 is off"),
        ({"presence_penalty": -3}, "presence_penalty = -3: it must be a number from -2 to 2"),
        ({"presence_penalty": "0"}, "presence_penalty = '0': it must be a number"),
        ({"stop": "END"}, "stop = 'END': give a tuple of strings and token ids, such as"),
        ({"stop": 107}, "stop = 107: give a tuple"),
        ({"stop": None}, "stop = None: give a tuple"),
        ({"stop": ("END", "")}, 'stop holds "", which is found before every token: leave it out'),
        ({"stop": (-1,)}, "stop holds -1: each must be a string or a token id"),
        ({"stop": (1.5,)}, "stop holds 1.5: each must be"),
        ({"stop": (True,)}, "stop holds True: each must be"),
        ({"stop": (b"END",)}, "stop holds b'END': each must be"),
        ({"top_p": 0.9}, r"temperature = 0.0 always takes the most likely token, so top_p = 0.9 would do nothing"),
        ({"top_k": 5, "temperature": 1e-6}, "temperature = 1e-06 .* top_k = 5 would .* raise the temperature"),
        ({"top_k": 5, "top_p": 0.5}, "so top_p = 0.5 and top_k = 5 would do nothing"),
    ],
)  # fmt: skip
def test_values_out_of_range_and_contradictions_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**values)


def test_stops_are_strings_and_ids():
    sampling = Sampling(stop=["\n\n", 107, "END", 0])
    assert sampling.stop == ("\n\n", 107, "END", 0)
    assert sampling.stop_strings == ("\n\n", "END")
    assert sampling.stop_ids == (107, 0)


def test_it_cannot_change_and_can_be_a_key():
    sampling = Sampling(stop=["END"])
    assert hash(sampling) == hash(Sampling(stop=("END",)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        sampling.seed = 1


def test_a_tiny_temperature_is_greedy():
    assert Sampling(temperature=9e-6).is_greedy and not Sampling(temperature=1e-5).is_greedy
