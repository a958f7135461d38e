"""compare(): trains someone's own model with several learning rules and seeds, and says what the runs show."""
from .comparison import Comparison, Difference
from .run import Run
from .study import compare

__all__ = ["Comparison", "Difference", "Run", "compare"]
