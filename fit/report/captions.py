"""What stands beside the figures of NE: titles, the paper's figures, how to read them."""

TITLES = {
    "data": "NE against data",
    "parameters": "NE against parameters",
    "compute": "NE against compute",
}
PAPER = {
    "data": "Figure 2",
    "parameters": "Figures 4 and 5",
    "compute": "Figure 6",
}
AXES = {
    "data": "data",
    "parameters": "parameters",
    "non-embedding": "parameters outside the tables",
    "compute": "compute",
}
VIEWS = {  # of the usual and of the other grouping
    "data": ("by model size", "by data size"),
    "parameters": ("by data size", "by model size"),
    "compute": ("by model size", "by data size"),
}
CAPTIONS = {
    "data": "One line per multiplier, from the smallest to the largest. A line that flattens has had its return from "
    "data; lines that fan out to the right say that larger models use more data better.",
    "parameters": "One line per data size. Where a line is level, more parameters of this kind bring nothing at that "
    "data size.",
    "compute": "One line per multiplier; compute is training FLOPs per example times examples. The frontier says how "
    "large a model to train for a given budget.",
}
REGROUPED = {
    "data": " By data size: how far the models lie apart at each.",
    "parameters": " By model size: what more data bring to each.",
    "compute": " By data size: what larger models bring to each; a line that rises to the right has passed its best.",
}
HOW = (
    " Ringed: the Pareto frontier; thick, with a band: its law and interval; dashed: extrapolation; hollow: on the "
    "plateau, not fitted."
)
ALL = {
    "data": "The frontier of every scheme: for each data size, the best shape of that scheme. The lowest curve uses "
    "data best. Bands are the intervals of the laws; where they overlap, the schemes are not told apart.",
    "compute": "The frontier of every scheme that changes compute: the lowest NE for a budget.",
}
