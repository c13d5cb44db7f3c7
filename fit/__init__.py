"""From the run table to laws, frontiers and the report: NumPy, SciPy and pandas, no TensorFlow.

Each name is imported when it is first used: reading a configuration need not wait for SciPy, nor fitting for Bokeh.

No function warns, whatever ``np.seterr`` says: what is beyond float64 is infinite, what is below it is 0.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfrs_scaling.fit.advice.advice import Advice as Advice
    from tfrs_scaling.fit.advice.advise import advise as advise
    from tfrs_scaling.fit.advice.savings import Savings as Savings
    from tfrs_scaling.fit.advice.savings import savings as savings
    from tfrs_scaling.fit.advice.study_comparison import FinishedStudy as FinishedStudy
    from tfrs_scaling.fit.advice.study_comparison import StudyComparison as StudyComparison
    from tfrs_scaling.fit.advice.study_comparison import compare_studies as compare_studies
    from tfrs_scaling.fit.curves.analysis import fit_table as fit_table
    from tfrs_scaling.fit.curves.figure import power_law_plot as power_law_plot
    from tfrs_scaling.fit.curves.own_law import LawFit as LawFit
    from tfrs_scaling.fit.curves.own_law import fit_law as fit_law
    from tfrs_scaling.fit.curves.page import write_table_fit as write_table_fit
    from tfrs_scaling.fit.curves.records import Columns as Columns
    from tfrs_scaling.fit.curves.records import CurveFit as CurveFit
    from tfrs_scaling.fit.curves.records import TableFit as TableFit
    from tfrs_scaling.fit.extrapolation.choose import LAWS as LAWS
    from tfrs_scaling.fit.extrapolation.choose import ChosenLaw as ChosenLaw
    from tfrs_scaling.fit.extrapolation.choose import choose_law as choose_law
    from tfrs_scaling.fit.extrapolation.predictive import PredictiveInterval as PredictiveInterval
    from tfrs_scaling.fit.extrapolation.predictive import predictive_interval as predictive_interval
    from tfrs_scaling.fit.extrapolation.returns import Reach as Reach
    from tfrs_scaling.fit.extrapolation.returns import Return as Return
    from tfrs_scaling.fit.extrapolation.returns import returns_at as returns_at
    from tfrs_scaling.fit.extrapolation.returns import samples_to_reach as samples_to_reach
    from tfrs_scaling.fit.joint.allocation import Allocation as Allocation
    from tfrs_scaling.fit.joint.allocation import MeasuredCost as MeasuredCost
    from tfrs_scaling.fit.joint.law import JointFit as JointFit
    from tfrs_scaling.fit.joint.law import fit_joint_law as fit_joint_law
    from tfrs_scaling.fit.laws.comparison import Comparison as Comparison
    from tfrs_scaling.fit.laws.comparison import compare_laws as compare_laws
    from tfrs_scaling.fit.laws.frontier import fit_frontier as fit_frontier
    from tfrs_scaling.fit.laws.frontier import pareto_frontier as pareto_frontier
    from tfrs_scaling.fit.laws.functions import power_law_value as power_law_value
    from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve as fit_learning_curve
    from tfrs_scaling.fit.laws.normalization import normalized as normalized
    from tfrs_scaling.fit.laws.plateau import power_law_region as power_law_region
    from tfrs_scaling.fit.laws.power_law import PowerLawFit as PowerLawFit
    from tfrs_scaling.fit.laws.power_law import fit_power_law as fit_power_law
    from tfrs_scaling.fit.report.report import write_report as write_report
    from tfrs_scaling.fit.runs.columns import RUN_COLUMNS as RUN_COLUMNS
    from tfrs_scaling.fit.runs.run_table import COLUMNS as COLUMNS
    from tfrs_scaling.fit.runs.run_table import TIMING_COLUMNS as TIMING_COLUMNS
    from tfrs_scaling.fit.runs.run_table import read_runs as read_runs
    from tfrs_scaling.fit.runs.run_table import write_runs as write_runs
    from tfrs_scaling.fit.runs.screening import rows_of_scheme as rows_of_scheme
    from tfrs_scaling.fit.runs.screening import selected_learning_rate as selected_learning_rate
    from tfrs_scaling.fit.runs.screening import usable_runs as usable_runs
    from tfrs_scaling.fit.runs.screening import with_flags as with_flags
    from tfrs_scaling.fit.study import StudyFits as StudyFits
    from tfrs_scaling.fit.study import fit_study as fit_study

_MODULES = {
    "Advice": "advice.advice",
    "Allocation": "joint.allocation",
    "COLUMNS": "runs.run_table",
    "ChosenLaw": "extrapolation.choose",
    "Columns": "curves.records",
    "Comparison": "laws.comparison",
    "CurveFit": "curves.records",
    "FinishedStudy": "advice.study_comparison",
    "JointFit": "joint.law",
    "LAWS": "extrapolation.choose",
    "LawFit": "curves.own_law",
    "MeasuredCost": "joint.allocation",
    "PowerLawFit": "laws.power_law",
    "PredictiveInterval": "extrapolation.predictive",
    "RUN_COLUMNS": "runs.columns",
    "Reach": "extrapolation.returns",
    "Return": "extrapolation.returns",
    "Savings": "advice.savings",
    "StudyComparison": "advice.study_comparison",
    "StudyFits": "study",
    "TableFit": "curves.records",
    "TIMING_COLUMNS": "runs.run_table",
    "advise": "advice.advise",
    "choose_law": "extrapolation.choose",
    "compare_laws": "laws.comparison",
    "compare_studies": "advice.study_comparison",
    "fit_frontier": "laws.frontier",
    "fit_joint_law": "joint.law",
    "fit_law": "curves.own_law",
    "fit_learning_curve": "laws.learning_curve",
    "fit_power_law": "laws.power_law",
    "fit_study": "study",
    "fit_table": "curves.analysis",
    "normalized": "laws.normalization",
    "pareto_frontier": "laws.frontier",
    "power_law_plot": "curves.figure",
    "power_law_region": "laws.plateau",
    "power_law_value": "laws.functions",
    "predictive_interval": "extrapolation.predictive",
    "read_runs": "runs.run_table",
    "returns_at": "extrapolation.returns",
    "rows_of_scheme": "runs.screening",
    "samples_to_reach": "extrapolation.returns",
    "savings": "advice.savings",
    "selected_learning_rate": "runs.screening",
    "usable_runs": "runs.screening",
    "with_flags": "runs.screening",
    "write_report": "report.report",
    "write_runs": "runs.run_table",
    "write_table_fit": "curves.page",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
