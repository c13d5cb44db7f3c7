"""From the run table to laws, frontiers and the report: NumPy, SciPy and pandas, no TensorFlow.

Plots and the report are imported on demand, ``from tfrs_scaling.fit.report import write_report``, so that
fitting does not wait for Bokeh.
"""

from tfrs_scaling.fit.allocation import Allocation, MeasuredCost
from tfrs_scaling.fit.frontier import pareto_frontier
from tfrs_scaling.fit.joint_law import JointFit, fit_joint_law
from tfrs_scaling.fit.laws import power_law
from tfrs_scaling.fit.plateau import power_law_region
from tfrs_scaling.fit.power_law import PowerLawFit, fit_power_law
from tfrs_scaling.fit.runs import COLUMNS, TIMING_COLUMNS, read_runs, write_runs
from tfrs_scaling.fit.screening import flag, members, selected, selected_learning_rate
from tfrs_scaling.fit.selection import LAWS, Law, select_law
from tfrs_scaling.fit.study_fits import fit_study, read_fits, write_fits

__all__ = [
    "COLUMNS",
    "LAWS",
    "TIMING_COLUMNS",
    "Allocation",
    "JointFit",
    "Law",
    "MeasuredCost",
    "PowerLawFit",
    "fit_joint_law",
    "fit_power_law",
    "fit_study",
    "flag",
    "members",
    "pareto_frontier",
    "power_law",
    "power_law_region",
    "read_fits",
    "read_runs",
    "select_law",
    "selected",
    "selected_learning_rate",
    "write_fits",
    "write_runs",
]
