"""Measure a bundle on this device: `python -m edgeslm_device probe`.

`sections` tells the story and yields one event after another, so that what was measured is kept whatever comes next.
Nothing is written but files in the device's cache folder; nothing is sent anywhere.
"""
