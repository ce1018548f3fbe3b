"""One function per kind of figure: each draws into an Axes and returns it. One look for all."""

from sss_lib.plots.classes import (
    class_bars,
    class_differences,
    classes_of_best,
    co_occurrence,
    confusion_heatmap,
    embedding_map,
    families_of_best,
    family_dots,
    family_heatmap,
)
from sss_lib.plots.processing import processing_grid, processing_panels
from sss_lib.plots.searches import search_costs
from sss_lib.plots.style import COLUMN, PAGE, STYLE, legend, looks, named, save, use_style
from sss_lib.plots.systems import best_scores, cost, ladder, macro_against_micro, pca_curves

__all__ = [
    "COLUMN",
    "PAGE",
    "STYLE",
    "best_scores",
    "class_bars",
    "class_differences",
    "classes_of_best",
    "co_occurrence",
    "confusion_heatmap",
    "cost",
    "embedding_map",
    "families_of_best",
    "family_dots",
    "family_heatmap",
    "ladder",
    "legend",
    "looks",
    "macro_against_micro",
    "named",
    "pca_curves",
    "processing_grid",
    "processing_panels",
    "save",
    "search_costs",
    "use_style",
]
