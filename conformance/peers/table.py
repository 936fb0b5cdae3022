"""The figures as tables in Markdown."""


def speed(title, unit, cells, mirrors, value, base):
    """One row a cell; `value` picks the figure; the last columns compare Harbinger with each of the others."""
    rivals = [name for name in mirrors if name != base]
    compared = [f"{base} ÷ {name}" for name in rivals] if base in mirrors else []
    lines = [f"### {title} ({unit})", "", row(["", *mirrors, *compared]), row(["---", *["---:"] * (len(mirrors) + len(compared))])]
    for (what, connections), by_mirror in cells.items():
        figures = {name: value(by_mirror[name]) for name in mirrors}
        ratios = [ratio(figures[base], figures[name]) for name in rivals] if base in mirrors else []
        lines.append(row([f"{what}, {connections} conn.", *(figure(figures[name]) for name in mirrors), *ratios]))
    return lines + [""]


def herd(title, herds, mirrors):
    heads = ["", "upstream GETs", "complete", "first byte, median s", "first byte, worst s", "last done s"]
    lines = [f"### {title}", "", row(heads), row(["---", *["---:"] * (len(heads) - 1)])]
    for name in mirrors:
        for seen in herds[name]:
            figures = [f"{seen.first_byte_median:.3f}", f"{seen.first_byte_worst:.3f}", f"{seen.last_done:.2f}"]
            lines.append(row([name, str(seen.upstream_gets), str(seen.complete), *figures]))
    return lines + [""]


def single(title, figures):
    return [f"### {title}", "", row(figures), row(["---:"] * len(figures)), row(f"{value:,.0f}" for value in figures.values()), ""]


def cases(title, verdicts, mirrors, book):
    lines = [f"### {title}", "", row(["", *mirrors]), row(["---", *["---"] * len(mirrors)])]
    for case in book:
        lines.append(row([case.__doc__, *(f"no: {verdicts[name, case]}" if verdicts[name, case] else "yes" for name in mirrors)]))
    held = [f"{sum(not verdicts[name, case] for case in book)} of {len(book)}" for name in mirrors]
    return lines + [row(["**held**", *held]), ""]


def figure(value):
    """Three or four digits that mean something."""
    return f"{value:,.{0 if value >= 1000 else 1 if value >= 10 else 3}f}"


def row(columns):
    return "| " + " | ".join(columns) + " |"


def ratio(ours, theirs):
    return f"{ours / theirs:.2f}" if theirs else "–"
