"""Proto-MAML: MAML whose head starts as a prototypical network's."""

from medshot.learners.gradient.base import mean_feature
from medshot.learners.gradient.inner_loop import Parameters
from medshot.learners.gradient.maml import Maml
from medshot.learners.gradient.prototype_head import prototype_head
from medshot.tasks import Support


class ProtoMaml(Maml):
    """Proto-MAML (Triantafillou et al., 2020, section 3): the head starts at weight 2 μ_c and bias −|μ_c|².

    μ_c is the mean of class c's support features under θ₀, less the mean of all. The meta-gradient goes through that
    start as through the inner loop, whose rates are learned as in `Maml`. Inductive; `adapt` costs one forward pass
    more than MAML's.
    """

    name = "proto-maml"
    summary = "MAML whose head starts at the class means"
    paper = "Triantafillou et al., ICLR 2020"
    first = None

    def start(self, support: Support) -> Parameters:
        """θ₀ and the head of a prototypical network."""
        start = self.adapting()
        features = self.features(start, support.images)
        return start | prototype_head(features - mean_feature(features, support), support)
