"""From a trained network to integers: trace it, plan each layer's scale, apply the plan."""

from pumice.quantization.plans import LayerPlan, Plan, SynapsePlan
from pumice.quantization.quantize import check_can_be_quantized, is_quantized, plan, quantize_
from pumice.quantization.switch import apply

__all__ = ["LayerPlan", "Plan", "SynapsePlan", "apply", "check_can_be_quantized", "is_quantized", "plan", "quantize_"]
