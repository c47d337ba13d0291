"""Draw the loss curves of the same runs in float32 and in bfloat16, and print their last values.

    python tests/checks/precision_curves.py float32=FOLDER bfloat16=FOLDER [--output FILE]

Each FOLDER is the output of `mtf_synthesizer compare`; only its JSON files are read.
"""

import argparse
import json
import pathlib
import statistics

import matplotlib.figure

COLORS = ("tab:blue", "tab:orange")
STYLES = ("solid", "dashed")


def runs(folder, row, step):
    """Return the JSON of one step (train, fall, scores) of each seed."""
    files = sorted(folder.glob(f"steps/{row}_seed*_{step}.json"))
    if not files:
        raise SystemExit(f"{folder}: no runs of {row}; give the output of `compare`")
    return [json.loads(file.read_text("utf-8")) for file in files]


def draw(folders, rows):
    """Return a figure: one panel for each row, one line for each seed and precision."""
    figure = matplotlib.figure.Figure(figsize=(10, 3.8), layout="constrained")
    for axis, row in zip(figure.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
        for (name, folder), color, style in zip(folders.items(), COLORS, STYLES, strict=True):
            for number, run in enumerate(runs(folder, row, "train")):
                steps = [line["step"] for line in run["losses"]]
                losses = [line["loss"] for line in run["losses"]]
                label = None if number else name
                axis.plot(steps, losses, color=color, linestyle=style, linewidth=1, label=label)
        axis.set(title=row.upper(), xlabel="step", ylabel="training loss, nats per target position")
        axis.grid(alpha=0.3)
        axis.legend()
    return figure


def table(folders, rows):
    """Return a Markdown table of validation losses and scores: mean ± deviation over the seeds."""
    lines = ["| row | products | seeds | validation loss | scores |", "|---|---|---|---|---|"]
    for row in rows:
        for name, folder in folders.items():
            losses = [run["losses"][-1] for run in runs(folder, row, "fall")]
            scores = [run["metrics"] for run in runs(folder, row, "scores")]
            shown = ", ".join(f"{key} {spread([s[key] for s in scores], 2)}" for key in scores[0])
            lines.append(f"| {row} | {name} | {len(losses)} | {spread(losses, 3)} | {shown} |")
    return "\n".join(lines)


def spread(values, digits):
    """Return mean ± standard deviation; the mean alone of one value."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{deviation}"


def main():
    """Read the command line, print the table and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs=2, metavar="NAME=FOLDER")
    parser.add_argument("--rows", default="v,r")
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()
    pairs = [given.partition("=") for given in args.folders]
    folders = {name: pathlib.Path(folder) for name, _, folder in pairs}
    rows = args.rows.split(",")
    print(table(folders, rows))
    if args.output:
        draw(folders, rows).savefig(args.output, dpi=110)


if __name__ == "__main__":
    main()
