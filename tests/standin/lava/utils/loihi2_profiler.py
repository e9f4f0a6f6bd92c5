"""Stand-in: probes that have measured already."""

import numpy as np
from lava.magma.core.callback_fx import NxSdkCallbackFx


class _Probe(NxSdkCallbackFx):
    def pre_run_callback(self, board=None, var_id_to_var_model_map=None):
        raise NotImplementedError("a stand-in")

    def post_run_callback(self, board=None, var_id_to_var_model_map=None):
        raise NotImplementedError("a stand-in")


class Loihi2Power(_Probe):
    def __init__(self, num_steps=1):
        self.num_steps = num_steps
        self.total_power = np.array([0.5, 0.75])
        self.static_total_power = 0.25
        self.vdd_power = self.vddm_power = self.vddio_power = np.array([0.125])


class Loihi2ExecutionTime(_Probe):
    def __init__(self, buffer_size=1024):
        self.buffer_size = buffer_size
        self.execution_time_per_step = np.full(4, 20.0)

    @property
    def avg_time_per_step(self):
        return float(self.execution_time_per_step.mean())


class Loihi2Memory(_Probe):
    pass


class Loihi2Activity(_Probe):
    def __init__(self):
        self.core_idx = np.arange(3)
