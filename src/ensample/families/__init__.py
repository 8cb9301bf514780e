"""Families of generative models: one file each. `TABLE` is the list that the rest of the package knows them by."""

from __future__ import annotations

from ensample.families.autoregressive.family import Autoregressive
from ensample.families.base import Family
from ensample.families.bayesnet.family import BayesNet
from ensample.families.boosted.family import Boosted
from ensample.families.circuit.family import Circuit
from ensample.families.compose import Blend, Ensemble, Flat, Latent, PerClass
from ensample.families.compose.sequences import SequenceBlend
from ensample.families.energy.deep import Energy
from ensample.families.energy.rbm import Boltzmann
from ensample.families.field.family import Field
from ensample.families.flow.family import Flow
from ensample.families.gan.family import Gan
from ensample.families.images.autoregressive import ImageAutoregressive
from ensample.families.images.cycle import ImageCycle
from ensample.families.images.field import ImageField
from ensample.families.images.flow import ImageFlow
from ensample.families.images.gan import ImageGan
from ensample.families.images.latent import ImageLatent
from ensample.families.images.patches import ImagePatches
from ensample.families.images.vae import ImageVae
from ensample.families.independent import Independent
from ensample.families.markov.family import Markov
from ensample.families.mixture.family import Mixture
from ensample.families.neighbours import Kernels, Smote
from ensample.families.resample import Resample
from ensample.families.sequences.autoregressive import SequenceAutoregressive
from ensample.families.sequences.masked import SequenceField
from ensample.families.sequences.ngram import Ngram
from ensample.families.sequences.pretrained import Pretrained, PretrainedTranslation
from ensample.families.sequences.steps import SeriesAutoregressive
from ensample.families.sequences.translation import SequenceToSequence
from ensample.families.sequences.vae import SequenceVae
from ensample.families.series import Components
from ensample.families.trees.family import Trees
from ensample.families.vae.family import Vae

TABLE: dict[str, type[Family]] = {
    family.name: family
    for family in (
        Independent,
        Boosted,
        Autoregressive,
        Mixture,
        Markov,
        Ngram,
        BayesNet,
        Circuit,
        Kernels,
        Smote,
        Resample,
        Trees,
        Gan,
        Flow,
        Field,
        Boltzmann,
        Energy,
        Vae,
        PerClass,
        Blend,
        Ensemble,
        Latent,
        Flat,
        Components,
        ImageField,
        ImageGan,
        ImageAutoregressive,
        ImageFlow,
        ImageVae,
        ImageLatent,
        ImagePatches,
        ImageCycle,
        SequenceAutoregressive,
        SequenceField,
        SequenceVae,
        SequenceBlend,
        SequenceToSequence,
        SeriesAutoregressive,
        Pretrained,
        PretrainedTranslation,
    )
}
"""Every family by its public name."""

__all__ = [
    "TABLE",
    "Autoregressive",
    "BayesNet",
    "Blend",
    "Boltzmann",
    "Boosted",
    "Circuit",
    "Components",
    "Energy",
    "Ensemble",
    "Family",
    "Field",
    "Flat",
    "Flow",
    "Gan",
    "ImageAutoregressive",
    "ImageCycle",
    "ImageField",
    "ImageFlow",
    "ImageGan",
    "ImageLatent",
    "ImagePatches",
    "ImageVae",
    "Independent",
    "Kernels",
    "Latent",
    "Markov",
    "Mixture",
    "Ngram",
    "PerClass",
    "Pretrained",
    "PretrainedTranslation",
    "Resample",
    "SequenceAutoregressive",
    "SequenceBlend",
    "SequenceField",
    "SequenceToSequence",
    "SequenceVae",
    "SeriesAutoregressive",
    "Smote",
    "Trees",
    "Vae",
]
