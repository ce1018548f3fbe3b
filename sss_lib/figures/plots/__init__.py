"""One function a kind of figure: it draws into an Axes and returns it. All share one style.

A new one is a function in a file here, its name below, and a cell in notebook 05.
"""

import lazy_loader

OF_CLASSES = """class_bars class_differences class_dots classes_of_best co_occurrence confusion_heatmap
embedding_map families_of_best family_dots family_heatmap queries_of"""
OF_STYLE = "COLUMN PAGE STYLE WORDS contrasting legend looks named save use_style"
OF_SYSTEMS = """best_scores between_bounds cost interval_words ladder macro_against_micro pca_curves
slopes"""

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "classes": OF_CLASSES.split(),
        "clips": ["bars", "class_sizes", "lengths_and_levels", "over_time", "variance"],
        "heatmaps": ["heatmap", "published_differences", "similarity_matrix"],
        "processing": ["processing_grid", "processing_pages", "processing_panels"],
        "searches": ["hubs", "search_costs", "search_panels"],
        "style": OF_STYLE.split(),
        "systems": OF_SYSTEMS.split(),
    },
)
