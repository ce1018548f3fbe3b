"""One function a kind of figure: it draws into an Axes and returns it. All share one style."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "classes": [
            "class_bars",
            "class_differences",
            "classes_of_best",
            "co_occurrence",
            "confusion_heatmap",
            "embedding_map",
            "families_of_best",
            "family_dots",
            "family_heatmap",
            "queries_of",
        ],
        "heatmaps": ["heatmap", "published_differences"],
        "processing": ["processing_grid", "processing_pages", "processing_panels"],
        "searches": ["search_costs", "search_panels"],
        "style": [
            "COLUMN",
            "PAGE",
            "STYLE",
            "WORDS",
            "contrasting",
            "legend",
            "looks",
            "named",
            "save",
            "use_style",
        ],
        "systems": ["best_scores", "cost", "interval_words", "ladder", "macro_against_micro", "pca_curves"],
    },
)
