"""The words around the figures of NE: titles, the paper's figures, how to read them."""

TITLES = {
    "data": "NE against data",
    "parameters": "NE against parameters",
    "compute": "NE against compute",
}
PAPER = {
    "data": "Figure 4 (overview: Figure 2)",
    "parameters": "Figure 6",
    "compute": "Figure 5",
}
ZONES = {("V", "H"): "Figure 7", ("O", "M"): "Figure 8"}
AXES = {
    "data": "data",
    "parameters": "parameters",
    "non-embedding": "parameters outside the tables",
    "compute": "compute",
}
GROUPS = {"data": "Data", "parameters": "Parameters", "compute": "Compute"}
VIEWS = {  # the usual grouping and the other one
    "data": ("by model size", "by data size"),
    "parameters": ("by data size", "by model size"),
    "compute": ("by model size", "by data size"),
}
QUALITY = {"test_auc": "AUC", "test_calibration": "Calibration"}
HOW = (
    "Ringed: the Pareto frontier. Thick, with a band: its law and interval. Dashed: extrapolation; its paler band "
    "allows for the law being wrong. Hollow: on the plateau, not fitted. Against data or compute, more brings little "
    "where a line flattens; against parameters, more do not help at a data size whose line is level."
)
LAW = " log (NE − γ): what the frontier's law can still remove, a straight line if it is one, and its residuals below."
ALL = (
    "The frontier of every scheme: its lowest NE for each data size, or for each compute budget. Bands are the "
    "intervals of the laws; where they overlap, the laws do not distinguish the schemes. AUC (higher is better) and "
    "calibration (mean prediction by mean label, 1 is best) are those of the same models."
)
