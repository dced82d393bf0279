"""Diffusion processes: schedules and samplers as functions on tensors; they know nothing of images."""
