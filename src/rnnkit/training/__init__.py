"""Train models: the Learner, its loop, and the objects that its settings take.

Names are imported when they are first used. This package knows no particular model and no source of data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .config import LearnerConfig
    from .distribution.exchange import Exchange
    from .execution import Execution
    from .history import History
    from .learner import Learner
    from .loop import Run
    from .objectives.ctc import CTC
    from .objectives.ctc_attention import CTCAttention
    from .objectives.horizon import HorizonObjective, StepObjective
    from .objectives.objective import Objective, Score, SequenceObjective
    from .objectives.pixels import PixelObjective
    from .objectives.sequence_to_sequence import SequenceToSequence
    from .objectives.sets import SetObjective
    from .objectives.transducer import Transducer
    from .optimization.averaging import EMA, NTASGD
    from .optimization.parameter_groups import group_parameters
    from .optimization.schedules import Constant, Cosine, OneCycle, Plateau, SlantedTriangular
    from .resuming.checkpoint import Checkpoints
    from .watching.callbacks import Callback
    from .watching.early_stopping import EarlyStopping
    from .watching.logs import JSONLines, TensorBoard
    from .watching.scheduled_sampling import ScheduledSampling
    from .watching.validation_figures import ValidationFigures
    from .watching.weights import BestWeights, DivergenceRescue, WeightAveraging

_NAMES = {
    "BestWeights": "watching.weights",
    "CTC": "objectives.ctc",
    "CTCAttention": "objectives.ctc_attention",
    "Callback": "watching.callbacks",
    "Checkpoints": "resuming.checkpoint",
    "Constant": "optimization.schedules",
    "Cosine": "optimization.schedules",
    "DivergenceRescue": "watching.weights",
    "EMA": "optimization.averaging",
    "EarlyStopping": "watching.early_stopping",
    "Exchange": "distribution.exchange",
    "Execution": "execution",
    "History": "history",
    "HorizonObjective": "objectives.horizon",
    "JSONLines": "watching.logs",
    "Learner": "learner",
    "LearnerConfig": "config",
    "NTASGD": "optimization.averaging",
    "Objective": "objectives.objective",
    "OneCycle": "optimization.schedules",
    "PixelObjective": "objectives.pixels",
    "Plateau": "optimization.schedules",
    "Run": "loop",
    "ScheduledSampling": "watching.scheduled_sampling",
    "Score": "objectives.objective",
    "SequenceObjective": "objectives.objective",
    "SequenceToSequence": "objectives.sequence_to_sequence",
    "SetObjective": "objectives.sets",
    "SlantedTriangular": "optimization.schedules",
    "StepObjective": "objectives.horizon",
    "TensorBoard": "watching.logs",
    "Transducer": "objectives.transducer",
    "ValidationFigures": "watching.validation_figures",
    "WeightAveraging": "watching.weights",
    "group_parameters": "optimization.parameter_groups",
}

__all__ = [
    "CTC",
    "EMA",
    "NTASGD",
    "BestWeights",
    "CTCAttention",
    "Callback",
    "Checkpoints",
    "Constant",
    "Cosine",
    "DivergenceRescue",
    "EarlyStopping",
    "Exchange",
    "Execution",
    "History",
    "HorizonObjective",
    "JSONLines",
    "Learner",
    "LearnerConfig",
    "Objective",
    "OneCycle",
    "PixelObjective",
    "Plateau",
    "Run",
    "ScheduledSampling",
    "Score",
    "SequenceObjective",
    "SequenceToSequence",
    "SetObjective",
    "SlantedTriangular",
    "StepObjective",
    "TensorBoard",
    "Transducer",
    "ValidationFigures",
    "WeightAveraging",
    "group_parameters",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
