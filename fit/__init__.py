"""From the run table to laws, frontiers and the report: NumPy, SciPy and pandas, no TensorFlow.

``write_report`` is imported when it is first used, so that fitting does not wait for Bokeh.

No function warns, whatever ``np.seterr`` says: what is beyond float64 is infinite, what is below it is 0.
"""

from typing import TYPE_CHECKING, Any

from tfrs_scaling.fit.advice.advice import Advice
from tfrs_scaling.fit.advice.advise import advise
from tfrs_scaling.fit.extrapolation.choose import LAWS, ChosenLaw, choose_law
from tfrs_scaling.fit.joint.allocation import Allocation, MeasuredCost
from tfrs_scaling.fit.joint.law import JointFit, fit_joint_law
from tfrs_scaling.fit.laws.comparison import Comparison, compare_laws
from tfrs_scaling.fit.laws.frontier import fit_frontier, pareto_frontier
from tfrs_scaling.fit.laws.functions import power_law_value
from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve
from tfrs_scaling.fit.laws.normalization import normalized
from tfrs_scaling.fit.laws.plateau import power_law_region
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law
from tfrs_scaling.fit.laws.returns import Reach, Return, returns_at, samples_to_reach
from tfrs_scaling.fit.laws.seed_weights import replicate_weights
from tfrs_scaling.fit.runs import COLUMNS, TIMING_COLUMNS, read_runs, write_runs
from tfrs_scaling.fit.screening import rows_of_scheme, selected_learning_rate, usable_runs, with_flags
from tfrs_scaling.fit.study import StudyFits, fit_study

if TYPE_CHECKING:
    from tfrs_scaling.fit.report.report import write_report

__all__ = [
    "COLUMNS",
    "LAWS",
    "TIMING_COLUMNS",
    "Advice",
    "Allocation",
    "ChosenLaw",
    "Comparison",
    "JointFit",
    "MeasuredCost",
    "PowerLawFit",
    "Reach",
    "Return",
    "StudyFits",
    "advise",
    "choose_law",
    "compare_laws",
    "fit_frontier",
    "fit_joint_law",
    "fit_learning_curve",
    "fit_power_law",
    "fit_study",
    "normalized",
    "pareto_frontier",
    "power_law_region",
    "power_law_value",
    "read_runs",
    "replicate_weights",
    "returns_at",
    "rows_of_scheme",
    "samples_to_reach",
    "selected_learning_rate",
    "usable_runs",
    "with_flags",
    "write_report",
    "write_runs",
]


def __getattr__(name: str) -> Any:
    if name != "write_report":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tfrs_scaling.fit.report.report import write_report

    return write_report
