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
AXES = {
    "data": "data",
    "parameters": "parameters",
    "non-embedding": "parameters outside the tables",
    "compute": "compute",
}
VIEWS = {  # the usual grouping and the other one
    "data": ("by model size", "by data size"),
    "parameters": ("by data size", "by model size"),
    "compute": ("by model size", "by data size"),
}
CAPTIONS = {
    "data": "One line per multiplier, from the smallest to the largest. Where a line flattens, more data bring little; "
    "lines that fan out to the right show that larger models make better use of more data.",
    "parameters": "One line per data size. Where a line is level, more parameters of this kind do not help at that "
    "data size.",
    "compute": "One line per multiplier; compute is training FLOPs per example times examples. The frontier shows "
    "how large a model to train for a given budget.",
}
REGROUPED = {
    "data": " By data size: how much the models differ at each.",
    "parameters": " By model size: what each gains from more data.",
    "compute": " By data size: what larger models gain at each; a line that rises to the right has passed its optimum.",
}
HOW = (
    " Ringed: the Pareto frontier. Thick, with a band: its law and interval. Dashed: extrapolation; its paler band "
    "allows for the law being wrong. Hollow: on the plateau, not fitted."
)
ALL = {
    "data": "The frontier of every scheme: for each data size, the best shape of that scheme. The lowest curve "
    "makes the best use of data. Bands are the intervals of the laws; where they overlap, the laws do not distinguish "
    "the schemes.",
    "compute": "The frontier of every scheme that changes compute: its lowest NE for each budget.",
}
