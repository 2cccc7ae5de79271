"""Figures as people read them."""

from collections.abc import Mapping, Sequence
from statistics import median


def show(
    title: str, figures: Mapping[str, Sequence[float]], *, unit: str, base: str, lower_is_better: bool = False
) -> None:
    """Print the median and spread of each competitor, and its ratio to `base`, round by round."""
    print(f"\n{title}")
    print(f"{'':34} {'median':>10} {'min':>10} {'max':>10}  {f'ratio to {base}':>24}")
    for name, values in figures.items():
        ratios = [value / of for value, of in zip(values, figures[base], strict=True)]
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name:34} {median(values):10.1f} {min(values):10.1f} {max(values):10.1f}  {spread:>24}")
    print(f"({unit}; {'lower' if lower_is_better else 'higher'} is better)")
