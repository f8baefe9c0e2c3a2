#!/usr/bin/env python3
"""Prints what TensorBoard itself reads from a folder of event files, one line a number: TAG STEP VALUE.

usage: check_events.py FOLDER        exit code 77 when the package tensorboard is not installed
"""
import sys

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    sys.exit(77)

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "histograms": 0, "tensors": 0})
events.Reload()
tags = events.Tags()
for tag in tags["scalars"]:
    for event in events.Scalars(tag):
        print(tag, event.step, repr(event.value))
for tag in tags["histograms"]:
    for event in events.Histograms(tag):
        print(tag, event.step, event.histogram_value.num, list(event.histogram_value.bucket))
for tag in tags["tensors"]:
    for event in events.Tensors(tag):
        print(tag, event.step, event.tensor_proto.string_val[0].decode())
