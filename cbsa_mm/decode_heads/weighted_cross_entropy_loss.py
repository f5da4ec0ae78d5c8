"""Cross-entropy with class weights and ignored pixels."""
from mmseg.models.losses import CrossEntropyLoss
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class WeightedCrossEntropyLoss(CrossEntropyLoss):
    """mmseg's cross-entropy, which also averages with class weights if there are ignored pixels.

    mmseg fails to index its class weights by ``ignore_index``. With weights, this is the mean of
    :func:`torch.nn.functional.cross_entropy`: over pixels that are not ignored, by their weight.
    Otherwise it is ``CrossEntropyLoss``, whose arguments it takes.
    """

    def forward(self,
                cls_score: Tensor,
                label: Tensor,
                weight: Tensor | None = None,
                avg_factor: float | None = None,
                reduction_override: str | None = None,
                ignore_index: int = -100,
                **kwargs) -> Tensor:
        """Computes the loss of logits (B, K, H, W) against labels (B, H, W).

        Args:
            cls_score: Logits.
            label: Labels.
            weight: Weights of the pixels (B, H, W).
            avg_factor: What the sum is divided by, instead of the weight of all pixels.
            reduction_override: 'none', 'mean' or 'sum', instead of the ``reduction`` given before.
            ignore_index: The label of ignored pixels.
            kwargs: Not used.
        """
        reduction = reduction_override or self.reduction
        softmax = not (self.use_sigmoid or self.use_mask)
        if self.class_weight is not None and softmax and reduction == 'mean' and avg_factor is None:
            class_weight = cls_score.new_tensor(self.class_weight)
            ignored = label == ignore_index
            weights = class_weight[label.masked_fill(ignored, 0)]
            avg_factor = weights.masked_fill(ignored, 0).sum()
        return super().forward(cls_score, label, weight, avg_factor, reduction_override,
                               ignore_index, **kwargs)
