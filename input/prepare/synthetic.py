"""Synthetic clicks with a known answer: the best NE that any model can reach.

A click is drawn from a teacher that a DLRM comes ever closer to as it grows,

    logit = bias + scale_0 sum_f effect_f[id_f]
                 + scale_1 sum_{f<g} <vector_f[id_f], vector_g[id_g]>
                 + scale_2 sum_w amplitude_w sin(<turn_w, inputs> + phase_w),

with Zipf-distributed ids, standard normal dense features, and everything above normal but the phases, which are
uniform. The waves' inputs are the dense features and the effects of the ids of the features with ``waves``. Each part
asks for a kind of scale: the effects for a row per id (V), the interactions for embeddings as long as the vectors (H),
the waves for wider MLPs: a bottom MLP sees the dense features alone, an over-arch sees them with the effects (M and O).
The settings fix the standard deviation of each part over the rows; the bias gives the CTR.

Tastes may drift: the logit of row t, counted from 0, then has another part, sum_f drift_f[id_f](t), with

    drift_f[id](t) = drift / sqrt(features) * (a cos(w t / drift_rows) + b sin(w t / drift_rows))

and a, b and w standard normal for every id. At any time the part's standard deviation over equally frequent ids is
``drift``, and its values at times s and t have

    correlation(s, t) = exp(-((s - t) / drift_rows)**2 / 2)

(random Fourier features: Rahimi and Recht 2007), so it changes smoothly and does not return. Predicting at time t with
the teacher of time s costs drift**2 (1 - correlation(s, t)) E[p (1 - p)] nats a row more than the best, p being the
click probability at t (Stein's lemma, as the part is normal).
"""

import dataclasses
from typing import Annotated

import numpy as np
import pydantic
from pydantic.dataclasses import dataclass

from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.schema import STRICT, CategoricalFeature, DenseFeature, Name, Schema

BLOCK_ROWS = 1 << 16
TINY = 1e-9  # in logits: a part that varies less, because it has one id or no terms, is constant but for rounding
BINS = 1 << 16  # of a feature's index; a power of two makes a number in [0, 1) times BINS exact
Spread = Annotated[float, pydantic.Field(ge=0, le=100)]


@dataclass(frozen=True, config=STRICT)
class SyntheticFeature:
    """A categorical feature of the generator.

    Attributes:
        name: the column.
        ids: how many distinct ids there are.
        rows: rows of its embedding table at V = 1; if fewer than ``ids``, ids share rows.
        zipf: the k-th most frequent id has a share proportional to k**-zipf.
        waves: whether its ids' effects are inputs of the waves.
    """

    name: Name
    ids: Annotated[int, pydantic.Field(ge=1, le=2**24)]
    rows: Annotated[int, pydantic.Field(ge=1, le=2**31 - 1)]
    zipf: Annotated[float, pydantic.Field(ge=0, le=10)] = 1.0
    waves: bool = False


@dataclass(frozen=True, config=STRICT)
class Synthetic:
    """The generator's settings.

    Attributes:
        rows: rows to generate.
        features: the categorical features.
        dense: how many dense features (standard normal).
        ctr: the target share of clicks; with drift, at time 0: afterwards it moves with the frequent ids.
        rank: length of the ids' hidden vectors; embeddings as long can express all interactions.
        effect_spread: standard deviation over the rows, in logits, of the sum of the ids' effects.
        interaction_spread: the same of the sum of the pairwise interactions; without effect if there is one feature.
        wave_spread: the same of the sum of the waves; without effect if they have no inputs.
        waves: how many waves there are.
        frequency: standard deviation of a wave's angle over rows and waves, in radians; the larger, the less linear are
            the waves.
        drift: standard deviation over equally frequent ids, in logits, of another part, which changes with time; 0:
            none. Above 0 the rows have a ``time``, which is their number, and are split by it. Ids and dense values are
            the same with and without.
        drift_rows: rows after which the drifting part's correlation with its earlier value is exp(-1/2) = 0.61.
        seed: seed of the teacher and the rows.
    """

    rows: Annotated[int, pydantic.Field(ge=1, le=2**40)]
    features: Annotated[tuple[SyntheticFeature, ...], pydantic.Field(min_length=1)]
    dense: Annotated[int, pydantic.Field(ge=0, le=1000)] = 4
    ctr: Annotated[float, pydantic.Field(gt=0, lt=1)] = 0.25
    rank: Annotated[int, pydantic.Field(ge=1, le=1000)] = 4
    effect_spread: Spread = 1.0
    interaction_spread: Spread = 1.0
    wave_spread: Spread = 0.5
    waves: Annotated[int, pydantic.Field(ge=1, le=256)] = 16
    frequency: Annotated[float, pydantic.Field(gt=0, le=100)] = 1.0
    drift: Spread = 0.0
    drift_rows: Annotated[int, pydantic.Field(ge=1, le=2**40)] = 1_000_000
    seed: Annotated[int, pydantic.Field(ge=0, lt=2**63)] = 0

    def __post_init__(self) -> None:
        names = ["click", *(f"dense_{k}" for k in range(self.dense)), *(f.name for f in self.features)]
        names += ["time"] if self.drift else []
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"two columns would be named {repeated[0]!r}: rename the feature")

    def schema(self) -> Schema:
        """The schema of the generator's rows."""
        return Schema(
            label="click",
            dense=tuple(DenseFeature(f"dense_{k}", "standardize") for k in range(self.dense)),
            categorical=tuple(CategoricalFeature(f.name, f.rows, "id") for f in self.features),
            time="time" if self.drift else None,
        )


@dataclasses.dataclass(frozen=True)
class Teacher:
    """What clicks depend on.

    Attributes:
        cumulative: per feature, float64 [ids], the cumulative shares of the ids.
        index: per feature, int64 [BINS + 1], how many cumulative shares are at most k / BINS.
        scrambled: per feature, int32 [ids], the id of the k-th most frequent value; without this permutation, the
            remainder by the table's rows would keep the most frequent ids in separate rows.
        effects: per feature, float64 [ids].
        vectors: per feature, float64 [ids, rank].
        squares: per feature, float64 [ids], the vectors' squared lengths.
        drifts: per feature, float64 [ids, 3]: the cosine's and the sine's amplitude, in logits, and radians per row.
            Empty without drift.
        turns: float64 [dense + features, waves], in radians per unit of an input; 0 for features that are none.
        phases: float64 [waves], in radians.
        amplitudes: float64 [waves].
        scales: float64 [4], what the parts (see ``_draw``) are multiplied by, in logits; 1 for the drift.
        bias: bias in logits.
    """

    cumulative: list[np.ndarray]
    index: list[np.ndarray]
    scrambled: list[np.ndarray]
    effects: list[np.ndarray]
    vectors: list[np.ndarray]
    squares: list[np.ndarray]
    drifts: list[np.ndarray]
    turns: np.ndarray
    phases: np.ndarray
    amplitudes: np.ndarray
    scales: np.ndarray
    bias: float


def make_teacher(settings: Synthetic) -> Teacher:
    """The teacher of the settings; it does not depend on the number of rows.

    The parts' standard deviations, and the bias, are set on a block of rows that is not among those generated.
    """
    rng = np.random.Generator(np.random.Philox(key=settings.seed, counter=[0, 0, 0, 1]))
    shares = [np.arange(1, f.ids + 1, dtype=np.float64) ** -f.zipf for f in settings.features]
    cumulative = [np.cumsum(share / share.sum()) for share in shares]
    vectors = [rng.standard_normal((f.ids, settings.rank)) for f in settings.features]
    steers = np.array([True] * settings.dense + [f.waves for f in settings.features])
    turns = rng.standard_normal((len(steers), settings.waves)) * steers[:, None]
    unscaled = Teacher(
        cumulative=cumulative,
        index=[np.searchsorted(sums, np.arange(BINS + 1) / BINS, side="right") for sums in cumulative],
        scrambled=[rng.permutation(f.ids).astype(np.int32) for f in settings.features],
        effects=[rng.standard_normal(f.ids) for f in settings.features],
        vectors=vectors,
        squares=[(vector**2).sum(axis=1) for vector in vectors],
        drifts=_drifts(settings) if settings.drift else [],
        turns=turns * settings.frequency / max(1, steers.sum()) ** 0.5,
        phases=rng.uniform(0, 2 * np.pi, settings.waves),
        amplitudes=rng.standard_normal(settings.waves),
        scales=np.ones(4),
        bias=0.0,
    )
    parts = _draw(settings, unscaled, rng, np.zeros(BLOCK_ROWS))[2]
    spreads = (settings.effect_spread, settings.interaction_spread, settings.wave_spread)
    deviations = parts[:3].std(axis=1)
    scales = np.append(np.where(deviations > TINY, spreads / np.maximum(deviations, TINY), 0.0), 1.0)
    logits = scales @ parts
    low, high = -50.0, 50.0
    for _ in range(60):
        bias = (low + high) / 2
        low, high = (bias, high) if _sigmoid(logits + bias).mean() < settings.ctr else (low, bias)
    return dataclasses.replace(unscaled, scales=scales, bias=bias)


def _drifts(settings: Synthetic) -> list[np.ndarray]:
    # A separate stream, so that everything else is as without drift.
    rng = np.random.Generator(np.random.Philox(key=settings.seed, counter=[0, 0, 0, 4]))
    amplitude = settings.drift / len(settings.features) ** 0.5
    return [
        rng.standard_normal((f.ids, 3)) * [amplitude, amplitude, 1 / settings.drift_rows] for f in settings.features
    ]


def block_count(settings: Synthetic) -> int:
    """The number of blocks: ``BLOCK_ROWS`` rows each, the last one with the rest."""
    return -(-settings.rows // BLOCK_ROWS)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    from scipy import special  # takes a while to load, and whoever reads logs does not need it

    probability: np.ndarray = special.expit(logits)
    return probability


def rows_of_block(settings: Synthetic, teacher: Teacher, block: int) -> Rows:
    """One block of the rows; blocks are independent, and can be generated in any order and in any process.

    The first n rows do not depend on how many are generated.

    Args:
        settings: what to generate.
        teacher: the teacher for these settings; a process needs to create it only once.
        block: number of the block, from 0 to below ``block_count(settings)``.

    Raises:
        IndexError: there is no such block.
    """
    if not 0 <= block < block_count(settings):
        raise IndexError(f"block {block} of {block_count(settings)}")
    rng = np.random.Generator(np.random.Philox(key=settings.seed, counter=[0, 0, block, 0]))
    time = np.arange(BLOCK_ROWS, dtype=np.int64) + block * BLOCK_ROWS
    ids, dense, parts = _draw(settings, teacher, rng, time)
    probability = _sigmoid(teacher.scales @ parts + teacher.bias)
    label = (rng.random(BLOCK_ROWS) < probability).astype(np.uint8)
    made = slice(0, min(BLOCK_ROWS, settings.rows - block * BLOCK_ROWS))
    return Rows(
        time[made],
        label[made],
        dense[made],
        ids[made].astype(np.uint64),
        time=time[made] if settings.drift else None,
        click_probability=probability[made],
    )


def _draw(
    settings: Synthetic, teacher: Teacher, rng: np.random.Generator, time: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids int32 [rows, features], dense float64 [rows, dense], parts of the logits float64 [4, rows], at times [rows].

    The parts, before they are scaled, are the ids' effects, their interactions, the waves, and the drift.
    """
    rows = len(time)
    ids = np.empty((rows, len(settings.features)), np.int32)
    dense = rng.standard_normal((rows, settings.dense))
    parts = np.zeros((4, rows))
    effects, interaction, waves, drift = parts
    angles = dense @ teacher.turns[: settings.dense] + teacher.phases
    vector_sum = np.zeros((rows, settings.rank))
    for f, scrambled in enumerate(teacher.scrambled):
        rank = _ranks(teacher.cumulative[f], teacher.index[f], rng.random(rows))
        ids[:, f] = scrambled.take(rank)
        effect = teacher.effects[f].take(rank)
        effects += effect
        if settings.features[f].waves:
            angles += np.outer(effect, teacher.turns[settings.dense + f])
        vector_sum += teacher.vectors[f].take(rank, axis=0)
        interaction -= teacher.squares[f].take(rank) / 2
        if teacher.drifts:
            cosine, sine, rate = teacher.drifts[f].take(rank, axis=0).T
            angle = rate * time
            drift += cosine * np.cos(angle) + sine * np.sin(angle)
    # sum_{f<g} <v_f, v_g> = (|sum_f v_f|^2 - sum_f |v_f|^2) / 2  (Rendle 2010, eq. 4)
    waves += np.sin(angles) @ teacher.amplitudes
    interaction += (vector_sum**2).sum(axis=1) / 2
    return ids, dense, parts


def _ranks(cumulative: np.ndarray, index: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """How many cumulative shares are at most each number: int64 [n], at most ids - 1.

    The index alone answers for most numbers, those in a bin without a cumulative share inside (Chen and Asau 1974).
    """
    bins = (uniform * BINS).astype(np.int64)
    rank = index.take(bins)
    divided = np.flatnonzero(rank != index.take(bins + 1))
    rank[divided] = np.searchsorted(cumulative, uniform[divided], side="right")
    return rank.clip(max=len(cumulative) - 1)  # rounding may leave the last sum below 1
