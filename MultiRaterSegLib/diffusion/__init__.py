"""Diffusion processes: functions on tensors that know nothing of images or networks."""
