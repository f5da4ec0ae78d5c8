"""The compatible choices of CBSA's representatives and contraction."""
from cbsa_mm.layers.representatives import REFUSALS

CHOICES = [(representatives, contraction)
           for representatives in ('pooled', 'learnable', 'tokens', 'principal', 'orthogonal',
                                   'fixed')
           for contraction in ('softmax', 'inverse', 'none')
           if (representatives, contraction) not in REFUSALS]
