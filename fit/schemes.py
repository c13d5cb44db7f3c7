"""The scaling schemes, one row each: all that the rest of the program knows of a scheme.

Adding a scheme takes a row here, what scales the model or the training rows (``model.shape.scale`` or
``study.trials``), and a test.
"""

from dataclasses import dataclass
from typing import Literal

from tfrs_scaling.common.palette import BLUE, GREEN, NEUTRAL, VERMILION, Colours

Axis = Literal["data", "parameters", "compute"]
KeptBy = Literal["hard", "easy", "random"]

BASELINE = "D"
ARCHITECTURE = "A"  # its multipliers scale an architecture's dense part; at 1 it is that architecture's baseline, D


@dataclass(frozen=True)
class Scheme:
    """A way to scale a study's baseline.

    Attributes:
        letter: Name in configurations, tables and figures.
        words: What it scales, in words.
        short: Name in a legend.
        axes: Axes that its losses are plotted and fitted against.
        colours: Colours of its curves, on a light page and on a dark one.
        multipliers: What a configuration gives it: multiples of a ``size``, ``share``s below 1, numbers of ``epochs``,
            ``weight``s up to 1, or ``none`` of its own.
        sizes: What a multiplier multiplies, as in "4 times the embedding rows"; empty for a scheme that scales no size
            of the model. Schemes that do are ranked against one another, as the paper ranks V, H, O and M.
        outside_tables: Whether its parameters are counted without the embedding tables, which it leaves alone.
        crosses: The schemes whose multipliers it combines.
        samples_negatives: Whether its multiplier is the share of the rows without a click that are trained on.
        neutral: The multiplier at which it is the baseline.
        keeps: Which rows of a longer log are preferred, where its multiplier is the share of them that is trained on.
        is_option: Whether a budget can go there.
        caption: What else a reader of its figures must know.
    """

    letter: str
    words: str
    short: str
    axes: tuple[Axis, ...]
    colours: Colours
    multipliers: Literal["size", "share", "epochs", "weight", "none"]
    sizes: str = ""
    outside_tables: bool = False
    crosses: tuple[str, ...] = ()
    samples_negatives: bool = False
    neutral: float = 1.0
    keeps: KeptBy | None = None
    is_option: bool = True
    caption: str = ""


_KEPT: dict[KeptBy, tuple[str, Colours]] = {
    "hard": ("preferably those that a scorer predicts badly", ("#aa0022", "#ff0055")),
    "easy": ("preferably those that a scorer predicts well", ("#115511", "#00ee00")),
    "random": ("chosen at random", ("#000000", "#009090")),
}
# The colours of F, N, E, T and P fit among those of the palette, whose source has a yellow too pale for white and no
# violet. No fourteen colours differ well with every colour vision: figures of several schemes give each a marker too.
SCHEMES: dict[str, Scheme] = {
    row.letter: row
    for row in (
        Scheme("D", "data alone", "D baseline", ("data",), ("#6b6b6b", "#a8a8a8"), "none"),
        # V changes the size of tables that are looked up one row at a time: no FLOPs, hence no compute curve.
        Scheme(
            "V", "vertical: rows of every embedding table", "V rows", ("data", "parameters"), BLUE,
            "size", sizes="embedding rows",
        ),
        Scheme(
            "H", "horizontal: embedding dimension", "H dimension", ("data", "parameters", "compute"),
            VERMILION, "size", sizes="embedding dimension",
        ),
        Scheme(
            "O", "over-arch width", "O over-arch", ("data", "parameters", "compute"), GREEN,
            "size", sizes="over-arch width", outside_tables=True,
        ),
        Scheme(
            "M", "width of all MLPs", "M all MLPs", ("data", "parameters", "compute"), ("#b8578f", "#d98cba"),
            "size", sizes="width of all MLPs", outside_tables=True,
        ),
        # V crossed with H is a plane, no line: see analyses.dimension. Its multiplier is that of the rows.
        Scheme(
            "VH", "rows of every embedding table × embedding dimension", "V × H", (), NEUTRAL, "none",
            crosses=("V", "H"),
        ),
        Scheme(
            "F", "share of the features", "F features", ("data", "parameters", "compute"), ("#552200", "#ffff66"),
            "share", is_option=False,
            caption=" The model sees this share of the features, dense and categorical, each smaller set within the "
            "larger ones.",
        ),
        Scheme(
            "N", "share of the negatives trained on", "N negatives", ("data", "compute"), ("#000099", "#8866ff"),
            "share", samples_negatives=True,
            caption=" The model is trained on every click and this share of the other rows, which examples and compute "
            "count; a smaller share needs a longer log for the same examples. NE is measured on all test rows, with "
            "predictions corrected for the sampling.",
        ),
        Scheme(
            "E", "epochs: passes over the data", "E epochs", ("data", "compute"), ("#1111ff", "#77ffff"), "epochs",
            caption=" The model passes over its training rows this many times; compute counts every pass.",
        ),
        Scheme(
            "T", "weight of a teacher's predictions in the loss", "T teacher", ("data",), ("#8800bb", "#dd00cc"),
            "weight", neutral=0.0,
            caption=" The model learns from labels and, with this weight, from the predictions of a teacher that was "
            "trained once on other rows, older ones where the data are split by time. Neither those rows nor the "
            "teacher's training are on this axis.",
        ),
        # P of a configuration is a scheme for each way to choose rows; analyses.pruning compares them.
        *(
            Scheme(
                f"P-{by}", f"share of the rows trained on, {words}", f"P {by}", ("data", "compute"), colours,
                "share", keeps=by, is_option=by != "random",
                caption=" The model is trained on this share of a longer log, with weights that make the expected loss "
                "that of all its rows. Examples and compute count the rows trained on.",
            )
            for by, (words, colours) in _KEPT.items()
        ),
        # Not ranked against V, H, O and M: it compares architectures, see analyses.architectures.
        Scheme(
            "A", "dense part, by its architecture's own rule", "A dense part", ("data", "parameters", "compute"),
            ("#7a5cff", "#c3b5ff"), "none", outside_tables=True, is_option=False,
            caption=" The layers outside the embedding tables, each multiplier as its architecture is scaled.",
        ),
    )
}  # fmt: skip
SIZES = tuple(row.letter for row in SCHEMES.values() if row.sizes)  # V, H, O and M
SCALED = tuple(row.letter for row in SCHEMES.values() if row.multipliers != "none")  # with multipliers of their own
LISTED = tuple(letter for letter in SCALED if SCHEMES[letter].keeps is None)  # a configuration lists them by letter
KEEPING = tuple(letter for letter in SCALED if SCHEMES[letter].keeps is not None)  # P of a configuration
