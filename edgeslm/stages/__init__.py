"""What is decided, and the stages that carry it out, for the kinds of build that pipeline.py tells the story of.

`language_plan.py`, `language.py`: a language model for Linux. `firmware_plan.py`, `firmware.py`, `firmware_graph.py`:
one for a microcontroller; `firmware_encoder_plan.py`, `firmware_encoder.py`: a text encoder for one. `encoder.py`: an
encoder, or a plain module, for Linux; `android_plan.py`, `android.py`: models for Android, and the library around them.
"""
